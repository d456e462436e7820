//! The two stories and the shells, joined over the links between nodes: one file for each kind of
//! stream.

pub(crate) mod commands;
pub(crate) mod directory;
pub(crate) mod exchange;
pub(crate) mod gossip;
pub(crate) mod raft;
pub(crate) mod switchboard;
