//! The nouns of the API, as they look in JSON: what a program that speaks to a node reads and
//! writes.
//!
//! Names are in snake case, units end them, and unknown keys in requests are refused. They are kept
//! apart from the nouns inside, so that the inside can change without breaking anybody's script.

mod status;
mod command;
mod invalidation;
mod distribution;

pub use command::{Applied, InvalidationRequest, Receipt};
pub use distribution::{Change, DistributionReceipt, Distributions, schema};
pub use invalidation::{Answer, Invalidations, Listed, Plan, PlannedNode, Summary};
pub use status::{Canary, LogStatus, NodeRole, NodeStatus, Served, ServedByTier, Status};

use model::{Effect, Level};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

/// How [`Level`] looks in the document.
pub(crate) fn level() -> Schema {
    levels(LEVELS).into()
}

/// How far a caller waits, in the document.
pub(crate) fn wait() -> Schema {
    wait_or(Level::Applied)
}

/// The same for purges.
pub(crate) fn purge_wait() -> Schema {
    wait_or(Level::Fenced)
}

/// How far a caller waits who may not wait at all, in the document.
pub(crate) fn wait_if_given() -> Schema {
    levels(LEVELS).into()
}

fn wait_or(default: Level) -> Schema {
    levels(LEVELS).default(Some(default.to_string().into())).into()
}

const LEVELS: &str = "`committed`: in the log, on disk at a majority. `applied`: by every live \
    node. `fenced`: no node anywhere, silent ones included, can serve what it covers.";

fn levels(described: &str) -> ObjectBuilder {
    let words = [Level::Committed, Level::Applied, Level::Fenced].map(|level| level.to_string());
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.enum_values(Some(words)).description(Some(described))
}

/// How [`model::Effect`] looks in the document.
pub(crate) fn effect() -> Schema {
    let words = [Effect::Hard, Effect::Soft].map(|effect| effect.to_string());
    let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    let described = "`hard`: it is gone. `soft`: it is stale.";
    text.default(Some(Effect::Hard.to_string().into())).description(Some(described)).into()
}
