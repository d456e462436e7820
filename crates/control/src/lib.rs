//! The replicated facts: one ordered log of commands, one `apply`, one state that every node holds.
//!
//! `State` is a value: cloning it is cheap (its maps share structure), so that readers hold one
//! version while the only writer makes the next. Applying is deterministic: same log, same state,
//! on every node and in every build.

pub mod command;
pub mod epochs;
pub mod receipt;
pub mod lease;
pub mod state;
pub mod tentative;

pub use command::{Command, CommandId, Envelope, Fingerprint, Outcome, Record, Refusal};
pub use epochs::{Epochs, Purged, Standing};
pub use lease::{Holder, Holders, Lease, Office, Token};
pub use receipt::{Progress, Timeline};
pub use state::State;
pub use tentative::Tentative;
