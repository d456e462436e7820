//! Change: the exchange with the origin of a method that is not safe, in a task of its own.
//!
//! What was sent may take effect whether or not its viewer waits for the answer, so the head of the
//! answer is awaited in any case, for as long as the origin's timeouts allow, and what it does away
//! with is purged (RFC 9111 §4.4). Bodies stream both ways as ever: a viewer that leaves while it
//! sends breaks its request off, and an answer that nobody takes is dropped unread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use model::limits::CHANGES_MAX;
use model::{Attributes, Distribution};

use crate::invalidate::{self, Spread};
use crate::world::{OriginAnswer, OriginError, World};

/// The changes under way on one node, answered or not.
#[derive(Clone, Default)]
pub struct Changes(Arc<AtomicUsize>);

/// One of them.
struct UnderWay(Changes);

impl Changes {
    fn begin(&self) -> Option<UnderWay> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let underway = UnderWay(self.clone());
        (before < CHANGES_MAX).then_some(underway)
    }

    /// How many there are.
    pub fn running(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a change is made to.
pub(crate) struct Change {
    /// How.
    pub(crate) method: Method,
    /// Whose it is.
    pub(crate) distribution: Arc<Distribution>,
    /// What is kept of it.
    pub(crate) kept: Arc<Attributes>,
}

/// What the origin said, and what became of the purge that it stands for.
pub(crate) struct Changed {
    /// The answer, its fields still as received.
    pub(crate) answer: OriginAnswer,
    /// The purge.
    pub(crate) spread: Spread,
}

/// Awaits what `exchange` brings, and does away with what that invalidates, whoever leaves.
pub(crate) async fn make(
    world: &Arc<World>,
    change: Change,
    exchange: BoxFuture<'static, Result<OriginAnswer, OriginError>>,
) -> Result<Changed, OriginError> {
    let underway = world.changes.begin().ok_or(OriginError::Overloaded)?;
    let task = settle(world.clone(), change, exchange);
    let task = async move {
        let outcome = task.await;
        drop(underway);
        Arc::new(Mutex::new(Some(outcome)))
    };
    let task = task.boxed().shared();
    world.host.spawn(task.clone().map(drop).boxed());
    let outcome = task.await;
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.expect("only the request that waits takes the outcome")
}

async fn settle(
    world: Arc<World>,
    change: Change,
    exchange: BoxFuture<'static, Result<OriginAnswer, OriginError>>,
) -> Result<Changed, OriginError> {
    let answer = exchange.await?;
    let Change { method, distribution, kept } = change;
    let mut headers = answer.headers.clone();
    caching::strip_hop_by_hop(&mut headers);
    let scopes = caching::invalidated(&method, answer.status, &headers, &kept);
    let spread = invalidate::everywhere(&world, &distribution, scopes).await;
    Ok(Changed { answer, spread })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_changes_are_under_way_at_once_and_no_more() {
        let changes = Changes::default();
        let mut all: Vec<UnderWay> = (0..CHANGES_MAX).filter_map(|_| changes.begin()).collect();
        assert_eq!(all.len(), CHANGES_MAX);
        assert!(changes.begin().is_none());
        assert_eq!(changes.running(), CHANGES_MAX);
        all.pop();
        assert!(changes.begin().is_some());
    }
}
