//! Ask: small questions from peers, answered from what this node knows, or passed on toward the
//! leader.

use std::time::Duration;

use control::{Command, Envelope};
use model::limits::COMMAND_BYTES_MAX;
use model::{Invalidation, Level, LogPosition, Moment};
use wire::codec;
use wire::exchange::Finding;
use wire::log::{Ask, Told};

use crate::herald::Origin;
use crate::submit::{HOPS_MAX, RETRY, toward_leader};
use crate::{Follow, confirm, herald, receipt};

/// How long a question about the log's head may take here.
const CONFIRM: Duration = Duration::from_secs(2);
/// How long a receipt is waited for at most on behalf of a peer.
const REACH_MAX: Duration = Duration::from_secs(120);

/// Answers a peer.
pub async fn answer(node: &Follow, ask: Ask) -> Told {
    match ask {
        Ask::Confirm { hops } => {
            let deadline = node.host.now().plus(CONFIRM);
            let confirmed = confirm::confirm_within(node, deadline, hops).await;
            confirmed.map_or(Told::NoLeader, Told::Confirmed)
        }
        Ask::Reach { position, level, patience_ms, hops } => {
            let patience = Duration::from_millis(patience_ms).min(REACH_MAX);
            let deadline = node.host.now().plus(patience);
            reach_once(node, position, level, deadline, hops).await
        }
        Ask::Plan(command) => match read_purge(&command) {
            Some(purge) => {
                let (copies, bytes) = node.cache.plan(&purge);
                Told::Planned { copies, bytes }
            }
            None => Told::Heard,
        },
        Ask::Tentative(entry) => {
            herald::hear(node, &entry, Origin::Above);
            Told::Heard
        }
        Ask::Sample(sample) => match wire::exchange::Sample::decode(&sample) {
            Ok(sample) => Told::Sampled(node.cache.judge(&sample)),
            Err(_) => Told::Sampled(Finding::Unknown),
        },
    }
}

fn read_purge(command: &[u8]) -> Option<Invalidation> {
    let read: Envelope = codec::decode(command, COMMAND_BYTES_MAX).ok()?;
    match read.command {
        Command::Invalidate(purge) => Some(purge),
        Command::Form { .. }
        | Command::Join { .. }
        | Command::Leave { .. }
        | Command::PutDistribution(_)
        | Command::DeleteDistribution(_) => None,
    }
}

/// How far the command at `position` has come, as its leader knows; waits until it has come as far
/// as `level` or `patience` is over. Nothing if no leader could be asked.
pub async fn reach(
    node: &Follow,
    position: LogPosition,
    level: Level,
    patience: Duration,
) -> Option<receipt::Progressed> {
    let deadline = node.host.now().plus(patience);
    loop {
        let told = reach_once(node, position, level, deadline, HOPS_MAX).await;
        if let Told::Reached(reach) = told {
            return Some(receipt::Progressed::of(reach));
        }
        let left = node.left_until(deadline);
        if left == Duration::ZERO {
            return None;
        }
        node.host.sleep(RETRY.min(left)).await;
    }
}

async fn reach_once(
    node: &Follow,
    position: LogPosition,
    level: Level,
    deadline: Moment,
    hops: u8,
) -> Told {
    if node.group.role().leads {
        let began = receipt::Began::of(node, position);
        return Told::Reached(receipt::wait(node, position, level, began, deadline).await);
    }
    let Some(hops) = hops.checked_sub(1) else { return Told::NoLeader };
    for target in toward_leader(node) {
        let left = node.left_until(deadline);
        let patience_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let ask = Ask::Reach { position, level, patience_ms, hops };
        // A little longer than the other side waits, so that its word arrives.
        if let Ok(told @ Told::Reached(_)) = node.peers.ask(&target, ask, left + RETRY * 4).await {
            return told;
        }
    }
    Told::NoLeader
}
