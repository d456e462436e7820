//! Spread, the child's side: follow the best parent there is, apply what comes, hold its lease, say
//! how far we are; on silence, the next parent.
//!
//! A parent that is left for a better one is told what we have applied until our lease comes from
//! the other, and then that it is not bound by us any more (R12).

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use model::limits::SNAPSHOT_BYTES_MAX;
use model::{LogPosition, NodeName};
use wire::log::{Down, Subscribe};

use crate::apply::ApplyError;
use crate::beside::beside;
use crate::herald::Origin;
use crate::ports::{Channel, Disconnected};
use crate::tell::{self, Outgoing};
use crate::{Follow, herald, upstream};

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
/// Former parents that are told at once.
const FORMER_MAX: usize = 4;

type Incoming = BoxStream<'static, Result<Bytes, Disconnected>>;

/// Why following one parent ended.
enum Parted {
    /// Another parent suits better, or none is needed any more: the stream still holds.
    Better(Outgoing, Incoming),
    /// The connection ended, fell silent, or brought what cannot be applied.
    Lost,
}

/// Follows whoever should be followed, for as long as the node runs.
pub(crate) async fn follow(node: &Follow) {
    let mut avoid: Vec<NodeName> = Vec::new();
    let mut former: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    loop {
        let parents = candidates(node);
        let next = parents.iter().find(|parent| !avoid.contains(parent)).cloned();
        let Some(parent) = next else {
            avoid.clear();
            beside(node.host.sleep(RETRY), &mut former).await;
            continue;
        };
        match beside(follow_one(node, &parent).boxed(), &mut former).await {
            Parted::Lost => avoid.push(parent),
            Parted::Better(outgoing, incoming) => {
                avoid.clear();
                if former.len() < FORMER_MAX {
                    let leaving = tell::until_left(node, parent, outgoing);
                    let both =
                        async { drop(select(leaving.boxed(), drain(incoming).boxed()).await) };
                    former.push(both.boxed());
                }
            }
        }
    }
}

async fn drain(mut incoming: Incoming) {
    while let Some(Ok(_)) = incoming.next().await {}
}

/// Parents by the roster; before there is one, whoever we joined through.
fn candidates(node: &Follow) -> Vec<NodeName> {
    let role = node.group.role();
    let parents = upstream::parents(&node.name, role, &node.members.peers());
    if parents.is_empty() && !role.leads { node.seeds() } else { parents }
}

async fn follow_one(node: &Follow, parent: &NodeName) -> Parted {
    let applied = node.replica.applied();
    let subscribe = Subscribe { applied, incarnation: node.incarnation };
    let opening = node.peers.follow(parent, subscribe);
    let channel = match select(opening, node.host.sleep(SILENCE)).await {
        Either::Left((Ok(channel), _)) => channel,
        Either::Left((Err(_), _)) | Either::Right(_) => return Parted::Lost,
    };
    let Channel { mut outgoing, mut incoming } = channel;
    let better = {
        let down = std::pin::pin!(take(node, parent, &mut incoming));
        let up = std::pin::pin!(tell::upward(node, &mut outgoing));
        let watch = std::pin::pin!(reconsider(node, parent));
        matches!(select(select(down, up), watch).await, Either::Right(_))
    };
    if better { Parted::Better(outgoing, incoming) } else { Parted::Lost }
}

/// Ends when the parent should no longer be followed, or when a better one has been there for long:
/// after a failure the log flows through the near regionals again.
async fn reconsider(node: &Follow, parent: &NodeName) {
    let mut second_best = 0;
    while second_best < SECOND_BEST_MAX {
        node.host.sleep(RECONSIDER).await;
        let parents = candidates(node);
        match parents.iter().position(|candidate| candidate == parent) {
            None => return,
            Some(0) => second_best = 0,
            Some(_) => second_best += 1,
        }
    }
}

/// Takes what the parent sends, until it is silent or sends what cannot be.
async fn take(node: &Follow, parent: &NodeName, incoming: &mut Incoming) {
    let mut snapshot: Vec<u8> = Vec::new();
    loop {
        let frame = match select(incoming.next(), node.host.sleep(SILENCE)).await {
            Either::Left((Some(Ok(frame)), _)) => frame,
            Either::Left((Some(Err(_)) | None, _)) | Either::Right(_) => return,
        };
        let Ok(down) = Down::decode(&frame) else { return };
        if take_one(node, parent, down, &mut snapshot).is_err() {
            return;
        }
    }
}

fn take_one(
    node: &Follow,
    parent: &NodeName,
    down: Down,
    snapshot: &mut Vec<u8>,
) -> Result<(), ApplyError> {
    if let Some(position) = spoken_of(&down) {
        node.hear_of(position);
        let (given, present) = (position.epoch(), node.replica.epoch());
        if given < present {
            return Err(ApplyError::Outranked { given, present });
        }
    }
    match down {
        Down::Beat(applied) => node.confirm.hear(applied),
        Down::Grant(grant) => {
            node.confirm.hear(grant.applied);
            node.fence.take(parent, grant, node.replica.applied());
        }
        Down::Tentative(entry) => herald::hear(node, &entry, Origin::Above),
        Down::Entries { first, entries } => {
            node.replica.apply(first, &entries)?;
            shelve(node, first, &entries);
            let last = first.index() + entries.len() as u64;
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

/// Where the parent says that it is.
fn spoken_of(down: &Down) -> Option<LogPosition> {
    match down {
        Down::Beat(position)
        | Down::Entries { first: position, .. }
        | Down::Snapshot { position, .. } => Some(*position),
        Down::Grant(grant) => Some(grant.through),
        Down::Tentative(_) => None,
    }
}

/// Keeps what was applied. Where the shelf has a gap, or has become long, a snapshot puts it right.
fn shelve(node: &Follow, first: LogPosition, entries: &[Bytes]) {
    let last = node.shelf.last();
    let next = LogPosition::new(last.epoch(), last.index() + 1);
    if next == first && node.shelf.entries() < SHELF_ENTRIES_MAX {
        node.shelf.append(first, entries);
    } else if first.index() + entries.len() as u64 > next.index() || first.epoch() > next.epoch() {
        let (position, snapshot) = node.replica.snapshot();
        node.shelf.replace(position, snapshot);
    }
}
