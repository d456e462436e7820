//! The types of our Raft group, fixed once: ids are instances, commands and outcomes are bytes.
//!
//! Nodes carry no address: who is where comes from the roster and gossip, so that a node that moves
//! needs no membership change.

use bytes::Bytes;
use openraft::EmptyNode;

openraft::declare_raft_types!(
    /// What openraft is told about our group.
    pub(crate) TypeConfig:
        D = Bytes,
        R = Bytes,
        NodeId = u64,
        Node = EmptyNode,
        SnapshotData = State,
);

pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, EmptyNode>;
pub(crate) type Snapshot = openraft::Snapshot<TypeConfig>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, EmptyNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type Metrics = openraft::RaftMetrics<u64, EmptyNode>;

/// A machine's state as it travels and rests: the index it contains, which may lie beyond the log
/// id of the snapshot that carries it, and the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) index: u64,
    pub(crate) bytes: Bytes,
}
