//! The desk behind the door: the port through which the program answers operators.
//!
//! It hands out facts and takes commands. It never speaks HTTP.

use std::sync::Arc;
use std::time::Duration;

use control::{Command, CommandId, State};
use follow::{Progressed, Receipt, SubmitError};
use futures_util::future::BoxFuture;
use model::{Invalidation, Level, LogPosition, NodeName};

use crate::view::Status;

/// What the door needs of the node.
pub trait Desk: Send + Sync {
    /// Puts a command into the log and waits until it has come as far as `level`, but not longer
    /// than `patience`. Without an id, the desk draws one.
    fn submit(
        &self,
        id: Option<CommandId>,
        command: Command,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Receipt, SubmitError>>;

    /// How far the command at `position` has come, as the leader knows: waits until it has come as
    /// far as `level`, but not longer than `patience`. `None`: no leader could be asked in that
    /// time.
    fn reach(
        &self,
        position: LogPosition,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Option<Progressed>>;

    /// What `purge` would remove from every live node, this one included. Nothing happens.
    fn plan(&self, purge: Invalidation) -> BoxFuture<'static, Vec<Planned>>;

    /// The mesh as this node sees it.
    fn status(&self) -> Status;

    /// The replicated facts as this node knows them.
    fn state(&self) -> Arc<State>;

    /// Whether this node should be sent viewers.
    fn readiness(&self) -> Readiness;

    /// Its metrics as OpenMetrics text, as [`crate::Metrics::encode`] writes it.
    fn metrics(&self) -> String;
}

/// What a purge would remove from one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The node.
    pub node: NodeName,
    /// What it says; `None` if it did not answer.
    pub copies: Option<Copies>,
}

/// Cached copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// How many.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Whether a node should be sent viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It should.
    Ready,
    /// Not yet, or no longer: what it waits for.
    Waiting(String),
}
