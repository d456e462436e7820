//! HTTP at both ends: hyper towards viewers and towards origins.
//!
//! A [`Listener`] turns what hyper reads into `serve`'s requests and `serve`'s responses into what
//! hyper writes; [`Outbound`] does the same the other way round for origins. Both stream bodies
//! under backpressure, and both see to it that a body which breaks off is never ended cleanly.
//!
//! Nothing here decides about caching, placement or freshness: what is refused at this door is
//! refused because it is not one unambiguous HTTP message within the limits of the house.

mod listen;
mod connection;
mod pulse;
mod watched;
mod inbound;
mod refusal;
mod framing;
mod outgoing;
mod outbound;
mod message;
mod dial;
mod pool;
mod error;

pub use error::GatewayError;
pub use listen::{Limits, Listener, Visit};
pub use outbound::Outbound;

#[cfg(test)]
mod tests;
