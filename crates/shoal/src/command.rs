//! One file for each command, and what several of them share: how long to wait, how a receipt
//! looks.

pub(crate) mod apply;
pub(crate) mod ca;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod invalidations;
pub(crate) mod patience;
pub(crate) mod progress;
pub(crate) mod purge;
pub(crate) mod receipt;
pub(crate) mod recover;
pub(crate) mod run_node;
pub(crate) mod status;
