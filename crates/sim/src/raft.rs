//! The log: the real Raft group of every node, over the pretend network and a disk in memory.
//!
//! What is here joins ports to `consensus` and decides nothing. Whatever a group applies is written
//! down with its index, so that two nodes which disagree about the log are found out. Messages of a
//! process that is stopped wait; those of one that is dead are lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use consensus::autopilot::{self, Candidate};
use consensus::{Group, Machine, MemoryDisk, Options, Unreachable};
use follow::{ProposeError, Replica};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use model::{Instance, LogPosition, Moment};

use crate::executor::Owner;
use crate::host::Host;
use crate::network::{Network, Unreached, Way};
use crate::setting::Setting;

/// The mesh epoch of the log.
const EPOCH: u16 = 0;

/// A process of a node.
#[derive(Clone)]
pub(crate) struct Station {
    /// Time, decisions, records.
    pub(crate) setting: Arc<Setting>,
    /// Links.
    pub(crate) network: Arc<Network>,
    /// The node.
    pub(crate) node: usize,
    /// The process.
    pub(crate) owner: Owner,
    /// What it has applied.
    pub(crate) replica: Arc<Replica>,
}

/// Opens the group of a new process on what `disk` has kept.
pub(crate) async fn open(station: &Station, disk: &MemoryDisk) -> Group {
    let scenario = &station.setting.scenario;
    let (me, timings) = (scenario.members[station.node].instance, scenario.timings);
    let options = Options { directory: PathBuf::from("memory"), me, timings };
    let machine = Arc::new(Applied(station.clone()));
    let group = Group::open_in_memory(disk, options, machine, Arc::new(Wires(station.clone())));
    group.await.expect("a disk in memory holds what this build wrote")
}

/// The replica, as the group sees it.
struct Applied(Station);

impl Machine for Applied {
    fn apply(&self, entries: Vec<(u64, Bytes)>) -> Vec<Bytes> {
        let Station { setting, node, replica, .. } = &self.0;
        let Some((first, _)) = entries.first() else { return Vec::new() };
        let first = LogPosition::new(EPOCH, *first);
        let commands: Vec<Bytes> = entries.into_iter().map(|(_, command)| command).collect();
        setting.history.write().agree(setting.now(), *node, (first, &commands));
        let applied = replica.apply(first, &commands);
        applied.unwrap_or_else(|_| vec![Bytes::new(); commands.len()])
    }

    fn snapshot(&self) -> (u64, Bytes) {
        let (position, snapshot) = self.0.replica.snapshot();
        (position.index(), snapshot)
    }

    fn install(&self, _: u64, snapshot: Bytes) -> Result<(), String> {
        self.0.replica.install(&snapshot).map_err(|error| error.to_string())
    }

    fn applied(&self) -> u64 {
        self.0.replica.applied().index()
    }
}

/// Raft messages over the pretend network. The roster says who an instance is.
struct Wires(Station);

impl consensus::Network for Wires {
    fn send(
        &self,
        to: Instance,
        message: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unreachable>> {
        let Station { setting, network, node, owner, replica } = self.0.clone();
        async move {
            setting.clock.going(owner).await;
            let listed = replica.state().roster().any(|member| member.instance == to);
            let members = &setting.scenario.members;
            let place = members.iter().position(|member| member.instance == to);
            let Some(place) = place.filter(|_| listed) else {
                return Err(Unreachable::new(to, "not in the roster"));
            };
            if !network.is_run_by(node, owner) {
                return Err(Unreachable::new(to, Unreached::Refused));
            }
            let call = network.raft(Way { from: node, to: place }, message).boxed();
            let answer = match select(call, setting.clock.sleep(deadline)).await {
                Either::Left((answer, _)) => answer.map_err(|why| Unreachable::new(to, why)),
                Either::Right(_) => Err(Unreachable::new(to, "no answer in time")),
            };
            setting.clock.going(owner).await;
            answer
        }
        .boxed()
    }
}

/// The group, as the command story sees it.
pub(crate) struct Log {
    /// The group.
    pub(crate) group: Group,
    /// Whether this process founded the mesh.
    pub(crate) founded: Arc<AtomicBool>,
}

fn refusal(error: consensus::ProposeError) -> ProposeError {
    match error {
        consensus::ProposeError::NotLeader { .. } => ProposeError::NotLeader,
        consensus::ProposeError::TooLarge => ProposeError::Refused(error.to_string()),
        consensus::ProposeError::NoQuorum | consensus::ProposeError::Stopped => {
            ProposeError::NoQuorum(error.to_string())
        }
    }
}

impl follow::Group for Log {
    fn role(&self) -> follow::Role {
        let consensus::Role { voter: votes, leads, leader, term, .. } = self.group.role();
        let founded = self.founded.load(Ordering::Acquire);
        follow::Role { votes, leads, leader, term, founded }
    }

    fn propose(
        &self,
        command: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        let group = self.group.clone();
        async move {
            let proposed = group.propose(command, patience).await;
            let at = |(index, outcome)| (LogPosition::new(EPOCH, index), outcome);
            proposed.map(at).map_err(refusal)
        }
        .boxed()
    }

    fn confirm(&self, patience: Duration) -> BoxFuture<'static, Result<LogPosition, ProposeError>> {
        let group = self.group.clone();
        async move {
            let confirmed = group.confirm_leadership(patience).await;
            confirmed.map(|index| LogPosition::new(EPOCH, index)).map_err(refusal)
        }
        .boxed()
    }
}

/// Looks after the voters while this process leads, as every node does.
pub(crate) async fn look_after(
    group: Group,
    members: Arc<dyn follow::Members>,
    host: Arc<Host>,
    rules: autopilot::Rules,
) {
    let now = host.clone();
    let roster = Roster { members, host, seen: Mutex::default() };
    autopilot::run(group, Arc::new(roster), rules, move || follow::Host::now(&*now)).await;
}

/// The roster as the autopilot looks at it: who may vote, who is alive, and since when.
struct Roster {
    members: Arc<dyn follow::Members>,
    host: Arc<Host>,
    seen: Mutex<BTreeMap<Instance, (bool, Moment)>>,
}

impl autopilot::Roster for Roster {
    fn candidates(&self) -> Vec<Candidate> {
        let now = follow::Host::now(&*self.host);
        let peers = self.members.peers();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|instance, _| peers.iter().any(|peer| peer.instance == *instance));
        let candidate = |peer: follow::Peer| {
            let entry = seen.entry(peer.instance).or_insert((peer.alive, now));
            if entry.0 != peer.alive {
                *entry = (peer.alive, now);
            }
            Candidate {
                instance: peer.instance,
                region: peer.region,
                may_vote: peer.tiers.may_vote(),
                alive: peer.alive,
                since: entry.1,
            }
        };
        peers.into_iter().map(candidate).collect()
    }
}
