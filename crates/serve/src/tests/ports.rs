//! The ports of one pretend node that need no script: clock and tasks, cache, facts, accounts.
//!
//! Each is a value behind a lock that the test may look into.
//! None of them decides anything.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use caching::Coding;
use control::{State, Tentative};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use model::{CacheKey, Invalidation, Level, LogPosition, Moment, NodeName};

use super::origin::Gate;
use crate::{Account, Entry, Knowledge, Mesh, Purged};

/// The clock that the test moves, and the tasks that were handed in.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) now: Mutex<Duration>,
    pub(super) spawned: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl crate::Host for Desk {
    fn now(&self) -> Moment {
        Moment::at(*self.now.lock().unwrap())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) + *self.now.lock().unwrap()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.spawned.lock().unwrap().push(task);
    }
}

/// A cache without a limit.
#[derive(Default)]
pub(super) struct Shelf(Mutex<BTreeMap<CacheKey, Arc<Entry>>>);

impl crate::Store for Shelf {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        self.0.lock().unwrap().insert(key, entry);
    }

    fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        let kept = self.0.lock().unwrap();
        let following = kept.iter().filter(|(key, _)| after.is_none_or(|after| **key > after));
        following.take(max).map(|(key, entry)| (*key, entry.clone())).collect()
    }

    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>) {
        let mut kept = self.0.lock().unwrap();
        if kept.get(key).is_some_and(|there| Arc::ptr_eq(there, entry)) {
            kept.remove(key);
        }
    }
}

/// An encoder whose work can be read: it writes capitals.
pub(super) struct Capitals;

impl crate::Encoders for Capitals {
    fn begin(&self, _: Coding) -> io::Result<Box<dyn crate::Encoder>> {
        Ok(Box::new(Capitals))
    }
}

impl crate::Encoder for Capitals {
    fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        Ok(piece.to_ascii_uppercase().into())
    }

    fn flush(&mut self) -> io::Result<Bytes> {
        Ok(Bytes::new())
    }

    fn finish(self: Box<Self>) -> io::Result<Bytes> {
        Ok(Bytes::new())
    }
}

/// What one node knows of the log, and how fresh that is.
pub(super) struct Facts {
    pub(super) desk: Arc<Desk>,
    pub(super) state: ArcSwap<State>,
    pub(super) tentative: ArcSwap<Tentative>,
    /// What viewers purged.
    pub(super) purged: Mutex<Vec<Invalidation>>,
    /// What was applied from when on.
    pub(super) history: Mutex<Vec<(Moment, LogPosition)>>,
    pub(super) lease: Mutex<Granted>,
    /// Whether the voters answer; nobody hears from them before the gate is open.
    pub(super) voters: Mutex<(bool, Gate)>,
}

/// The lease of one node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Granted {
    /// Renewed all the time.
    Always,
    /// Until then.
    Until(Moment),
    /// None since the process started.
    Never,
}

impl Facts {
    /// A node that knows nothing yet and has a lease.
    pub(super) fn new(desk: &Arc<Desk>) -> Facts {
        let gate = Gate::default();
        gate.open();
        Facts {
            purged: Mutex::default(),
            desk: desk.clone(),
            state: ArcSwap::from_pointee(State::default()),
            tentative: ArcSwap::from_pointee(Tentative::default()),
            history: Mutex::default(),
            lease: Mutex::new(Granted::Always),
            voters: Mutex::new((true, gate)),
        }
    }

    /// The state from now on.
    pub(super) fn apply(&self, state: State) {
        let now = crate::Host::now(&*self.desk);
        self.history.lock().unwrap().push((now, state.applied()));
        self.state.store(Arc::new(state));
    }
}

impl crate::Ledger for Facts {
    fn knowledge(&self) -> Knowledge {
        let lease = self.state.load().lease();
        let valid_until = match *self.lease.lock().unwrap() {
            Granted::Always => Some(crate::Host::now(&*self.desk).plus(lease)),
            Granted::Until(moment) => Some(moment),
            Granted::Never => None,
        };
        Knowledge { valid_until, state: self.state.load(), tentative: self.tentative.load() }
    }

    fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    fn reach(&self, position: LogPosition, _patience: Duration) -> BoxFuture<'static, bool> {
        ready(self.state.load().applied() >= position).boxed()
    }

    fn confirm(&self, _patience: Duration) -> BoxFuture<'static, bool> {
        let (answers, gate) = self.voters.lock().unwrap().clone();
        async move {
            gate.passed().await;
            answers
        }
        .boxed()
    }

    fn purge(&self, purge: Invalidation, level: Level, _: Duration) -> BoxFuture<'static, Purged> {
        self.purged.lock().unwrap().push(purge);
        ready(Purged::Reached { id: "7".into(), level }).boxed()
    }

    fn applied_at(&self, moment: Moment) -> LogPosition {
        let history = self.history.lock().unwrap();
        let before = history.iter().rev().find(|(from, _)| *from <= moment);
        before.map_or(LogPosition::ZERO, |(_, position)| *position)
    }
}

/// Who belongs, who seems alive to one node, and whom it doubted.
pub(super) struct Roster {
    pub(super) mesh: ArcSwap<Mesh>,
    pub(super) doubted: Mutex<Vec<NodeName>>,
}

impl Roster {
    /// The node called `name` counts as dead from now on.
    pub(super) fn leave_out(&self, name: &NodeName) {
        let mesh = self.mesh.load();
        let seat = mesh.view.seat_of(name).expect("only members are asked");
        let mut alive = mesh.alive.clone();
        alive[seat.index()] = false;
        self.mesh.store(Arc::new(Mesh { view: mesh.view.clone(), alive }));
    }
}

impl crate::Members for Roster {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        self.mesh.load()
    }

    fn doubt(&self, node: &NodeName) {
        self.doubted.lock().unwrap().push(node.clone());
        self.leave_out(node);
    }
}

/// The accounts of one node.
#[derive(Default)]
pub(super) struct Notes(pub(super) Mutex<Vec<Account>>);

impl crate::Journal for Notes {
    fn record(&self, account: &Account) {
        self.0.lock().unwrap().push(account.clone());
    }

    fn wants_sample(&self) -> bool {
        false
    }

    fn sample(&self, _: NodeName, _: wire::exchange::Sample) {}
}
