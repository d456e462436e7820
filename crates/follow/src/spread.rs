//! Spread, the parent's side: entries down to a child as they are applied here, leases behind them,
//! acknowledgements up from it.
//!
//! A lease is granted only once everything applied here is on its way to the child before it (R7).
//! A child that is too far behind gets a snapshot in parts. A slow child holds nothing but its own
//! position.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use control::Holder;
use futures_util::future::{Either, select};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, SinkExt, StreamExt};
use model::{LogPosition, NodeName};
use wire::log::{Down, Subscribe, Up};

use crate::apply::Needs;
use crate::herald::Origin;
use crate::ports::{Channel, Disconnected};
use crate::{Follow, herald};

/// A parent with nothing new says so this often: its children tell silence from death by it.
pub(crate) const BEAT: Duration = Duration::from_millis(500);
/// Bytes of a snapshot in one frame.
const PART_BYTES: usize = 1024 * 1024;

type Outgoing = std::pin::Pin<Box<dyn futures_util::Sink<Bytes, Error = Disconnected> + Send>>;

/// One child of this node: the process at the other end of one stream.
struct Child<'a> {
    node: &'a Follow,
    holder: Holder,
    /// The number of the last lease asked for and not yet granted.
    asked: Mutex<Option<u64>>,
}

impl Child<'_> {
    fn asked(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether a lease was asked for that can be granted.
    fn waits_for_a_lease(&self) -> bool {
        let valid = self.node.fence.valid_until();
        self.asked().is_some() && valid.is_some_and(|until| until > self.node.host.now())
    }

    /// The lease asked for, now that everything up to `sent` was sent.
    fn grant(&self, sent: LogPosition) -> Option<Down> {
        let asked = self.asked().take()?;
        let now = self.node.host.now();
        let grant = self.node.fence.grant(&self.holder, asked, sent, now);
        if grant.is_none() {
            self.asked().get_or_insert(asked);
        }
        grant.map(Down::Grant)
    }
}

/// Feeds the child `name` until either side is gone.
pub async fn feed(node: &Follow, name: NodeName, channel: Channel) {
    let Channel { outgoing, mut incoming } = channel;
    let first = match select(incoming.next(), node.host.sleep(BEAT * 10)).await {
        Either::Left((Some(Ok(frame)), _)) => frame,
        Either::Left(_) | Either::Right(_) => return,
    };
    let Ok(Subscribe { applied, incarnation }) = Subscribe::decode(&first) else { return };
    node.hear_of(applied);
    let holder = Holder { node: name, incarnation };
    let child = Child { node, holder, asked: Mutex::default() };
    let down = std::pin::pin!(send_down(&child, outgoing, applied).fuse());
    let up = std::pin::pin!(hear(&child, incoming).fuse());
    if let Either::Left((_, up)) = select(down, up).await {
        // The child listens no more. What it said last counts: that it needs our lease no longer.
        select(up, node.host.sleep(BEAT)).await;
    }
}

async fn send_down(
    child: &Child<'_>,
    mut outgoing: Outgoing,
    mut sent: LogPosition,
) -> Result<(), Disconnected> {
    let node = child.node;
    let mut told = node.herald.next();
    loop {
        if let (Some(entry), next) = node.herald.since(told, None) {
            told = next;
            outgoing.send(Down::Tentative(entry).encode()).await?;
        }
        match node.replica.needs(sent) {
            Needs::Snapshot => {
                sent = send_snapshot(node, &mut outgoing).await?;
                continue;
            }
            Needs::Entries { first, entries } => {
                let last = first.index() + entries.len() as u64 - 1;
                sent = LogPosition::new(first.epoch(), last);
                outgoing.send(Down::Entries { first, entries }.encode()).await?;
                continue;
            }
            Needs::Nothing => {}
        }
        if let Some(grant) = child.grant(sent) {
            outgoing.send(grant.encode()).await?;
        }
        let news = || {
            let more = node.replica.applied() > sent || node.herald.next() > told;
            (more || child.waits_for_a_lease()).then_some(())
        };
        let either = select(node.replica.changed().until(news), node.fence.changed.until(news));
        if let Either::Right(_) = select(either, node.host.sleep(BEAT)).await {
            outgoing.send(Down::Beat(node.replica.applied()).encode()).await?;
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

async fn hear(child: &Child<'_>, mut incoming: BoxStream<'static, Result<Bytes, Disconnected>>) {
    let node = child.node;
    while let Some(Ok(frame)) = incoming.next().await {
        match Up::decode(&frame) {
            Ok(Up::Acknowledge { through, news }) => node.hear(&child.holder, through, news),
            Ok(Up::Ask(number)) => {
                *child.asked() = Some(number);
                node.fence.changed.notify();
            }
            Ok(Up::Release(asked)) => {
                // What it let go of must not be granted after this, either.
                child.asked().take_if(|waiting| *waiting <= asked);
                node.fence.release(&child.holder, asked);
            }
            Ok(Up::Tentative(entry)) => herald::hear(node, &entry, Origin::Below),
            Err(_) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{sink, stream};
    use model::Moment;

    use super::*;
    use crate::tests::{NOW, quiet};

    /// What a node that holds a lease may acknowledge, had it applied nine entries, once a child
    /// has said all this at once.
    fn acknowledged_after(said: &[Up]) -> LogPosition {
        let node = quiet();
        let (lease, now) = (Duration::from_secs(10), Moment::at(NOW));
        node.fence.mint(1, LogPosition::ZERO, now, lease);
        let subscribe = Subscribe { applied: LogPosition::ZERO, incarnation: 7 };
        let frames = [subscribe.encode()].into_iter().chain(said.iter().map(Up::encode));
        let frames: Vec<_> = frames.map(Ok).collect();
        let channel = Channel {
            outgoing: Box::pin(sink::drain().sink_map_err(|never| match never {})),
            incoming: stream::iter(frames).chain(stream::pending()).boxed(),
        };
        let mut feeding = feed(&node, "child".parse().unwrap(), channel).boxed();
        for _ in 0..5 {
            assert!((&mut feeding).now_or_never().is_none());
        }
        node.fence.acknowledged(LogPosition::new(0, 9), now)
    }

    #[test]
    fn who_was_set_free_is_granted_nothing_that_it_had_asked_for() {
        let nine = LogPosition::new(0, 9);
        assert_eq!(acknowledged_after(&[]), nine);
        assert_eq!(acknowledged_after(&[Up::Ask(1)]), LogPosition::ZERO, "it holds a lease");
        assert_eq!(acknowledged_after(&[Up::Ask(1), Up::Release(1)]), nine);
        assert_eq!(acknowledged_after(&[Up::Release(1), Up::Ask(2)]), LogPosition::ZERO);
    }
}
