//! The life of a command, on one screen.
//!
//! *submit*: any node takes a command and hands it toward the leader. *commit*: the Raft group puts
//! it into the log (a port). *spread*: voters → regionals and shields → edges, each feeding its
//! children. *apply*: every node's replica, in log order, through `control::State::apply` alone.
//! *confirm*: how fresh is what I know. *receipt*: who has it.
//!
//! A node runs [`run`] for as long as it lives, answers peers with [`accept`] and [`feed`], and
//! operators with [`submit`].

mod ports;
mod signal;
mod submit;
mod spread;
mod child;
mod upstream;
mod apply;
mod confirm;
mod receipt;
mod join;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control::Progress;
use model::{LogPosition, Moment, NodeName};

pub use apply::{ApplyError, Needs, Replica, read_outcome};
pub use child::follow as run;
pub use confirm::Confirm;
pub use join::{Speaker, vet};
pub use ports::{
    Channel, Disconnected, Group, Host, Members, Peer, Peers, ProposeError, Role, Shelf,
};
pub use signal::Signal;
pub use spread::feed;
pub use submit::{Receipt, SubmitError, accept, submit};

/// One node's part in the life of commands: who it is, its ports, and what it knows.
pub struct Follow {
    /// This node's name.
    pub name: NodeName,
    /// Clock, dice and tasks.
    pub host: Arc<dyn Host>,
    /// The Raft group.
    pub group: Arc<dyn Group>,
    /// Other nodes.
    pub peers: Arc<dyn Peers>,
    /// Who belongs and who is alive.
    pub members: Arc<dyn Members>,
    /// What is kept on disk.
    pub shelf: Arc<dyn Shelf>,
    /// The replicated facts.
    pub replica: Arc<Replica>,
    /// How fresh they are.
    pub confirm: Confirm,
    heard: Signal,
    below: Mutex<Progress>,
    seeds: Mutex<Vec<NodeName>>,
}

/// The ports of a [`Follow`].
pub struct Ports {
    /// Clock, dice and tasks.
    pub host: Arc<dyn Host>,
    /// The Raft group.
    pub group: Arc<dyn Group>,
    /// Other nodes.
    pub peers: Arc<dyn Peers>,
    /// Who belongs and who is alive.
    pub members: Arc<dyn Members>,
    /// What is kept on disk.
    pub shelf: Arc<dyn Shelf>,
}

impl Follow {
    /// A node that has heard nobody yet.
    pub fn new(name: NodeName, ports: Ports, replica: Arc<Replica>) -> Follow {
        let Ports { host, group, peers, members, shelf } = ports;
        Follow {
            name,
            host,
            group,
            peers,
            members,
            shelf,
            replica,
            confirm: Confirm::default(),
            heard: Signal::default(),
            below: Mutex::default(),
            seeds: Mutex::default(),
        }
    }

    /// Names a node that may be followed and given commands before the roster is known.
    pub fn add_seed(&self, seed: NodeName) {
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        if !seeds.contains(&seed) && seed != self.name {
            seeds.push(seed);
        }
    }

    /// Whether this node knows what its source knew when it was first heard. The leader is its own
    /// source.
    pub fn is_caught_up(&self) -> bool {
        let applied = self.replica.applied();
        !self.replica.is_halted() && (self.group.role().leads || self.confirm.is_caught_up(applied))
    }

    fn seeds(&self) -> Vec<NodeName> {
        self.seeds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.below.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_until(&self, deadline: Moment) -> Duration {
        deadline.since(self.host.now())
    }

    fn hear(&self, applied: Vec<(NodeName, LogPosition)>) {
        let mut below = self.lock();
        for (node, position) in applied {
            below.note(node, position);
        }
        let state = self.replica.state();
        below.retain(|node| state.member(node).is_some());
        drop(below);
        self.heard.notify();
    }

    fn pending(&self, position: LogPosition, live: &[NodeName]) -> Vec<NodeName> {
        let mut pending = self.lock().pending(position, live);
        if self.replica.applied() >= position {
            pending.retain(|node| *node != self.name);
        }
        pending
    }

    fn news_since(&self, told: &Progress) -> Vec<(NodeName, LogPosition)> {
        let own = (self.name.clone(), self.replica.applied());
        let below = self.lock();
        let heard = below.iter().map(|(node, position)| (node.clone(), position));
        let all = heard.filter(|(node, _)| *node != self.name).chain([own]);
        all.filter(|(node, position)| told.of(node) != Some(*position)).collect()
    }
}
