//! The life of a command, on one screen.
//!
//! *submit*: any node takes a command and hands it toward the leader; *herald*: purges run ahead of
//! the log. *commit*: the Raft group puts a *batch* into the log (a port). *spread*: voters →
//! regionals and shields → edges, each feeding its children. *apply*: every node's replica, in log
//! order, through `control::State::apply` alone. *mint*: the leader's lease, from a quorum.
//! *fence*: until when may copies be served, and who else may. *tell*: what was applied goes up
//! again. *receipt*: who has it, who can violate it.
//!
//! A node runs [`run`] for as long as it lives, answers peers with [`accept`], [`answer`] and
//! [`feed`], and operators with [`submit`].

mod ports;
mod signal;
mod submit;
mod beside;
mod batch;
mod herald;
mod spread;
mod child;
mod upstream;
mod apply;
mod mint;
mod fence;
mod tell;
mod confirm;
mod receipt;
mod ask;
mod join;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::Guard;
use control::{Holder, Progress, Tentative};
use futures_util::FutureExt;
use futures_util::future::join;
use model::{LogPosition, Moment, NodeName};
use wire::log::News;

pub use apply::{ApplyError, Barrier, Needs, Replica, read_outcome};
pub use ask::{answer, reach};
pub use confirm::{Confirm, confirm};
pub use join::{Speaker, vet};
pub use ports::{
    Cache, Channel, Disconnected, Group, Host, Members, Peer, Peers, ProposeError, Role, Shelf,
};
pub use receipt::Progressed;
pub use signal::Signal;
pub use spread::feed;
pub use submit::{Receipt, SubmitError, accept, submit};

use fence::Fence;
use herald::Herald;

/// One node's part in the life of commands: who it is, its ports, and what it knows.
pub struct Follow {
    /// This node's name.
    pub name: NodeName,
    /// Clock, dice and waiting.
    pub host: Arc<dyn Host>,
    /// The Raft group.
    pub group: Arc<dyn Group>,
    /// Other nodes.
    pub peers: Arc<dyn Peers>,
    /// Who belongs and who is alive.
    pub members: Arc<dyn Members>,
    /// What is kept on disk.
    pub shelf: Arc<dyn Shelf>,
    /// What purges act upon.
    pub cache: Arc<dyn Cache>,
    /// The replicated facts.
    pub replica: Arc<Replica>,
    /// How far the log is.
    pub confirm: Confirm,
    incarnation: u64,
    fence: Fence,
    batch: batch::Batch,
    herald: Herald,
    below: Mutex<Progress>,
    cut: AtomicU64,
    retired: AtomicBool,
    seeds: Mutex<Vec<NodeName>>,
}

/// The ports of a [`Follow`].
pub struct Ports {
    /// Clock, dice and waiting.
    pub host: Arc<dyn Host>,
    /// The Raft group.
    pub group: Arc<dyn Group>,
    /// Other nodes.
    pub peers: Arc<dyn Peers>,
    /// Who belongs and who is alive.
    pub members: Arc<dyn Members>,
    /// What is kept on disk.
    pub shelf: Arc<dyn Shelf>,
    /// What purges act upon.
    pub cache: Arc<dyn Cache>,
}

/// A node's part in the life of commands, for as long as it runs: it follows, leads when it has to,
/// and passes on what it hears.
pub async fn run(node: &Follow) {
    let leading = join(mint::preside(node), batch::clerk(node)).boxed();
    let telling = join(child::follow(node), herald::tell_across(node)).boxed();
    join(leading, telling).await;
}

impl Follow {
    /// A node that has heard nobody yet, and what it does with every change of `replica` from now
    /// on.
    pub fn new(name: NodeName, ports: Ports, replica: Arc<Replica>) -> Arc<Follow> {
        let Ports { host, group, peers, members, shelf, cache } = ports;
        let node = Arc::new(Follow {
            name,
            incarnation: host.dice() as u64,
            host,
            group,
            peers,
            members,
            shelf,
            cache,
            replica,
            confirm: Confirm::default(),
            fence: Fence::default(),
            batch: batch::Batch::default(),
            herald: Herald::default(),
            below: Mutex::default(),
            cut: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            seeds: Mutex::default(),
        });
        node.settle(node.replica.applied());
        let weak = Arc::downgrade(&node);
        node.replica.set_barrier(Box::new(move |state| {
            if let Some(node) = weak.upgrade() {
                node.settle(state.applied());
            }
        }));
        node
    }

    /// Somebody speaks of `position`. If it is of a later mesh epoch, this node serves nothing on
    /// the strength of the log until it has the snapshot that began it.
    pub fn hear_of(&self, position: LogPosition) {
        if self.replica.hear(position) {
            self.fence.enter(position.epoch());
        }
    }

