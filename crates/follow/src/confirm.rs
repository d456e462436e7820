//! Confirm: how far is the log, as a quorum has it after the question was asked (rule R22). One
//! round at a time leaves this node; whoever asks meanwhile shares the next.
//!
//! And readiness: a node is caught up once it has what its source had when it was first heard.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use model::{LogPosition, Moment};
use wire::log::{Ask, Told};

use crate::Follow;
use crate::signal::Signal;
use crate::submit::{HOPS_MAX, RETRY, toward_leader};

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    head: LogPosition,
    goal: Option<LogPosition>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    /// Rounds begun.
    begun: u64,
    /// The last of them that succeeded, and what it confirmed.
    confirmed: (u64, LogPosition),
    running: bool,
}

/// What is known of the log's head.
#[derive(Debug, Default)]
pub struct Confirm {
    heard: Mutex<Heard>,
    rounds: Mutex<Rounds>,
    changed: Signal,
}

impl Confirm {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source says how far it is.
    pub fn hear(&self, head: LogPosition) {
        let mut heard = self.lock();
        heard.head = heard.head.max(head);
        heard.goal.get_or_insert(head);
    }

    /// The furthest position that any source spoke of.
    pub fn head(&self) -> LogPosition {
        self.lock().head
    }

    /// Whether `applied` is as far as the first source heard was then.
    pub fn is_caught_up(&self, applied: LogPosition) -> bool {
        self.lock().goal.is_some_and(|goal| applied >= goal)
    }
}

/// A round that ends with its owner, so that others may begin the next.
struct Running<'a>(&'a Confirm);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.rounds().running = false;
        self.0.changed.notify();
    }
}

/// What one who waits does next.
enum Turn {
    /// A round that began after it asked has ended well.
    Done(LogPosition),
    /// It asks for everybody.
    Lead(u64),
}

/// The last position that was committed before this call, applied here on return; nothing if no
/// quorum said so in time.
pub async fn confirm(node: &Follow, patience: Duration) -> Option<LogPosition> {
    confirm_within(node, node.host.now().plus(patience), HOPS_MAX).await
}

/// The same for a peer that asks, with `hops` nodes to pass the question on to.
pub(crate) async fn confirm_within(
    node: &Follow,
    deadline: Moment,
    hops: u8,
) -> Option<LogPosition> {
    let wanted = node.confirm.rounds().begun + 1;
    while node.left_until(deadline) > Duration::ZERO {
        let turn = || {
            let mut rounds = node.confirm.rounds();
            let (confirmed, position) = rounds.confirmed;
            if confirmed >= wanted {
                return Some(Turn::Done(position));
            }
            if rounds.running {
                return None;
            }
            rounds.running = true;
            rounds.begun += 1;
            Some(Turn::Lead(rounds.begun))
        };
        let timeout = node.host.sleep(node.left_until(deadline));
        let turn = match select(node.confirm.changed.until(turn), timeout).await {
            Either::Left((turn, _)) => turn,
            Either::Right(_) => return None,
        };
        let round = match turn {
            Turn::Done(position) => return Some(position),
            Turn::Lead(round) => round,
        };
        let running = Running(&node.confirm);
        match ask(node, deadline, hops).await {
            Some(position) => {
                node.confirm.rounds().confirmed = (round, position);
                return Some(position);
            }
            None => node.host.sleep(RETRY.min(node.left_until(deadline))).await,
        }
        drop(running);
    }
    None
}

async fn ask(node: &Follow, deadline: Moment, hops: u8) -> Option<LogPosition> {
    let position = match node.group.role().leads {
        true => node.group.confirm(node.left_until(deadline)).await.ok()?,
        false => ask_others(node, deadline, hops.checked_sub(1)?).await?,
    };
    let reached = Box::pin(node.replica.reach(position));
    match select(reached, node.host.sleep(node.left_until(deadline))).await {
        Either::Left(_) => Some(position),
        Either::Right(_) => None,
    }
}

async fn ask_others(node: &Follow, deadline: Moment, hops: u8) -> Option<LogPosition> {
    for target in toward_leader(node) {
        let left = node.left_until(deadline);
        let told = node.peers.ask(&target, Ask::Confirm { hops }, left).await;
        if let Ok(Told::Confirmed(position)) = told
            && position.epoch() >= node.replica.epoch()
        {
            return Some(position);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_heard_nobody_is_not_caught_up() {
        let confirm = Confirm::default();
        let at = |index| LogPosition::new(0, index);
        assert!(!confirm.is_caught_up(at(9)));
        confirm.hear(at(5));
        assert!(!confirm.is_caught_up(at(4)));
        assert!(confirm.is_caught_up(at(5)));
        confirm.hear(at(9));
        assert!(confirm.is_caught_up(at(5)), "readiness is not lost to traffic");
        assert_eq!(confirm.head(), at(9));
    }
}
