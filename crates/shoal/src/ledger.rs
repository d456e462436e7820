//! The replica, as the request story reads it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use control::State;
use follow::Replica;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::LogPosition;
use tokio::time::timeout;

/// The replicated facts of this node.
pub(crate) struct Ledger(pub(crate) Arc<Replica>);

impl serve::Ledger for Ledger {
    fn state(&self) -> Guard<Arc<State>> {
        self.0.state()
    }

    fn reach(&self, position: LogPosition, patience: Duration) -> BoxFuture<'static, bool> {
        let replica = self.0.clone();
        async move {
            replica.applied() >= position
                || timeout(patience, replica.reach(position)).await.is_ok()
        }
        .boxed()
    }
}
