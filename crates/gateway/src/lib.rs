//! HTTP at both ends: towards viewers, and towards origins.
//!
//! A [`Listener`] turns what viewers send into `serve`'s requests and `serve`'s responses into what
//! they get: HTTP/1 to the letter by code of ours, HTTP/2 by h2. [`Outbound`] does the same the
//! other way round for origins, by hyper. Both stream bodies under backpressure, and both see to it
//! that a body which breaks off is never ended cleanly.
//!
//! Nothing here decides about caching, placement or freshness: what is refused at this door is
//! refused because it is not one unambiguous HTTP message within the limits of the house.

mod listen;
mod connection;
mod flaw;
mod refusal;
mod clock;
mod http1;
mod http2;
mod frame;
mod outgoing;
mod outbound;
mod message;
mod dial;
mod strict;
mod pool;
mod error;

pub use error::GatewayError;
pub use listen::{Limits, Listener, Visit};
pub use outbound::Outbound;

#[cfg(test)]
mod tests;
