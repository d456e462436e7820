//! What a purge asks for, and the receipt that every command gets.
//!
//! A receipt never claims more than was heard when it was written: what was wanted and what was
//! reached stand side by side.

use model::Level;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvalidationRequest {
    /// Whose content. May be left out when one of the paths is a full URL whose host belongs to a
    /// distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("shop"))]
    pub distribution: Option<String>,
    /// One resource (`/a.css`, query included), a directory (`/img/*`), or either as a full URL,
    /// which covers that host only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(examples("/img/*", "https://shop.example/a.css"))]
    pub paths: Vec<String>,
    /// Everything of the distribution, in place of `paths`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// How far the purge must come before it is answered: `applied` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = super::wait)]
    pub wait: Option<Level>,
    /// How long the answer may take: 1 to 120000, 10000 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 120_000)]
    pub timeout_ms: Option<u64>,
    /// Makes repetition harmless: requests with the same key are one purge. 1 to 64 characters; use
    /// a new one for every other request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The command's id in the log: 32 hex digits.
    pub id: String,
    /// The key to repeat the request with; the same request gets the same place in the log.
    pub idempotency_key: String,
    /// The mesh epoch of its place in the log.
    pub epoch: u16,
    /// Its index in the log.
    pub log_index: u64,
    /// How far it had come when the receipt was written.
    #[schema(schema_with = super::level)]
    pub level: Level,
    /// How far it was waited for. When `level` is less, the time ran out: the command stands, and
    /// spreads further.
    #[schema(schema_with = super::level)]
    pub wanted: Level,
    /// From the leader's receipt of the command until it was on disk at a majority.
    pub committed_ms: u64,
    /// Nodes that had applied it, where `applied` was waited for.
    pub applied: Vec<Applied>,
    /// Live nodes that had not yet.
    pub pending: Vec<String>,
}

/// A node that has applied a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// The node.
    pub node: String,
    /// When the leader heard of it, after it received the command.
    pub ms: u64,
}

impl Receipt {
    pub(crate) fn of(receipt: follow::Receipt, key: Option<String>, wanted: Level) -> Receipt {
        let applied = receipt.applied.into_iter();
        let applied = applied.map(|(node, took)| Applied { node: node.into(), ms: millis(took) });
        let id = receipt.id.to_string();
        Receipt {
            idempotency_key: key.unwrap_or_else(|| id.clone()),
            id,
            epoch: receipt.position.epoch(),
            log_index: receipt.position.index(),
            level: receipt.level,
            wanted,
            committed_ms: millis(receipt.committed),
            applied: applied.collect(),
            pending: receipt.pending.into_iter().map(String::from).collect(),
        }
    }
}

fn millis(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
