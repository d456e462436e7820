//! A node, put together: disk and identity, links, the log, gossip, the two stories, the two doors.
//! And taken apart again.
//!
//! The order matters and is the whole of this file: nothing is answered before what it needs is
//! there.

mod background;
mod directory;
mod join;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::bail;
use consensus::{Group, Options, Timings};
use follow::{Follow, Ports, Replica};
use membership::{Gossip, Neighbours};
use model::Member;
use serve::{Fills, World};
use storage::Memory;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transport::{Credentials, Identity, Links, Local};

use crate::config::{Config, Distance};
use crate::desk::Desk;
use crate::host::Machine;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::mesh::commands::Commands;
use crate::mesh::directory::Directory;
use crate::mesh::exchange::Exchange;
use crate::mesh::gossip::Letters;
use crate::mesh::raft::{Applied, Log, Messages};
use crate::mesh::switchboard::Switchboard;
use crate::roster::Roster;
use crate::shelf::Shelf;

/// The part of the object memory that bodies in flight may take beside it.
const FILLS_SHARE: u64 = 4;
/// Locks of the memory store, at most.
const SHARDS: usize = 16;

/// Runs a node until it is told to stop.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let credentials = load_credentials(&config)?;
    let identity = credentials.identity().clone();
    let instance = self::directory::open(&config.data_dir)?;
    let listener = gateway::Listener::bind(config.http)?;
    let door = open_door(&config).await?;

    let replica = Arc::new(Replica::default());
    let switchboard = Arc::new(Switchboard::new(replica.clone()));
    let directory = Arc::new(Directory::new(replica.clone()));
    let links = Links::bind(
        Local { credentials, instance, listen: config.listen, wall: Arc::new(|| Machine.wall()) },
        directory.clone(),
        switchboard.clone(),
    )?;
    let me = describe(&config, identity.clone(), instance, links.local_addr())?;

    let group = open_group(&config, &me, &links, &replica).await?;
    let shelf = Arc::new(Shelf::open(group.journal(), &replica).await?);
    switchboard.connect_group(group.clone());
    join::check_bootstrap(&config, &links, &replica).await?;

    let generation = Machine.wall().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let gossip_options = membership::Options {
        name: me.name.clone(),
        instance,
        generation: u64::try_from(generation)?,
        address: me.address,
        seeds: join::resolve(&config.seeds).await,
        interval: Gossip::INTERVAL,
    };
    let letters = Arc::new(Letters(links.clone()));
    let gossip = Arc::new(Gossip::start(gossip_options, letters, replica.clone()));
    let neighbours = Arc::new(Neighbours::new(gossip.clone(), replica.clone()));
    directory.connect(neighbours.clone());
    let ports = Ports {
        host: Arc::new(Machine),
        group: Arc::new(Log(group.clone())),
        peers: Arc::new(Commands { links: links.clone() }),
        members: neighbours.clone(),
        shelf,
    };
    let follow = Arc::new(Follow::new(me.name.clone(), ports, replica.clone()));
    switchboard.connect_follow(follow.clone());
    switchboard.connect_gossip(gossip.clone());

    let metrics = Arc::new(admin::Metrics::new());
    let journal = Arc::new(Journal::new(metrics.clone()));
    let store = Arc::new(Memory::new(config.memory_bytes, SHARDS));
    let world = Arc::new(World {
        name: me.name.clone(),
        region: me.region.clone(),
        tiers: me.tiers,
        host: Arc::new(Machine),
        store: store.clone(),
        peers: Arc::new(Exchange { links: links.clone() }),
        origins: Arc::new(gateway::Outbound::new()),
        members: neighbours.clone(),
        ledger: Arc::new(Ledger(replica.clone())),
        journal: journal.clone(),
        fills: Fills::new(config.memory_bytes / FILLS_SHARE),
    });
    switchboard.connect_world(world.clone());

    let mut tasks = JoinSet::new();
    let entrance = join::Entrance {
        bootstrap: config.bootstrap,
        mesh: identity.mesh,
        me: me.clone(),
        seeds: config.seeds.clone(),
    };
    tasks.spawn(join::enter(entrance, links.clone(), follow.clone(), group.clone()));
    {
        let follow = follow.clone();
        tasks.spawn(async move {
            follow::run(&follow).await;
            Ok(())
        });
    }
    background::start(
        &mut tasks,
        background::Parts {
            links: links.clone(),
            neighbours: neighbours.clone(),
            gossip: gossip.clone(),
            group: group.clone(),
            world: world.clone(),
            journal: journal.clone(),
            http: listener.local_addr(),
            admin: door.address(),
            roster: Arc::new(Roster::new(neighbours.clone())),
            gone_after: config.gone_after,
        },
    );
    let desk = Arc::new(Desk {
        follow,
        gossip,
        group: group.clone(),
        store,
        world: world.clone(),
        metrics,
        me: me.clone(),
    });
    let closing = CancellationToken::new();
    let admin_door = tokio::spawn(door.serve(desk, closing.clone().cancelled_owned()));
    let visits = tokio::spawn(listener.serve(Arc::new(world), config.limits, closing.clone()));
    tracing::info!(
        name = %me.name, region = %me.region, tiers = %me.tiers, peers = %me.address,
        http = %config.http, admin = %config.admin, "node started"
    );

    let ended = tokio::select! {
        biased;
        () = stop => Ok(()),
        failed = first_failure(&mut tasks) => Err(failed),
    };
    tracing::info!("stopping: finishing what is under way");
    closing.cancel();
    drop(visits.await);
    drop(admin_door.await);
    tasks.shutdown().await;
    group.shutdown().await;
    links.close().await;
    ended
}

