//! The Raft group and the replica, joined: the group feeds the replica, and its messages travel the
//! control lane.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consensus::{Group, Machine, Network, Unreachable};
use follow::{ProposeError, Replica};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Instance, LogPosition};
use transport::{Links, Target};
use wire::hello::Kind;

/// The mesh epoch of this log. It rises when a mesh is recovered by force.
const EPOCH: u16 = 0;

/// The replica, as the group sees it. Entry 0 is the group's first membership: it falls on the
/// position before the first.
pub(crate) struct Applied(pub(crate) Arc<Replica>);

impl Machine for Applied {
    fn apply(&self, entries: Vec<(u64, Bytes)>) -> Vec<Bytes> {
        let count = entries.len();
        let Some((first, _)) = entries.first() else { return Vec::new() };
        let first = LogPosition::new(EPOCH, *first);
        let commands: Vec<Bytes> = entries.into_iter().map(|(_, command)| command).collect();
        self.0.apply(first, &commands).unwrap_or_else(|error| {
            tracing::error!(%error, "the log is no longer applied on this node");
            vec![Bytes::new(); count]
        })
    }

    fn snapshot(&self) -> (u64, Bytes) {
        let (position, snapshot) = self.0.snapshot();
        (position.index(), snapshot)
    }

    fn install(&self, _index: u64, snapshot: Bytes) -> Result<(), String> {
        self.0.install(&snapshot).map_err(|error| error.to_string())
    }

    fn applied(&self) -> u64 {
        self.0.applied().index()
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
pub(crate) struct Log(pub(crate) Group);

impl follow::Group for Log {
    fn role(&self) -> follow::Role {
        let role = self.0.role();
        follow::Role { votes: role.voter, leads: role.leads, leader: role.leader }
    }

    fn propose(
        &self,
        command: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        let group = self.0.clone();
        async move {
            match group.propose(command, patience).await {
                Ok((index, outcome)) => Ok((LogPosition::new(EPOCH, index), outcome)),
                Err(consensus::ProposeError::NotLeader { .. }) => Err(ProposeError::NotLeader),
                Err(error @ consensus::ProposeError::TooLarge) => {
                    Err(ProposeError::Refused(error.to_string()))
                }
                Err(
                    error @ (consensus::ProposeError::NoQuorum | consensus::ProposeError::Stopped),
                ) => Err(ProposeError::NoQuorum(error.to_string())),
            }
        }
        .boxed()
    }
}
