//! Spread, the child's side: follow the best parent there is, apply what comes, say how far we are;
//! on silence, the next parent.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use model::limits::SNAPSHOT_BYTES_MAX;
use model::{LogPosition, NodeName};
use wire::log::{Down, Subscribe, Up};

use crate::Follow;
use crate::apply::ApplyError;
use crate::ports::{Channel, Disconnected};
use crate::spread::BEAT;
use crate::upstream;

/// A parent that has said nothing for this long is left.
const SILENCE: Duration = Duration::from_millis(1_750);
/// Between two tries when nobody can be followed.
const RETRY: Duration = Duration::from_millis(100);
/// While following, the choice of parent is looked at again this often.
const RECONSIDER: Duration = Duration::from_secs(2);
/// Looks at which another parent must have been better before this one is left.
const SECOND_BEST_MAX: u32 = 5;
/// Entries on the shelf before a snapshot takes their place.
const SHELF_ENTRIES_MAX: u64 = 8_192;

/// Why following one parent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parted {
    /// Another parent suits better, or none is needed any more.
    Better,
    /// The connection ended, fell silent, or brought what cannot be applied.
    Lost,
}

/// Follows whoever should be followed, for as long as the node runs.
pub async fn follow(node: &Follow) {
    let mut avoid: Vec<NodeName> = Vec::new();
    loop {
        let parents = candidates(node);
        let next = parents.iter().find(|parent| !avoid.contains(parent)).cloned();
        let Some(parent) = next else {
            avoid.clear();
            node.host.sleep(RETRY).await;
            continue;
        };
        match follow_one(node, &parent).await {
            Parted::Better => avoid.clear(),
            Parted::Lost => avoid.push(parent),
        }
    }
}

/// Parents by the roster; before there is one, whoever we joined through.
fn candidates(node: &Follow) -> Vec<NodeName> {
    let role = node.group.role();
    let parents = upstream::parents(&node.name, role, &node.members.peers());
    if parents.is_empty() && !role.leads { node.seeds() } else { parents }
}

async fn follow_one(node: &Follow, parent: &NodeName) -> Parted {
    let subscribe = Subscribe { applied: node.replica.applied() };
    let opening = node.peers.follow(parent, subscribe);
    let channel = match select(opening, node.host.sleep(SILENCE)).await {
        Either::Left((Ok(channel), _)) => channel,
        Either::Left((Err(_), _)) | Either::Right(_) => return Parted::Lost,
    };
    let Channel { outgoing, incoming } = channel;
    let down = std::pin::pin!(take(node, incoming));
    let up = std::pin::pin!(tell(node, outgoing));
    let watch = std::pin::pin!(reconsider(node, parent));
    let both = select(down, up);
    match select(both, watch).await {
        Either::Left((Either::Left((parted, _)), _)) => parted,
        Either::Left((Either::Right((parted, _)), _)) => parted,
        Either::Right((parted, _)) => parted,
    }
}

/// Ends when the parent should no longer be followed, or when a better one has been there for long:
/// after a failure the log flows through the near regionals again.
async fn reconsider(node: &Follow, parent: &NodeName) -> Parted {
    let mut second_best = 0;
    while second_best < SECOND_BEST_MAX {
        node.host.sleep(RECONSIDER).await;
        let parents = candidates(node);
        match parents.iter().position(|candidate| candidate == parent) {
            None => return Parted::Better,
            Some(0) => second_best = 0,
            Some(_) => second_best += 1,
        }
    }
    Parted::Better
}

async fn take(
    node: &Follow,
    mut incoming: futures_util::stream::BoxStream<'static, Result<Bytes, Disconnected>>,
) -> Parted {
    let mut snapshot: Vec<u8> = Vec::new();
    loop {
        let frame = match select(incoming.next(), node.host.sleep(SILENCE)).await {
            Either::Left((Some(Ok(frame)), _)) => frame,
            Either::Left((Some(Err(_)) | None, _)) | Either::Right(_) => return Parted::Lost,
        };
        let Ok(down) = Down::decode(&frame) else { return Parted::Lost };
        if take_one(node, down, &mut snapshot).is_err() {
            return Parted::Lost;
        }
    }
}

fn take_one(node: &Follow, down: Down, snapshot: &mut Vec<u8>) -> Result<(), ApplyError> {
    match down {
        Down::Beat(applied) => node.confirm.hear(applied),
        Down::Entries { first, commands } => {
            node.replica.apply(first, &commands)?;
            shelve(node, first, &commands);
            let last = first.index() + commands.len() as u64;
            node.confirm.hear(LogPosition::new(first.epoch(), last.saturating_sub(1)));
        }
        Down::Snapshot { position, part, last } => {
            if snapshot.len() + part.len() > SNAPSHOT_BYTES_MAX {
                return Err(ApplyError::TooLong(SNAPSHOT_BYTES_MAX));
            }
            snapshot.extend_from_slice(&part);
            if last {
                node.replica.install(snapshot)?;
                node.shelf.replace(position, std::mem::take(snapshot).into());
                node.confirm.hear(position);
            }
        }
    }
    Ok(())
}

/// Keeps what was applied. Where the shelf has a gap, or has become long, a snapshot puts it right.
fn shelve(node: &Follow, first: LogPosition, commands: &[Bytes]) {
    let last = node.shelf.last();
    let next = LogPosition::new(last.epoch(), last.index() + 1);
    if next == first && node.shelf.entries() < SHELF_ENTRIES_MAX {
        node.shelf.append(first, commands);
    } else if first.index() + commands.len() as u64 > next.index() || first.epoch() > next.epoch() {
        let (position, snapshot) = node.replica.snapshot();
        node.shelf.replace(position, snapshot);
    }
}

async fn tell(
    node: &Follow,
    mut outgoing: std::pin::Pin<Box<dyn futures_util::Sink<Bytes, Error = Disconnected> + Send>>,
) -> Parted {
    let mut told = control::Progress::default();
    loop {
        let news = node.news_since(&told);
        if !news.is_empty() {
            for (name, position) in &news {
                told.note(name.clone(), *position);
            }
            if outgoing.send(Up { applied: news }.encode()).await.is_err() {
                return Parted::Lost;
            }
        }
        let more = || (!node.news_since(&told).is_empty()).then_some(());
        select(node.heard.until(more), node.host.sleep(BEAT)).await;
    }
}
