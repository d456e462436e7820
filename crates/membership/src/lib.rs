//! Who is alive: chitchat behind a port, gated by the roster.
//!
//! Gossip is hearsay. It says who lives and how far along they are; who belongs is the log's word
//! alone. [`Gossip`] runs chitchat over whatever carries its messages ([`Post`]), [`Liveness`] is
//! the rule by which a member counts as alive, and [`Neighbours`] is what requests and commands
//! read: the members, their rings, and who of them to try. This crate never opens a socket, and
//! never decides who owns a key.

pub mod liveness;
pub mod post;
mod beginnings;
pub mod facts;
mod life;
pub mod members;
pub mod mesh;

pub use facts::{Heard, Hearsay};
pub use liveness::{Liveness, Sign};
pub use members::{Gossip, Options};
pub use mesh::Neighbours;
pub use post::Post;

#[cfg(test)]
mod tests;
