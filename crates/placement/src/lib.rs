//! Who owns a key, and which hop is next.
//!
//! A [`View`] is built from the roster in the log, so that nodes at the same position agree; gossip
//! only says who is alive, and a dead owner is stepped over by [`walk()`]. Two nodes whose views
//! differ may cost a second fetch, never a wrong answer. Reading order is the order of the `mod`
//! lines. Nothing here waits, draws lots or looks at a clock.

mod owner;
mod ring;
pub mod view;
pub mod walk;

pub use view::{Seat, View};
pub use walk::{Hop, Walk, walk};
