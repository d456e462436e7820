//! What a purge asks for, and the receipt that every command gets.
//!
//! A receipt never claims more than was heard when it was written: what was wanted and what was
//! reached stand side by side.

use std::time::Duration;

use model::{Effect, Level};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Summary;

/// What is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvalidationRequest {
    /// Whose content. May be left out when one of the paths is a full URL, or one of the hosts is
    /// one, that belongs to a distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("shop"))]
    pub distribution: Option<String>,
    /// One resource (`/a.css`, query included), a pattern with `*` for any characters (`/img/*`,
    /// `/*.jpg`), or either as a full URL, which covers that host only. Paths, tags and hosts may
    /// be mixed, 3000 of them in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(examples("/img/*", "https://shop.example/a.css"))]
    pub paths: Vec<String>,
    /// Everything that the origin gave one of these tags (`Surrogate-Key`, `Cache-Tag`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(examples("product-42"))]
    pub tags: Vec<String>,
    /// Everything of these hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(examples("shop.example"))]
    pub hosts: Vec<String>,
    /// Everything of the distribution, in place of `paths`, `tags` and `hosts`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// `hard`: it is gone. `soft`: it is stale, so it is revalidated before it counts as fresh, and
    /// may be served meanwhile where stale content may be.
    #[serde(default, skip_serializing_if = "is_hard")]
    #[schema(schema_with = super::effect)]
    pub effect: Effect,
    /// How far the purge must come before it is answered: `fenced` unless given; `applied` where
    /// the distribution has `when_fenced = "stale-ok"`, since nothing of it is ever fenced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = super::purge_wait)]
    pub wait: Option<Level>,
    /// How long the answer may take: 1 to 120000, 30000 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 120_000)]
    pub timeout_ms: Option<u64>,
    /// Makes repetition harmless: requests with the same key are one purge. 1 to 64 characters; use
    /// a new one for every other request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Only count what would go, on every node. Nothing happens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
}

fn is_hard(effect: &Effect) -> bool {
    *effect == Effect::Hard
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
    /// From the leader's receipt of the command until it was on disk at a majority. In a receipt
    /// that is asked for afterwards 0, and the other times count from the commit.
    pub committed_ms: u64,
    /// Until half of the nodes in `applied` had applied it; null if none had.
    pub applied_p50_ms: Option<u64>,
    /// Until the last of the nodes in `applied` had; null if none had.
    pub applied_last_ms: Option<u64>,
    /// Until no node anywhere could serve what it covers; null if that was not reached.
    pub fenced_ms: Option<u64>,
    /// Nodes that had applied it when the receipt was written.
    pub applied: Vec<Applied>,
    /// Live nodes that had not yet.
    pub pending: Vec<String>,
    /// Nodes that had not, and can serve nothing from cache, since their lease has run out.
    pub expired: Vec<String>,
    /// Responses under way that were cut off while it spread.
    pub responses_cut: u64,
    /// What was purged; absent in receipts of other commands, and of purges that the log has
    /// forgotten by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalidation: Option<Summary>,
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
        let follow::Receipt { id, progressed } = receipt;
        let applied = progressed.applied.into_iter();
        let applied = applied.map(|(node, took)| Applied { node: node.into(), ms: millis(took) });
        let applied: Vec<Applied> = applied.collect();
        let mut times: Vec<u64> = applied.iter().map(|node| node.ms).collect();
        times.sort_unstable();
        let names = |nodes: Vec<model::NodeName>| nodes.into_iter().map(String::from).collect();
        let id = id.to_string();
        Receipt {
            idempotency_key: key.unwrap_or_else(|| id.clone()),
            id,
            epoch: progressed.position.epoch(),
            log_index: progressed.position.index(),
            level: progressed.level,
            wanted,
            committed_ms: millis(progressed.committed),
            applied_p50_ms: times.get(times.len().saturating_sub(1) / 2).copied(),
            applied_last_ms: times.last().copied(),
            fenced_ms: progressed.fenced.map(millis),
            applied,
            pending: names(progressed.pending),
            expired: names(progressed.expired),
            responses_cut: progressed.cut,
            invalidation: None,
        }
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
