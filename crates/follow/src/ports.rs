//! The ports: what a command needs from outside. Each is small, so that the simulator can stand in
//! for it.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Sink;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use model::{Instance, Invalidation, LogPosition, Moment, NodeName, Region, Tiers};
use wire::exchange::{Finding, Sample};
use wire::log::{Ask, Fate, Submission, Subscribe, Told};

/// Clock, dice and tasks.
pub trait Host: Send + Sync {
    /// The monotonic clock.
    fn now(&self) -> Moment;
    /// Waits.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// A number nobody can guess.
    fn dice(&self) -> u128;
}

/// What this node is in the Raft group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// It votes.
    pub votes: bool,
    /// It leads.
    pub leads: bool,
    /// Who leads, as far as it knows.
    pub leader: Option<Instance>,
    /// The term it is in.
    pub term: u64,
    /// Whether this very process founded the mesh: before its first term nobody led.
    pub founded: bool,
}

/// Why a proposal is not in the log, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another node leads, or none.
    #[error("not the leader")]
    NotLeader,
    /// No majority answered in time: the command may or may not be in the log.
    #[error("no quorum: {0}")]
    NoQuorum(String),
    /// It can never be in the log.
    #[error("{0}")]
    Refused(String),
}

/// The Raft group, as seen from one node.
pub trait Group: Send + Sync {
    /// What this node is in it.
    fn role(&self) -> Role;
    /// Puts an entry into the log; answers once it is applied here, with its position and encoded
    /// outcomes.
    fn propose(
        &self,
        entry: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>>;
    /// Asks a quorum whether this node still leads, in a round that begins with this call, and has
    /// everything applied here that was committed before: the last such position. Never answered
    /// from a lease, nor before an entry of the present term is committed (R6).
    fn confirm(&self, patience: Duration) -> BoxFuture<'static, Result<LogPosition, ProposeError>>;
}

/// A connection to a peer that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Disconnected(pub String);

/// Frames to and from one peer.
pub struct Channel {
    /// To the peer; sending waits while the peer is slow.
    pub outgoing: Pin<Box<dyn Sink<Bytes, Error = Disconnected> + Send>>,
    /// From the peer; ends when the peer is done.
    pub incoming: BoxStream<'static, Result<Bytes, Disconnected>>,
}

/// The other nodes.
pub trait Peers: Send + Sync {
    /// Hands a command over.
    fn submit(
        &self,
        to: &NodeName,
        submission: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>>;
    /// Asks a small question.
    fn ask(
        &self,
        to: &NodeName,
        ask: Ask,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Told, Disconnected>>;
    /// Follows a parent's log.
    fn follow(
        &self,
        to: &NodeName,
        subscribe: Subscribe,
    ) -> BoxFuture<'static, Result<Channel, Disconnected>>;
}

/// A node of the roster, as gossip describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Its data directory.
    pub instance: Instance,
    /// Where it stands.
    pub region: Region,
    /// What it serves.
    pub tiers: Tiers,
    /// Whether it seems alive.
    pub alive: bool,
    /// Whether it says that it votes.
    pub votes: bool,
    /// The term in which it says it leads.
    pub leads: Option<u64>,
}

/// Who belongs, and who seems alive.
pub trait Members: Send + Sync {
    /// Everyone in the roster, this node included, by name.
    fn peers(&self) -> Vec<Peer>;
}

/// The cache of this node, as far as commands concern it.
pub trait Cache: Send + Sync {
    /// Cuts off responses under way that a purge applied here covers; says how many.
    fn stop_old(&self) -> u64;
    /// What a purge would remove: copies, and their bytes.
    fn plan(&self, purge: &Invalidation) -> (u64, u64);
    /// Whether it was right of another node to serve this.
    fn judge(&self, sample: &Sample) -> Finding;
}

/// What a node that follows keeps on disk, so that it continues from there. Losing its tail costs
/// time only.
pub trait Shelf: Send + Sync {
    /// The last position kept.
    fn last(&self) -> LogPosition;
    /// Entries kept since the last snapshot.
    fn entries(&self) -> u64;
    /// Keeps the entries that follow [`Shelf::last`].
    fn append(&self, first: LogPosition, entries: &[Bytes]);
    /// Keeps a snapshot in place of everything before it.
    fn replace(&self, position: LogPosition, snapshot: Bytes);
}
