//! Purges as they are listed afterwards, and what one would remove.
//!
//! The log remembers of a purge whose it was, its first scope and how many there were: enough to
//! recognize it.

use control::Record;
use model::{Effect, Invalidation, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Receipt;
use crate::desk::Planned;

/// What a purge covers, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Whose content.
    pub distribution: String,
    /// Gone, or stale.
    #[schema(schema_with = super::effect)]
    pub effect: Effect,
    /// How many paths, tags and hosts it named.
    pub scopes: u64,
    /// The first of them.
    #[schema(examples("/img/*", "https://shop.example/a.css", "tag product-42"))]
    pub first_scope: String,
}

impl Summary {
    pub(crate) fn of(purge: &Invalidation) -> Summary {
        Summary {
            distribution: purge.distribution.to_string(),
            effect: purge.effect,
            scopes: purge.scopes.len() as u64,
            first_scope: purge.scopes.first().map(Scope::to_string).unwrap_or_default(),
        }
    }

    pub(crate) fn of_record(record: &Record) -> Summary {
        Summary {
            distribution: record.distribution.to_string(),
            effect: record.effect,
            scopes: record.scopes.into(),
            first_scope: record.first.to_string(),
        }
    }
}

/// The last purges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invalidations {
    /// Newest first.
    pub invalidations: Vec<Listed>,
}

/// A purge in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listed {
    /// Its id in the log: 32 hex digits.
    pub id: String,
    /// The mesh epoch of its place in the log.
    pub epoch: u16,
    /// Its index in the log.
    pub log_index: u64,
    /// What it covers.
    #[serde(flatten)]
    pub summary: Summary,
}

impl Listed {
    pub(crate) fn of(record: &Record) -> Listed {
        Listed {
            id: record.id.to_string(),
            epoch: record.position.epoch(),
            log_index: record.position.index(),
            summary: Summary::of_record(record),
        }
    }
}

/// What a purge would remove. Nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What it would cover.
    pub invalidation: Summary,
    /// Copies on all nodes that answered.
    pub copies: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// The nodes that answered.
    pub nodes: Vec<PlannedNode>,
    /// Live nodes that did not: what they hold is not counted.
    pub unreachable: Vec<String>,
}

/// What would go from one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedNode {
    /// The node.
    pub node: String,
    /// Copies that would go.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Plan {
    pub(crate) fn of(invalidation: Summary, planned: Vec<Planned>) -> Plan {
        let (mut nodes, mut unreachable) = (Vec::new(), Vec::new());
        for Planned { node, copies } in planned {
            let node = node.to_string();
            match copies {
                None => unreachable.push(node),
                Some(found) => {
                    nodes.push(PlannedNode { node, copies: found.count, bytes: found.bytes });
                }
            }
        }
        // What peers say is added up without trusting it to be small.
        let copies = nodes.iter().map(|node| node.copies).fold(0, u64::saturating_add);
        let bytes = nodes.iter().map(|node| node.bytes).fold(0, u64::saturating_add);
        Plan { invalidation, copies, bytes, nodes, unreachable }
    }
}

/// The answer to a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Answer {
    /// It is in the log.
    Receipt(Receipt),
    /// It was only planned.
    Plan(Plan),
}
