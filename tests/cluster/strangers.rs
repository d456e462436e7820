//! Strangers: peers that are not, or not quite, who they would have to be. Each is refused before
//! anything changes: not the log, not the roster, not the Raft term.
//!
//! They speak through `transport` itself, which always says hello under its certificate's own
//! name. Bare connections, without any certificate or with a hello under another name, are in
//! that crate's own tests (`welcome`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use admin::view::Status;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use control::{Command, CommandId, Envelope};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Instance, Level, Member, NodeName, Region, Tiers};
use shoal::client::{self, Call};
use transport::{
    Authority, Channel, Credentials, Directory, LinkError, Links, Local, PeerIdentity, Refused,
    Service, Target, Validity,
};
use wire::codec;
use wire::hello::Kind;
use wire::log::{Fate, Submission};
use wire::protocol::Protocols;

use crate::cluster::stage::{DEADLINE, Stage, five, name};

const PATIENCE: Duration = Duration::from_secs(5);

/// A group may elect anew on a busy machine, all by itself; strangers would make it so every time.
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_and_nothing_changes() -> Result<()> {
    let stage = Stage::serving(&five(), 3).await?;
    let roster = roster(&stage).await?;
    let mut moved = Vec::new();
    for _ in 0..ROUNDS {
        let before = raft(&stage).await?;
        of_another_authority(&stage).await?;
        outsiders_in_raft(&stage).await?;
        under_names_not_their_own(&stage).await?;
        let after = raft(&stage).await?;
        let now = self::roster(&stage).await?;
        ensure!(now == roster, "{roster:?}\nbecame\n{now:?}");
        if before == after {
            return stage.end().await;
        }
        moved.push(format!("{before:?}\nbecame\n{after:?}"));
    }
    bail!("{}", moved.join("\n"))
}

/// Who is where, as every node knows from the log.
async fn roster(stage: &Stage) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    for node in stage.running() {
        let Status { nodes, .. } = stage.status(node).await?;
        let nodes = nodes.iter().map(|node| (&node.name, &node.tiers, node.address));
        seen.push(format!("{:?}", nodes.collect::<Vec<_>>()));
    }
    Ok(seen)
}

/// Index, leader and term, as every node sees them.
async fn raft(stage: &Stage) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    for node in stage.running() {
        let Status { log, leader, .. } = stage.status(node).await?;
        let metrics =
            client::send(node.admin, Call::get("localhost", "/metrics"), DEADLINE).await?;
        let metrics = String::from_utf8(metrics.body.to_vec())?;
        let term = metrics.lines().find(|line| line.starts_with("shoal_raft_term "));
        let term = term.context("no term in the metrics")?;
        seen.push(format!("{} {} {leader:?} {term}", node.spec.name, log.applied));
    }
    Ok(seen)
}

async fn of_another_authority(stage: &Stage) -> Result<()> {
    let mesh = "local".parse()?;
    let authority = Authority::create(&mesh, Validity::of_authority(wall()))?;
    let stranger = links(certify(&authority, "mid-eu-9", "regional,shield")?, Instance(9))?;
    for node in stage.running() {
        let heard = stranger.identify(&Target::Seed(node.mesh_address)).await;
        let refused = matches!(heard, Err(LinkError::Unreachable(..)));
        ensure!(refused, "{} let in a stranger: {heard:?}", node.spec.name);
    }
    Ok(())
}

/// Certified, but not in the roster; in the roster, but another data directory; in the roster, but
/// with tiers that never vote.
async fn outsiders_in_raft(stage: &Stage) -> Result<()> {
    let authority = Authority::load(&tls(stage))?;
    let newcomer = certify(&authority, "mid-eu-9", "regional,shield")?;
    votes_for_itself(stage, newcomer, Instance(9)).await?;
    votes_for_itself(stage, load(stage, "mid-us-1")?, Instance(9)).await?;
    let listed = instance(stage, "edge-eu-1")?;
    votes_for_itself(stage, load(stage, "edge-eu-1")?, listed).await
}

async fn votes_for_itself(stage: &Stage, who: Credentials, me: Instance) -> Result<()> {
    let name = who.identity().name.clone();
    let links = links(who, me)?;
    let may_vote = stage.running().filter(|node| node.spec.tiers.may_vote());
    for voter in may_vote.filter(|node| node.spec.name != name) {
        let (target, vote) = (Target::Seed(voter.mesh_address), vote_for(me));
        let answer = links.call(&target, Kind::Raft, vote, PATIENCE).await;
        let refused = matches!(answer, Err(LinkError::Refused(_)));
        ensure!(refused, "{} listened to {name}, {me}: {answer:?}", voter.spec.name);
    }
    Ok(())
}

