//! The ports: everything a request needs from outside, as values that a simulator can swap.
//!
//! Time, tasks, storage, peers, origins, gossip and the log come in through here and through
//! nothing else.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::Guard;
use bytes::Bytes;
use caching::Coding;
use control::{State, Tentative};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use model::{
    CacheKey, Host as HostName, Invalidation, Level, LogPosition, Moment, NodeName, Origin, Region,
    Tiers,
};
use placement::{Seat, View};
use policy::Country;
use wire::exchange::{Answer, Question, Sample};

use crate::account::Account;
use crate::body::{Body, BodyStream};
use crate::change::Changes;
use crate::collapse::Fills;
use crate::flights::Flights;
use crate::lookup::Entry;
use crate::purge::Purged;

/// A node's world: who it is, and its ports.
pub struct World {
    /// This node's name, as in its certificate.
    pub name: NodeName,
    /// Where it stands.
    pub region: Region,
    /// What it serves.
    pub tiers: Tiers,
    /// Clock and tasks.
    pub host: Arc<dyn Host>,
    /// The cache.
    pub store: Arc<dyn Store>,
    /// Other nodes.
    pub peers: Arc<dyn Peers>,
    /// Origin servers.
    pub origins: Arc<dyn Origins>,
    /// Where viewers are.
    pub countries: Arc<dyn Countries>,
    /// Makes encoders, if this node compresses.
    pub encoders: Option<Arc<dyn Encoders>>,
    /// Who belongs and who is alive.
    pub members: Arc<dyn Members>,
    /// The replicated facts.
    pub ledger: Arc<dyn Ledger>,
    /// Where accounts go.
    pub journal: Arc<dyn Journal>,
    /// Fetches under way.
    pub fills: Fills,
    /// Changes at origins under way.
    pub changes: Changes,
    /// Responses on their way to viewers.
    pub flights: Flights,
}

/// The clock and the tasks of the process.
pub trait Host: Send + Sync {
    /// The monotonic clock.
    fn now(&self) -> Moment;
    /// The wall clock, for `Date` arithmetic only.
    fn wall(&self) -> SystemTime;
    /// Runs `task` to its end, whoever asked for it.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// Encodes one body, piece by piece.
pub trait Encoder: Send {
    /// Takes a piece, and gives what is ready by then.
    fn push(&mut self, piece: &[u8]) -> io::Result<Bytes>;
    /// Gives all that was taken, at the cost of some density.
    fn flush(&mut self) -> io::Result<Bytes>;
    /// Gives the rest.
    fn finish(self: Box<Self>) -> io::Result<Bytes>;
}

/// Makes encoders.
pub trait Encoders: Send + Sync {
    /// One for a body.
    fn begin(&self, coding: Coding) -> io::Result<Box<dyn Encoder>>;
}

/// The cache of this node. What it returns may be old: the gate decides, never the store.
pub trait Store: Send + Sync {
    /// The entry kept under `key`.
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>>;
    /// Keeps `entry`, making room as it must; it may refuse what is too large.
    fn keep(&self, key: CacheKey, entry: Arc<Entry>);
    /// Up to `max` entries whose keys follow `after`, in the order of keys.
    fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<Entry>)>;
    /// Drops `entry`, if it is what is kept under `key`.
    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>);
}

/// A peer's answer: the head, then the body as it comes.
pub struct PeerAnswer {
    /// The first frame.
    pub answer: Answer,
    /// What follows it.
    pub body: BodyStream,
}

/// Why a peer gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// No connection: doubt it and ask the next.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// The connection holds, the exchange failed: ask the next.
    #[error("the exchange with the peer failed: {0}")]
    Broken(String),
}

/// The other nodes.
pub trait Peers: Send + Sync {
    /// Asks `to`; the head must come within `patience`. What overtakes it goes to `interim`.
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        patience: Duration,
        interim: Option<Interim>,
    ) -> BoxFuture<'static, Result<PeerAnswer, PeerError>>;
}

/// Called with every interim response (RFC 9110 §15.2) on its way to the viewer.
pub type Interim = Arc<dyn Fn(StatusCode, HeaderMap) + Send + Sync>;

