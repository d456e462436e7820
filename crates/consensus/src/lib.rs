//! Agreeing on the log: one Raft group (openraft) on disk (sled) that orders opaque commands.
//!
//! It knows nothing of what a command means: a [`Machine`] applies them, a [`Network`] carries the
//! messages, and both are somebody else's. Every node of the mesh opens a [`Group`]; whoever is no
//! voter stays silent in it and keeps the log in its [`Journal`] instead.
//!
//! The story of a command: [`Group::propose`], the entry on disk (`log_store`), the entry at a
//! quorum (`network`, `rpc`), [`Machine::apply`]. The story of a newcomer: a snapshot in parts
//! (`transfer`), then the log, then a vote (`autopilot`). The story of a disaster: most voters lost
//! their disks, and one that did not goes on alone (`recovery`).

pub mod autopilot;
mod disk;
mod error;
mod group;
mod journal;
mod log_store;
mod machine;
mod mark;
mod medium;
mod network;
mod raft;
mod records;
mod recovery;
mod role;
mod rpc;
mod snapshot_file;
mod timings;
mod transfer;
mod tree;

#[cfg(test)]
mod mesh;

pub use error::{ChangeError, ConsensusError, ProposeError};
pub use group::{Group, Options};
pub use journal::{Journal, Kept};
pub use machine::Machine;
pub use medium::MemoryDisk;
pub use network::{Network, Unreachable};
pub use recovery::Remains;
pub use role::Role;
pub use timings::Timings;
