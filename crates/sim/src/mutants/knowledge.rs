//! Mutants of what a node knows: a leader that trusts itself, a lease that is inherited, a snapshot
//! without its map, a cache that stops nothing.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use control::{Command, Envelope, Fingerprint, State};
use follow::{Cache, Group, ProposeError, Replica, Role};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use model::limits::COMMAND_BYTES_MAX;
use model::{Invalidation, Level, LogPosition, Moment};
use serve::{Knowledge, Purged};
use wire::codec;
use wire::exchange::{Finding, Sample};
use wire::log::Entry;

use crate::history::Records;
use crate::host::Ledger;

/// Who believes that it leads is sure of it.
pub(super) struct LeaseReader {
    /// The honest port.
    pub(super) inner: Arc<dyn Group>,
    /// What the node has applied.
    pub(super) replica: Arc<Replica>,
}

impl Group for LeaseReader {
    fn role(&self) -> Role {
        self.inner.role()
    }

    fn propose(
        &self,
        entry: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        self.inner.propose(entry, patience)
    }

    fn confirm(&self, _: Duration) -> BoxFuture<'static, Result<LogPosition, ProposeError>> {
        let confirmed = match self.inner.role().leads {
            true => Ok(self.replica.applied()),
            false => Err(ProposeError::NotLeader),
        };
        ready(confirmed).boxed()
    }
}

/// Goes on with the lease of the process before it.
pub(super) struct Heir {
    /// The honest port.
    pub(super) honest: Ledger,
    /// Until when that lease is good, as it believes.
    pub(super) last_lease: Moment,
}

impl serve::Ledger for Heir {
    fn knowledge(&self) -> Knowledge {
        let known = self.honest.knowledge();
        let valid_until = known.valid_until.unwrap_or(self.last_lease).max(self.last_lease);
        Knowledge { valid_until: Some(valid_until), ..known }
    }

    fn state(&self) -> Guard<Arc<State>> {
        self.honest.state()
    }

    fn reach(&self, position: LogPosition, patience: Duration) -> BoxFuture<'static, bool> {
        self.honest.reach(position, patience)
    }

    fn confirm(&self, patience: Duration) -> BoxFuture<'static, bool> {
        self.honest.confirm(patience)
    }

    fn purge(
        &self,
        purge: Invalidation,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Purged> {
        self.honest.purge(purge, level, patience)
    }

    fn applied_at(&self, moment: Moment) -> LogPosition {
        self.honest.applied_at(moment)
    }
}

/// Lets responses under way go on.
pub(super) struct Unstopped(pub(super) Arc<dyn Cache>);

impl Cache for Unstopped {
    fn stop_old(&self) -> u64 {
        0
    }

    fn plan(&self, purge: &Invalidation) -> (u64, u64) {
        self.0.plan(purge)
    }

    fn judge(&self, sample: &Sample) -> Finding {
        self.0.judge(sample)
    }
}

/// A snapshot of the log through `position` that knows of no purge.
pub(crate) fn without_map(records: &Records, position: LogPosition) -> Bytes {
    let mut state = State::default();
    for (at, entry) in records.log.range(..=position) {
        let commands = Entry::decode(entry).map_or(Vec::new(), |entry| entry.0);
        let kept = commands.iter().filter_map(|command| {
            let read = codec::decode::<Envelope>(command, COMMAND_BYTES_MAX).ok()?;
            let is_purge = matches!(read.command, Command::Invalidate(_));
            (!is_purge).then(|| (read, Fingerprint::of(command)))
        });
        let kept: Vec<(Envelope, Fingerprint)> = kept.collect();
        state.apply(*at, &kept);
    }
    state.skip(position);
    codec::encode(&state)
}
