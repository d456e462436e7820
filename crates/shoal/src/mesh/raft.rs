//! The Raft group and the replica, joined: the group feeds the replica, and its messages travel the
//! control lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consensus::{Group, Machine, Network, Unreachable};
use follow::{ProposeError, Replica};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Instance, LogPosition};
use transport::{Links, Target};
use wire::hello::Kind;

/// The replica, as the group sees it. The group's indexes are positions in one word, epoch and
/// all: a recovered group goes on at the first index of its epoch, beyond every one before. Entry 0
/// is the first membership of all: it falls on the position before the first.
pub(crate) struct Applied(pub(crate) Arc<Replica>);

impl Machine for Applied {
    fn apply(&self, entries: Vec<(u64, Bytes)>) -> Vec<Bytes> {
        let count = entries.len();
        let Some((first, _)) = entries.first() else { return Vec::new() };
        let first = LogPosition::from_packed(*first);
        let commands: Vec<Bytes> = entries.into_iter().map(|(_, command)| command).collect();
        self.0.apply(first, &commands).unwrap_or_else(|error| {
            tracing::error!(%error, "the log is no longer applied on this node");
            vec![Bytes::new(); count]
        })
    }

    fn snapshot(&self) -> (u64, Bytes) {
        let (position, snapshot) = self.0.snapshot();
        (position.packed(), snapshot)
    }

    fn install(&self, _index: u64, snapshot: Bytes) -> Result<(), String> {
        self.0.install(&snapshot).map_err(|error| error.to_string())
    }

    fn applied(&self) -> u64 {
        self.0.applied().packed()
    }
}

/// Raft messages over the links. The roster says who an instance is.
pub(crate) struct Messages {
    /// Where peers are reached.
    pub(crate) links: Links,
    /// The roster.
    pub(crate) replica: Arc<Replica>,
}

impl Network for Messages {
    fn send(
        &self,
        to: Instance,
        message: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unreachable>> {
        let links = self.links.clone();
        let state = self.replica.state();
        let name = state.roster().find(|m| m.instance == to).map(|m| m.name.clone());
        async move {
            let name = name.ok_or_else(|| Unreachable::new(to, "not in the roster"))?;
            let target = Target::Node(name);
            let answer = links.call(&target, Kind::Raft, message, deadline).await;
            answer.map_err(|error| Unreachable::new(to, error))
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

    fn confirm(&self, patience: Duration) -> BoxFuture<'static, Result<LogPosition, ProposeError>> {
        let group = self.group.clone();
        async move {
            let confirmed = group.confirm_leadership(patience).await;
            confirmed.map(LogPosition::from_packed).map_err(refusal)
        }
        .boxed()
    }

    fn propose(
        &self,
        command: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        let group = self.group.clone();
        async move {
            let proposed = group.propose(command, patience).await;
            let at = |(index, outcomes)| (LogPosition::from_packed(index), outcomes);
            proposed.map(at).map_err(refusal)
        }
        .boxed()
    }
}
