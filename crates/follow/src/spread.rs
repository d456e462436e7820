//! Spread, the parent's side: entries down to a child as they are applied here, acknowledgements up
//! from it.
//!
//! A child that is too far behind gets a snapshot in parts. A slow child holds nothing but its own
//! position.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, SinkExt, StreamExt};
use model::LogPosition;
use wire::log::{Down, Subscribe, Up};

use crate::Follow;
use crate::apply::Needs;
use crate::ports::{Channel, Disconnected};

/// A parent with nothing new says so this often: its children tell silence from death by it.
pub(crate) const BEAT: Duration = Duration::from_millis(500);
/// Bytes of a snapshot in one frame.
const PART_BYTES: usize = 1024 * 1024;

/// Feeds one child until either side is gone.
pub async fn feed(node: &Follow, channel: Channel) {
    let Channel { outgoing, mut incoming } = channel;
    let first = match select(incoming.next(), node.host.sleep(BEAT * 10)).await {
        Either::Left((Some(Ok(frame)), _)) => frame,
        Either::Left(_) | Either::Right(_) => return,
    };
    let Ok(subscribe) = Subscribe::decode(&first) else { return };
    let down = std::pin::pin!(send_down(node, outgoing, subscribe.applied).fuse());
    let up = std::pin::pin!(hear(node, incoming).fuse());
    select(down, up).await;
}

type Outgoing = std::pin::Pin<Box<dyn futures_util::Sink<Bytes, Error = Disconnected> + Send>>;

async fn send_down(
    node: &Follow,
    mut outgoing: Outgoing,
    mut sent: LogPosition,
) -> Result<(), Disconnected> {
    loop {
        let down = match node.replica.needs(sent) {
            Needs::Snapshot => {
                sent = send_snapshot(node, &mut outgoing).await?;
                continue;
            }
            Needs::Entries { first, commands } => {
                let last = first.index() + commands.len() as u64 - 1;
                sent = LogPosition::new(first.epoch(), last);
                Down::Entries { first, commands }
            }
            Needs::Nothing => Down::Beat(node.replica.applied()),
        };
        let idle = matches!(down, Down::Beat(_));
        outgoing.send(down.encode()).await?;
        if idle {
            let news = || (node.replica.applied() > sent).then_some(());
            select(node.replica.changed().until(news), node.host.sleep(BEAT)).await;
        }
    }
}

async fn send_snapshot(
    node: &Follow,
    outgoing: &mut Outgoing,
) -> Result<LogPosition, Disconnected> {
    let (position, snapshot) = node.replica.snapshot();
    let parts = snapshot.len().div_ceil(PART_BYTES);
    for at in 0..parts {
        let end = snapshot.len().min((at + 1) * PART_BYTES);
        let part = snapshot.slice(at * PART_BYTES..end);
        let down = Down::Snapshot { position, part, last: at + 1 == parts };
        outgoing.send(down.encode()).await?;
    }
    Ok(position)
}

async fn hear(node: &Follow, mut incoming: BoxStream<'static, Result<Bytes, Disconnected>>) {
    while let Some(Ok(frame)) = incoming.next().await {
        match Up::decode(&frame) {
            Ok(up) => node.hear(up.applied),
            Err(_) => break,
        }
    }
}
