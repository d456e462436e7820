//! The nouns of the API, as they look in JSON: what a program that speaks to a node reads and writes.
//!
//! Names are in snake case, units end them, and unknown keys in requests are refused. They are kept apart from the nouns
//! inside, so that the inside can change without breaking anybody's script.

mod status;
mod command;
mod distribution;

pub use command::{Applied, InvalidationRequest, Receipt};
pub use distribution::{Change, DistributionReceipt, Distributions, schema};
pub use status::{LogStatus, NodeRole, NodeStatus, Served, ServedByTier, Status};

use utoipa::openapi::schema::{ObjectBuilder, Schema};

/// How [`model::Level`] looks in the document.
pub(crate) fn level() -> Schema {
    let words = [model::Level::Committed, model::Level::Applied].map(|level| level.to_string());
    let described = "In the log, on disk at a majority; or applied by every live node.";
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(words))
        .description(Some(described))
        .into()
}