    /// What has to happen with every change before it may be acknowledged.
    fn settle(&self, applied: LogPosition) {
        self.cut.fetch_add(self.cache.stop_old(), Ordering::Relaxed);
        self.fence.enter(applied.epoch());
        self.fence.note_applied(applied, self.host.now());
    }

    /// Until when copies may be served on the strength of what is applied here (R9); nothing
    /// without a lease. To be read before the state.
    pub fn valid_until(&self) -> Option<Moment> {
        let stands = !self.replica.is_halted() && !self.replica.is_outranked();
        self.fence.valid_until().filter(|_| stands)
    }

    /// The age of the lease held.
    pub fn lease_age(&self) -> Option<Duration> {
        self.fence.token_age(self.host.now())
    }

    /// What was surely applied here at `moment`.
    pub fn applied_at(&self, moment: Moment) -> LogPosition {
        self.fence.applied_at(moment)
    }

    /// Purges on their way into the log.
    pub fn tentative(&self) -> Guard<Arc<Tentative>> {
        self.herald.heard()
    }

    /// Responses cut off because a purge covered them.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Lets go of the lease for good and says so, since this process is about to end: nobody has to
    /// wait for it.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.fence.give_up();
    }

    fn has_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
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

    /// What is known of everybody below, in the present mesh epoch.
    fn lock(&self) -> MutexGuard<'_, Progress> {
        let mut below = self.below.lock().unwrap_or_else(PoisonError::into_inner);
        below.enter(self.replica.epoch());
        below
    }

    fn left_until(&self, deadline: Moment) -> Duration {
        deadline.since(self.host.now())
    }

    /// A child speaks: what binds, and what is for receipts.
    fn hear(&self, holder: &Holder, through: LogPosition, news: Vec<News>) {
        let now = self.host.now();
        let mut below = self.lock();
        for News { node, applied, cut } in news {
            below.note(node, applied, cut, now);
        }
        let state = self.replica.state();
        below.retain(|node| state.member(node).is_some());
        drop(below);
        self.fence.hear(holder, through);
        self.look_for_fenced();
    }

    /// While this node leads: what nobody can violate any more.
    fn look_for_fenced(&self) -> LogPosition {
        let lease = self.replica.state().lease();
        self.fence.fenced_through(self.settled_by_all(), lease, self.host.now())
    }

    /// What every node of the roster is known to have settled. A node without a lease counts too:
    /// it may serve what its origin proved to it a lease ago (R23), so only its word or time will
    /// do.
    fn settled_by_all(&self) -> LogPosition {
        let (own, below) = (self.replica.settled(), self.lock());
        let state = self.replica.state();
        let others = state.roster().map(|member| &member.name).filter(|name| **name != self.name);
        others.map(|name| below.of(name).unwrap_or_default()).fold(own, LogPosition::min)
    }

    /// What this node may acknowledge to its parents.
    fn acknowledged(&self) -> LogPosition {
        self.fence.acknowledged(self.replica.settled(), self.host.now())
    }

    fn pending(&self, position: LogPosition, live: &[NodeName]) -> Vec<NodeName> {
        let mut pending = self.lock().pending(position, live);
        if self.replica.settled() >= position {
            pending.retain(|node| *node != self.name);
        }
        pending
    }

    /// Who is known to have applied `position`, and how many milliseconds after `began`.
    fn applied_by(&self, position: LogPosition, began: Moment) -> Vec<(NodeName, u64)> {
        let own = self.fence.times(position).0.filter(|_| self.replica.settled() >= position);
        let own = own.map(|at| (self.name.clone(), at));
        let below = self.lock();
        let others = below.iter().filter(|(node, _, _)| **node != self.name);
        let others = others
            .filter_map(|(node, _, _)| below.when(node, position).map(|at| (node.clone(), at)));
        let all = own.into_iter().chain(others);
        all.map(|(node, at)| (node, receipt::millis(at.since(began)))).collect()
    }

    /// Responses cut off by this node and everybody heard of.
    fn cut_by_all(&self) -> u64 {
        self.cut() + self.lock().cut()
    }

    /// What this node knows of itself and of everybody below it.
    fn news(&self) -> impl Iterator<Item = News> {
        let own =
            News { node: self.name.clone(), applied: self.replica.settled(), cut: self.cut() };
        let below = self.lock();
        let heard = below.iter().filter(|(node, _, _)| **node != self.name);
        let heard = heard.map(|(node, applied, cut)| News { node: node.clone(), applied, cut });
        let all: Vec<News> = heard.chain([own]).collect();
        all.into_iter()
    }
}
