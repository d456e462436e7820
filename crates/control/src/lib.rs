//! The replicated facts: one ordered log of commands, one `apply`, one state that every node holds.
//!
//! `State` is a value: cloning it is cheap (its maps share structure), so that readers hold one
//! version while the only writer makes the next. Applying is deterministic: same log, same state,
//! on every node and in every build.

pub mod command;
pub mod epochs;
pub mod receipt;
pub mod state;

pub use command::{Command, CommandId, Envelope, Fingerprint, Outcome, Refusal};
pub use epochs::Epochs;
pub use receipt::Progress;
pub use state::State;
