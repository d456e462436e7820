//! The nouns of the API, as they look in JSON: what a program that speaks to a node reads and
//! writes.
//!
//! Names are in snake case, units end them, and unknown keys in requests are refused. They are kept
//! apart from the nouns inside, so that the inside can change without breaking anybody's script.

mod status;
mod command;
mod distribution;

pub use command::{Applied, InvalidationRequest, Receipt};
pub use distribution::{Change, DistributionReceipt, Distributions, schema};
pub use status::{LogStatus, NodeRole, NodeStatus, Served, ServedByTier, Status};

use model::Level;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

/// How [`Level`] looks in the document.
pub(crate) fn level() -> Schema {
    levels("In the log, on disk at a majority; or applied by every live node.").into()
}

/// How far a caller waits, in the document.
pub(crate) fn wait() -> Schema {
    let described = "How far the command must come before it is answered: \
        into the log, on disk at a majority; or applied by every live node.";
    levels(described).default(Some(Level::Applied.to_string().into())).into()
}

fn levels(described: &str) -> ObjectBuilder {
    let words = [Level::Committed, Level::Applied].map(|level| level.to_string());
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.enum_values(Some(words)).description(Some(described))
}