/// A request to an origin.
pub struct OriginRequest {
    /// The method.
    pub method: Method,
    /// The `Host` to send.
    pub host: HostName,
    /// Path and query.
    pub target: String,
    /// End-to-end fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Who wants interim responses, if anybody.
    pub interim: Option<Interim>,
}

/// An origin's answer: the final head, then the body as it comes.
pub struct OriginAnswer {
    /// Final status.
    pub status: StatusCode,
    /// Fields as received, hop-by-hop ones included.
    pub headers: HeaderMap,
    /// Bytes of the body where the head says so.
    pub body_bytes: Option<u64>,
    /// The body.
    pub body: BodyStream,
}

/// Why an origin gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No connection, or it broke before a whole head; also a head that is not HTTP.
    #[error("the origin cannot be reached: {0}")]
    Unreachable(String),
    /// No connection or no head in time.
    #[error("the origin did not answer in time: {0}")]
    TimedOut(String),
    /// The limit on connections to this origin is reached.
    #[error("too many requests to the origin at once")]
    Overloaded,
}

/// The origin servers.
pub trait Origins: Send + Sync {
    /// Sends `request` to `origin`, within the timeouts it names.
    fn fetch(
        &self,
        origin: &Origin,
        request: OriginRequest,
    ) -> BoxFuture<'static, Result<OriginAnswer, OriginError>>;
}

/// A table of addresses.
pub trait Countries: Send + Sync {
    /// The country of `viewer`, if the table knows it.
    fn of(&self, viewer: IpAddr) -> Option<Country>;
}

/// The table of a node that was given none.
pub struct NoCountries;

impl Countries for NoCountries {
    fn of(&self, _: IpAddr) -> Option<Country> {
        None
    }
}

/// Who belongs, and who seems alive: one version of both.
pub struct Mesh {
    /// Rings built from the roster.
    pub view: Arc<View>,
    /// By seat: whether gossip and our own connections think the node alive.
    pub alive: Box<[bool]>,
}

impl Mesh {
    /// Whether the node in `seat` seems alive.
    pub fn is_alive(&self, seat: Seat) -> bool {
        self.alive.get(seat.index()).copied().unwrap_or(false)
    }
}

/// The nodes of the mesh.
pub trait Members: Send + Sync {
    /// The present view.
    fn mesh(&self) -> Guard<Arc<Mesh>>;
    /// A connection to `node` failed just now: leave it out until it is heard of again.
    fn doubt(&self, node: &NodeName);
}

/// What this node knows of the log, and how fresh that is: the gate's whole basis (R5).
pub struct Knowledge {
    /// Until when copies may be served on the strength of the state (R9); nothing without a lease.
    /// Read before the state, so that the state holds at least what the lease vouches for.
    pub valid_until: Option<Moment>,
    /// The replicated facts.
    pub state: Guard<Arc<State>>,
    /// Purges on their way into the log (R24).
    pub tentative: Guard<Arc<Tentative>>,
}

/// The replicated facts as this node knows them.
pub trait Ledger: Send + Sync {
    /// What is known now.
    fn knowledge(&self) -> Knowledge;
    /// The present state.
    fn state(&self) -> Guard<Arc<State>>;
    /// Waits until `position` is applied here, or `patience` is over; says whether it is.
    fn reach(&self, position: LogPosition, patience: Duration) -> BoxFuture<'static, bool>;
    /// Waits until everything that was committed before this call is applied here, as confirmed by
    /// a quorum, or `patience` is over; says whether it is (R22).
    fn confirm(&self, patience: Duration) -> BoxFuture<'static, bool>;
    /// Puts a purge into the log and waits until it has come as far as `level`.
    fn purge(
        &self,
        purge: Invalidation,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Purged>;
    /// What was applied here at `moment`; the start of the log if that is not known any more (R13).
    fn applied_at(&self, moment: Moment) -> LogPosition;
}

/// Takes note of every request once it is answered.
pub trait Journal: Send + Sync {
    /// One request, one account.
    fn record(&self, account: &Account);
    /// Whether the next hit should be looked at again.
    fn wants_sample(&self) -> bool;
    /// A hit, and who is to judge it.
    fn sample(&self, judge: NodeName, sample: Sample);
}
