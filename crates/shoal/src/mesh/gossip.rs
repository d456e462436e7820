//! Gossip over the links.

use std::net::SocketAddr;

use bytes::Bytes;
use membership::Post;
use transport::Links;

/// Carries gossip messages.
pub(crate) struct Letters(pub(crate) Links);

impl Post for Letters {
    fn cast(&self, to: SocketAddr, message: Bytes) {
        self.0.cast(to, message);
    }
}