/// A request for votes in a far later term, from a candidate with the longest log of all. These
/// bytes are pinned by a test of `consensus`.
fn vote_for(candidate: Instance) -> Bytes {
    let (term, index) = (1_000_u64.to_le_bytes(), 1_000_000_u64.to_le_bytes());
    let candidate = candidate.0.to_le_bytes();
    let vote = [&[1][..], &[1, 0, 0, 0], &term, &candidate, &[0]];
    let last_entry = [&[1][..], &term, &candidate, &index];
    [vote.concat(), last_entry.concat()].concat().into()
}

/// A newcomer that would join under the name of a node that lives.
async fn under_names_not_their_own(stage: &Stage) -> Result<()> {
    let authority = Authority::load(&tls(stage))?;
    let newcomer = links(certify(&authority, "mid-eu-9", "regional,shield")?, Instance(9))?;
    let holder = instance(stage, "edge-us-1")?;
    for replaces in [None, Some(holder)] {
        for node in stage.running() {
            let member = Member {
                name: name("edge-us-1"),
                instance: Instance(9),
                region: "us".parse()?,
                tiers: Tiers::ALL,
                capacity: 100,
                address: newcomer.local_addr(),
            };
            let target = Target::Seed(node.mesh_address);
            let join = submission(Command::Join { member, replaces });
            let who = &node.spec.name;
            let fate = answer(&newcomer, &target, join).await;
            let fate = fate.with_context(|| format!("{who}, replacing {replaces:?}"))?;
            ensure!(fate.is_err(), "{who}, replacing {replaces:?}: {fate:?}");
        }
    }
    Ok(())
}

fn submission(command: Command) -> Bytes {
    let command = codec::encode(&Envelope { id: CommandId(rand::random()), command });
    let patience_ms = 3_000;
    Submission { command, level: Level::Committed, patience_ms, hops: 2 }.encode()
}

/// `Err` holds the words of a refusal.
async fn answer(links: &Links, to: &Target, join: Bytes) -> Result<Result<Fate, String>> {
    match links.call(to, Kind::Submit, join, PATIENCE).await {
        Err(LinkError::Refused(reason)) => Ok(Err(reason)),
        Err(other) => Err(other.into()),
        Ok(answer) => match Fate::decode(&answer)? {
            Fate::Refused(reason) => Ok(Err(reason)),
            Fate::Committed { outcome, reach } => match follow::read_outcome(&outcome)? {
                Err(refusal) => Ok(Err(refusal.to_string())),
                Ok(_) => bail!("it took effect at {}", reach.position),
            },
            other @ (Fate::NoLeader | Fate::Unknown(_)) => Ok(Ok(other)),
        },
    }
}

fn tls(stage: &Stage) -> PathBuf {
    stage.directory().join("tls")
}

fn certify(authority: &Authority, name: &str, tiers: &str) -> Result<Credentials> {
    let (name, region): (NodeName, Region) = (name.parse()?, "eu".parse()?);
    Ok(authority.issue(&name, &region, tiers.parse()?, Validity::of_node(wall()))?)
}

/// The very certificate of a node, as a thief would have it.
fn load(stage: &Stage, name: &str) -> Result<Credentials> {
    let file = |file: String| tls(stage).join(file);
    let (pem, key) = (file(format!("{name}.pem")), file(format!("{name}.key")));
    Ok(Credentials::load(&pem, &key, &file("ca.pem".into()), wall())?)
}

fn instance(stage: &Stage, name: &str) -> Result<Instance> {
    let file = stage.directory().join(name).join("instance");
    let text = std::fs::read_to_string(&file)?;
    Ok(Instance(u64::from_str_radix(text.trim(), 16)?))
}

fn links(credentials: Credentials, instance: Instance) -> Result<Links> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (protocols, wall) = (Protocols::ALL, Arc::new(wall));
    let local = Local { credentials, instance, protocols, listen, wall };
    Ok(Links::bind(local, Arc::new(NoDirectory), Arc::new(NoService))?)
}

#[expect(clippy::disallowed_methods, reason = "certificates are checked against the real clock")]
fn wall() -> SystemTime {
    SystemTime::now()
}

struct NoDirectory;

impl Directory for NoDirectory {
    fn address_of(&self, _: &NodeName) -> Option<SocketAddr> {
        None
    }
}

struct NoService;

fn refusal() -> Refused {
    Refused("a stranger serves nobody".into())
}

impl Service for NoService {
    fn admit(&self, _: &PeerIdentity, _: Kind) -> Result<(), Refused> {
        Err(refusal())
    }

    fn call(
        &self,
        _: PeerIdentity,
        _: Kind,
        _: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, Refused>> {
        async { Err(refusal()) }.boxed()
    }

    fn channel(&self, _: PeerIdentity, _: Kind, _: Channel) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }

    fn cast(&self, _: PeerIdentity, _: Bytes) {}
}
