//! The replica and its lease, as the request story reads them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use control::{Command, CommandId, State};
use follow::{Follow, SubmitError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Invalidation, Level, LogPosition, Moment};
use serve::{Knowledge, Purged};
use tokio::time::timeout;

/// What this node knows of the log.
pub(crate) struct Ledger(pub(crate) Arc<Follow>);

impl serve::Ledger for Ledger {
    fn knowledge(&self) -> Knowledge {
        // In this order: the state holds at least what the lease vouches for.
        let valid_until = self.0.valid_until();
        Knowledge { valid_until, state: self.0.replica.state(), tentative: self.0.tentative() }
    }

    fn state(&self) -> Guard<Arc<State>> {
        self.0.replica.state()
    }

    fn reach(&self, position: LogPosition, patience: Duration) -> BoxFuture<'static, bool> {
        let replica = self.0.replica.clone();
        async move {
            replica.applied() >= position
                || timeout(patience, replica.reach(position)).await.is_ok()
        }
        .boxed()
    }

    fn confirm(&self, patience: Duration) -> BoxFuture<'static, bool> {
        let follow = self.0.clone();
        async move { follow::confirm(&follow, patience).await.is_some() }.boxed()
    }

    fn purge(
        &self,
        purge: Invalidation,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Purged> {
        let follow = self.0.clone();
        async move {
            let id = CommandId(follow.host.dice());
            let command = Command::Invalidate(purge);
            match follow::submit(&follow, id, command, level, patience).await {
                Ok(receipt) => {
                    Purged::Reached { id: id.to_string(), level: receipt.progressed.level }
                }
                Err(SubmitError::Refused(refusal)) => Purged::Refused(refusal.to_string()),
                Err(SubmitError::Unacceptable(reason)) => Purged::Refused(reason),
                Err(SubmitError::Unknown { reason, .. }) => Purged::Unknown(reason),
            }
        }
        .boxed()
    }

    fn applied_at(&self, moment: Moment) -> LogPosition {
        self.0.applied_at(moment)
    }
}
