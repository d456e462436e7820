//! What a node brings to its links: where peers are, and what to do with what they say.
//!
//! A [`Service`] is asked for permission before the first byte of a stream is read, then handed
//! the bytes. It never sees a peer whose certificate and hello were not checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::NodeName;
use wire::hello::Kind;

use crate::channel::Channel;
use crate::identity::PeerIdentity;

/// Reads the wall clock.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A refusal in words, which travel to the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Where peers are.
pub trait Directory: Send + Sync + 'static {
    /// The address of a node, if any is known.
    fn address_of(&self, name: &NodeName) -> Option<SocketAddr>;

    /// A peer spoke from an address, and proved who it is.
    fn note(&self, peer: &PeerIdentity, from: SocketAddr) {
        let _ = (peer, from);
    }
}

/// What is done with what peers say. Methods that do not return futures must not block.
pub trait Service: Send + Sync + 'static {
    /// Whether a peer may open a stream of this kind.
    fn admit(&self, from: &PeerIdentity, kind: Kind) -> Result<(), Refused>;

    /// Answers a call. The future is dropped when the caller gives up or is lost.
    fn call(
        &self,
        from: PeerIdentity,
        kind: Kind,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, Refused>>;

    /// Serves a channel. The future is dropped when the connection is lost.
    fn channel(&self, from: PeerIdentity, kind: Kind, channel: Channel) -> BoxFuture<'static, ()>;

    /// Takes one gossip message.
    fn cast(&self, from: PeerIdentity, message: Bytes);
}
