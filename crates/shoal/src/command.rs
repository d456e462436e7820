//! One file for each command.

pub(crate) mod apply;
pub(crate) mod ca;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod purge;
pub(crate) mod run_node;
pub(crate) mod status;
