//! Keeping objects: memory, within a byte budget.
//!
//! A store answers with what it was given last under a key, or with nothing. It knows no HTTP and
//! no purge: whether an object may still be served is decided at every read, above it.

mod index;
pub mod memory;
mod store;

pub use memory::{Memory, Weigh};
