//! Talking to peers: authenticated connections over one UDP port, and nothing about what is said.
//!
//! Every node has a certificate from the mesh's own authority that carries its name, region and
//! tiers. Two connections lead to each peer, one for control and one for bodies; both open with a
//! hello, and each stream with the kind of what it carries. Whoever knows what the bytes mean
//! implements [`Service`]. This crate never decides about caching, membership or the log.

pub mod error;

pub mod identity;

pub mod authority;
pub mod credentials;
mod files;
mod tls;

pub mod service;

pub mod links;

mod presence;

mod greet;

mod pulse;
mod slot;

mod dial;
mod inbound;

pub mod channel;
mod code;

pub use authority::{Authority, Validity};
pub use channel::{Channel, Receiver, Sender};
pub use credentials::Credentials;
pub use error::{LinkError, TransportError};
pub use identity::{Identity, PeerIdentity};
pub use links::{Links, Local, Target};
pub use service::{Directory, Refused, Service, WallClock};

#[cfg(test)]
mod tests;
