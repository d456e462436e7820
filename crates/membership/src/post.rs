//! The post: what carries gossip from node to node, and chitchat's socket made of it.
//!
//! Chitchat reads, ticks and sends in one task, so sending never waits and reading survives being
//! interrupted. Messages wait undecoded, in a bounded queue that outlives any one chitchat. Bytes
//! of peers may be anything: what does not decode, or would inflate beyond measure, is dropped
//! here, and never ends gossip.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatId, ChitchatMessage, Deserializable, Serializable};
use model::limits::{GOSSIP_BLOCKS_MAX, GOSSIP_BYTES_MAX};
use tokio::sync::{Mutex, mpsc};
use tracing::debug;

use crate::beginnings::Beginnings;

/// Carries gossip to other nodes.
pub trait Post: Send + Sync {
    /// Sends `message` to the node that advertises `to`. Never waits: drops what it cannot take.
    fn cast(&self, to: SocketAddr, message: Bytes);
}

/// A message and the advertised address of its sender.
pub(crate) type Letter = (SocketAddr, Bytes);

/// Where chitchat sends and reads. Each life of it opens the same one.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) post: Arc<dyn Post>,
    pub(crate) inbox: Arc<Mutex<mpsc::Receiver<Letter>>>,
    pub(crate) beginnings: Beginnings,
}

#[async_trait]
impl Transport for Mailbox {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Socket for Mailbox {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let begins = matches!(message, ChitchatMessage::Syn { .. });
        let message = message.serialize_to_vec();
        if begins && !self.beginnings.begin(message.len()) {
            return Ok(());
        }
        if message.len() <= GOSSIP_BYTES_MAX {
            self.post.cast(to, message.into());
        } else {
            debug!(%to, bytes = message.len(), "gossip not sent: too long");
        }
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        let mut inbox = self.inbox.lock().await;
        loop {
            let (from, message) = inbox.recv().await.context("this node stops")?;
            match decode(&message) {
                Ok(message) => return Ok((from, message)),
                Err(malformed) => debug!(%from, %malformed, "gossip dropped"),
            }
        }
    }
}

/// Why a message is dropped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// Longer than any honest one.
    #[error("{0} bytes, at most {GOSSIP_BYTES_MAX} are taken")]
    Long(usize),
    /// Small, but not once it is inflated.
    #[error("{0} blocks, at most {GOSSIP_BLOCKS_MAX} are taken")]
    Inflated(usize),
    /// Not chitchat's.
    #[error("unreadable")]
    Unreadable(#[source] anyhow::Error),
}

fn decode(message: &[u8]) -> Result<ChitchatMessage, Malformed> {
    if message.len() > GOSSIP_BYTES_MAX {
        return Err(Malformed::Long(message.len()));
    }
    let blocks = count_blocks(message).map_err(Malformed::Unreadable)?;
    if blocks > GOSSIP_BLOCKS_MAX {
        return Err(Malformed::Inflated(blocks));
    }
    ChitchatMessage::deserialize(&mut &message[..]).map_err(Malformed::Unreadable)
}

/// The compressed blocks in a message: `magic: u16, version: u8, kind: u8`, then for a SYN-ACK a
/// digest and blocks, for an ACK blocks. Chitchat 0.11.2 inflates all of them before it looks.
fn count_blocks(message: &[u8]) -> anyhow::Result<usize> {
    const SYN_ACK: u8 = 1;
    const ACK: u8 = 2;
    const END: u8 = 0;
    let mut rest = message;
    let [_, _, _, kind] = <[u8; 4]>::deserialize(&mut rest)?;
    if kind == SYN_ACK {
        for _ in 0..u16::deserialize(&mut rest)? {
            ChitchatId::deserialize(&mut rest)?;
            // Heartbeat, last version collected, last version.
            <[u8; 24]>::deserialize(&mut rest)?;
        }
    } else if kind != ACK {
        return Ok(0);
    }
    let mut blocks = 0;
    while u8::deserialize(&mut rest)? != END {
        let bytes = usize::from(u16::deserialize(&mut rest)?);
        rest = rest.get(bytes..).context("a block is cut short")?;
        blocks += 1;
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ACK of as many empty blocks.
    fn ack(blocks: usize) -> Vec<u8> {
        let mut message = 45_139_u16.serialize_to_vec();
        message.extend([0, 2]);
        message.extend([2, 0, 0].repeat(blocks));
        message.push(0);
        message
    }

    #[test]
    fn a_message_that_would_inflate_beyond_measure_is_not_opened() {
        assert!(decode(&ack(0)).is_ok() && decode(&ack(GOSSIP_BLOCKS_MAX)).is_ok());
        let refused = decode(&ack(GOSSIP_BLOCKS_MAX + 1));
        assert!(matches!(refused, Err(Malformed::Inflated(65))), "{refused:?}");

        let padded = |bytes| [ack(0), vec![0; bytes - 5]].concat();
        assert!(decode(&padded(GOSSIP_BYTES_MAX)).is_ok());
        let refused = decode(&padded(GOSSIP_BYTES_MAX + 1));
        assert!(matches!(refused, Err(Malformed::Long(_))), "{refused:?}");
    }

    #[test]
    fn what_is_cut_short_is_refused_at_every_length() {
        let message = ack(3);
        for cut in 0..message.len() {
            assert!(matches!(decode(&message[..cut]), Err(Malformed::Unreadable(_))), "{cut}");
        }
    }
}
