//! The two stories and the shells, joined over the links between nodes: one file for each kind of
//! stream.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use transport::{LinkError, Receiver};

pub(crate) mod commands;
pub(crate) mod directory;
pub(crate) mod exchange;
pub(crate) mod gossip;
pub(crate) mod raft;
pub(crate) mod switchboard;

/// Frames until the END frame; a stream that stops without one ends in an error.
fn frames(receiver: Receiver) -> impl Stream<Item = Result<Bytes, LinkError>> + Send {
    stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.next().await {
            Ok(Some(frame)) => Some((Ok(frame), Some(receiver))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}