/// Background tasks do not end by themselves; one that does has a reason to stop the node.
async fn first_failure(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    loop {
        match tasks.join_next().await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return error,
            Some(Err(error)) => {
                return anyhow::Error::new(error).context("a task of the node failed");
            }
            None => std::future::pending().await,
        }
    }
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn load_credentials(config: &Config) -> anyhow::Result<Credentials> {
    let Config { name, tls_dir, .. } = config;
    let file = |ending: &str| tls_dir.join(format!("{name}.{ending}"));
    let authority = tls_dir.join("ca.pem");
    let (certificate, key) = (file("pem"), file("key"));
    if !certificate.exists() {
        bail!(
            "no certificate at {}: make one with `shoal ca issue {name}`, \
             and name its directory with --tls-dir",
            certificate.display()
        );
    }
    let credentials = Credentials::load(&certificate, &key, &authority, Machine.wall())?;
    let identity = credentials.identity();
    if identity.name != *name {
        bail!("{}: is of the node {}, not {name}", certificate.display(), identity.name);
    }
    let said = [
        ("region", config.region.as_ref().map(ToString::to_string), identity.region.to_string()),
        ("tiers", config.tiers.map(|tiers| tiers.to_string()), identity.tiers.to_string()),
    ];
    for (key, configured, certified) in said {
        if configured.as_ref().is_some_and(|configured| *configured != certified) {
            let configured = configured.unwrap_or_default();
            bail!(
                "{key} is {configured}, but the certificate says {certified}: \
                 issue another, or change {key}"
            );
        }
    }
    Ok(credentials)
}

async fn open_door(config: &Config) -> anyhow::Result<admin::Door> {
    let token = config.token_file.as_deref().map(admin::Token::read).transpose()?;
    Ok(admin::Door::bind(config.admin, token).await?)
}

fn describe(
    config: &Config,
    identity: Identity,
    instance: model::Instance,
    bound: SocketAddr,
) -> anyhow::Result<Member> {
    let Some(address) = config.advertise.or((!bound.ip().is_unspecified()).then_some(bound)) else {
        bail!("peers cannot dial {bound}: give --advertise ADDR, or --listen on one address");
    };
    Ok(Member {
        name: identity.name,
        instance,
        region: identity.region,
        tiers: identity.tiers,
        capacity: config.capacity,
        address,
    })
}

async fn open_group(
    config: &Config,
    me: &Member,
    links: &Links,
    replica: &Arc<Replica>,
) -> anyhow::Result<Group> {
    let timings = match config.distance {
        Distance::Lan => Timings::lan(),
        Distance::Wan => Timings::wan(),
    };
    let options = Options { directory: config.data_dir.join("raft"), me: me.instance, timings };
    let machine = Arc::new(Applied(replica.clone()));
    let network = Arc::new(Messages { links: links.clone(), replica: replica.clone() });
    Ok(Group::open(options, machine, network).await?)
}
