//! The mesh as one node sees it: its own place, the log, and everyone in the roster.
//!
//! Read by people through the command line and by scripts: fields are added here, never renamed.
//! It says nothing that only the leader would know.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The mesh as this node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The mesh's name, once it is formed.
    pub mesh: Option<String>,
    /// The node that answers.
    pub node: String,
    /// Whether it should be sent viewers.
    pub ready: bool,
    /// The node that leads the Raft group, if one is known to.
    pub leader: Option<String>,
    /// How far the log has come.
    pub log: LogStatus,
    /// Everyone in the roster, by name.
    pub nodes: Vec<NodeStatus>,
    /// How many distributions there are.
    pub distributions: u64,
    /// How long a node may serve copies without hearing of later purges, in milliseconds.
    pub lease_ms: u64,
    /// What the canary found on all nodes that seem alive.
    pub canary: Canary,
    /// The newest protocol that all nodes speak that seem alive; null while one of them does not
    /// say, as programs before protocol 3.
    pub protocol: Option<u16>,
}

/// What became of the hits that were looked at again: a node asks the object's shield owner whether
/// what it served was still good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Canary {
    /// Hits that were judged since the nodes started.
    pub samples: u64,
    /// Those that should not have been served: an acknowledged purge covered them.
    pub violations: u64,
}

/// How far the log has come, as the answering node knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogStatus {
    /// The position applied, as `epoch:index`.
    #[schema(examples("0:12"))]
    pub applied: String,
    /// The furthest position heard of, as `epoch:index`.
    #[schema(examples("0:12"))]
    pub head: String,
    /// The epoch of the position applied: it rises when a mesh is recovered by force.
    pub epoch: u16,
    /// The index applied.
    pub applied_index: u64,
    /// The furthest index heard of.
    pub head_index: u64,
}

/// One node of the roster, as gossip describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub region: String,
    /// What it serves: `edge`, `regional`, `shield`.
    pub tiers: Vec<String>,
    /// Whether it seems alive.
    pub alive: bool,
    /// Its part in the Raft group.
    pub role: NodeRole,
    /// Where its peers reach it.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Where viewers reach it.
    #[schema(value_type = Option<String>)]
    pub http: Option<SocketAddr>,
    /// Where operators reach it.
    #[schema(value_type = Option<String>)]
    pub admin: Option<SocketAddr>,
    /// The log index that it has applied.
    pub applied: u64,
    /// Log entries that it is behind.
    pub lag: u64,
    /// Requests in flight, in coarse steps.
    pub load: u64,
    /// Requests it has answered since it started, by tier.
    pub served: ServedByTier,
    /// How old its lease was when it last said so, in milliseconds; null if it holds none.
    pub lease_age_ms: Option<u64>,
    /// Whether it can vouch for none of its copies, since its lease has run out.
    pub fenced: bool,
    /// What the canary found on it.
    pub canary: Canary,
    /// The newest protocol that it speaks; null if it does not say, as programs before protocol 3.
    pub protocol: Option<u16>,
}

/// A node's part in the Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It leads.
    Leader,
    /// It votes.
    Voter,
    /// It follows the log.
    Follower,
}

/// Requests answered, by the tier in which the node was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServedByTier {
    /// By viewers.
    pub edge: Served,
    /// By edges of its region.
    pub regional: Served,
    /// By regional owners of the mesh.
    pub shield: Served,
}

/// Requests answered in one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Served {
    /// All of them.
    pub requests: u64,
    /// Those answered from this node's cache.
    pub hits: u64,
    /// Hits per request; null before the first.
    pub hit_ratio: Option<f64>,
}

impl Served {
    /// So many hits among so many requests.
    pub fn of(requests: u64, hits: u64) -> Served {
        let hit_ratio = (requests > 0).then(|| hits as f64 / requests as f64);
        Served { requests, hits, hit_ratio }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_requests_have_no_hit_ratio() {
        assert_eq!(Served::of(0, 0).hit_ratio, None);
        assert_eq!(Served::of(4, 3).hit_ratio, Some(0.75));
    }
}
