//! The ports of one pretend node that need no script: clock and tasks, cache, facts, accounts.
//!
//! Each is a value behind a lock that the test may look into.
//! None of them decides anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use control::State;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use model::{CacheKey, LogPosition, Moment, NodeName};

use crate::{Account, Entry, Mesh};

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
}

/// What one node has applied.
pub(super) struct Facts(pub(super) ArcSwap<State>);

impl crate::Ledger for Facts {
    fn state(&self) -> Guard<Arc<State>> {
        self.0.load()
    }

    fn reach(&self, position: LogPosition, _patience: Duration) -> BoxFuture<'static, bool> {
        ready(self.0.load().applied() >= position).boxed()
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
}
