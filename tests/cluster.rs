//! The cluster, as its operators and viewers meet it: real processes, real certificates, real
//! disks, SIGKILL.
//!
//! Each file is a theme, each test a promise. A [`stage::Stage`] is one mesh; only one stands at a
//! time, since machines that run tests are small. Nothing here waits for time to pass: every wait
//! is for something to be seen, with a deadline.

pub(crate) mod stage;
mod viewers;
mod program;
mod readers;
mod judge;

mod collapsing;
mod large;
mod deaths;
mod quorum;
mod recovery;
mod restarts;
mod succession;
mod purges;
mod strangers;
mod visits;
mod upgrades;
mod countries;
mod worst;
mod draining;
mod commands;
mod mistakes;
mod relayed;
