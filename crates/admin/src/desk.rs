//! The desk behind the door: the port through which the program answers operators.
//!
//! It hands out facts and takes commands. It never speaks HTTP.

use std::sync::Arc;
use std::time::Duration;

use control::{Command, CommandId, State};
use follow::{Receipt, SubmitError};
use futures_util::future::BoxFuture;
use model::Level;

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

    /// The mesh as this node sees it.
    fn status(&self) -> Status;

    /// The replicated facts as this node knows them.
    fn state(&self) -> Arc<State>;

    /// Whether this node should be sent viewers.
    fn readiness(&self) -> Readiness;

    /// Its metrics as OpenMetrics text, as [`crate::Metrics::encode`] writes it.
    fn metrics(&self) -> String;
}

/// Whether a node should be sent viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It should.
    Ready,
    /// Not yet, or no longer: what it waits for.
    Waiting(String),
}
