//! Stories of nodes that talk over the loopback interface: welcome, refusal, death and return.
//!
//! Sockets are this crate's own library, so its tests may open them; they wait for events, never
//! for time to pass.

mod calls;
pub(crate) mod fixture;
mod loss;
mod welcome;
