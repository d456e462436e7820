//! Mutants within a node: a cache, rings and a disk that do not hold what they were given.
//!
//! Each takes the place of one port of one node. What the other nodes see of it is what an honest
//! node in its state would say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use control::Standing;
use follow::{Replica, Shelf};
use model::limits::CAPACITY_MAX;
use model::{CacheKey, LogPosition, Member, NodeName};
use placement::View;
use serve::lookup::Copy;
use serve::{Entry, Mesh};

use crate::dice::Dice;

/// Returns what it keeps in another shape.
pub(super) struct Altered {
    /// The honest port.
    pub(super) inner: Arc<dyn serve::Store>,
    /// What becomes of a copy.
    pub(super) alter: fn(&Replica, &Copy) -> Option<Copy>,
    /// What the node has applied.
    pub(super) replica: Arc<Replica>,
}

impl serve::Store for Altered {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let entry = self.inner.find(key)?;
        let altered = |copy: &Copy| (self.alter)(&self.replica, copy);
        match entry.as_ref() {
            Entry::Varies(_) => return Some(entry),
            Entry::Object(copy) => altered(copy).map(Entry::Object),
            Entry::Manifest(copy) => altered(copy).map(Entry::Manifest),
            Entry::Slice(copy) => altered(copy).map(Entry::Slice),
            Entry::Encoded(copy) => altered(copy).map(Entry::Encoded),
        }
        .map(Arc::new)
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        self.inner.keep(key, entry);
    }

    fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        self.inner.page(after, max)
    }

    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>) {
        self.inner.drop_if(key, entry);
    }
}

/// As if it had been fetched just now.
pub(super) fn sticky(replica: &Replica, copy: &Copy) -> Option<Copy> {
    let mut object = copy.object.clone();
    object.head.as_of = replica.applied();
    Some(Copy::new(object, copy.terms))
}

/// What was fetched before the last change of the log is gone.
pub(super) fn sweep_all(replica: &Replica, copy: &Copy) -> Option<Copy> {
    let object = copy.object.clone();
    (object.head.as_of >= replica.applied()).then(|| Copy::new(object, copy.terms))
}

/// Takes what a purge has done away with for stale: its validators are used.
pub(super) struct Reviver {
    /// The honest port.
    pub(super) inner: Arc<dyn serve::Store>,
    /// What the node has applied.
    pub(super) replica: Arc<Replica>,
    /// What was purged, and what it is taken for.
    pub(super) revived: Mutex<BTreeMap<CacheKey, Revived>>,
}

/// A purged entry.
pub(super) struct Revived {
    purged: Arc<Entry>,
    stale: Arc<Entry>,
}

impl Reviver {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CacheKey, Revived>> {
        self.revived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_purged(&self, entry: &Entry) -> bool {
        let Entry::Object(Copy { object, .. }) = entry else { return false };
        let (state, as_of) = (self.replica.state(), object.head.as_of);
        state.standing(&object.attributes, &object.tags, as_of) == Standing::Old
    }

    fn revive(&self, entry: &Entry) -> Option<Arc<Entry>> {
        let Entry::Object(copy) = entry else { return None };
        let mut object = copy.object.clone();
        object.head.as_of = self.replica.applied();
        object.head.initial_age = AGES;
        Some(Arc::new(Entry::Object(Copy::new(object, copy.terms))))
    }
}

impl serve::Store for Reviver {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let entry = self.inner.find(key)?;
        if !self.is_purged(&entry) {
            return Some(entry);
        }
        let mut revived = self.lock();
        if let Some(Revived { purged, stale }) = revived.get(key)
            && Arc::ptr_eq(purged, &entry)
            && !self.is_purged(stale)
        {
            return Some(stale.clone());
        }
        let stale = self.revive(&entry)?;
        revived.insert(*key, Revived { purged: entry, stale: stale.clone() });
        Some(stale)
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        self.inner.keep(key, entry);
    }

    /// Nobody sweeps here.
    fn page(&self, _: Option<CacheKey>, _: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        Vec::new()
    }

    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>) {
        self.inner.drop_if(key, entry);
    }
}

/// More than any lifetime.
const AGES: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Keeps nothing.
pub(super) struct Forgetful;

impl serve::Store for Forgetful {
    fn find(&self, _: &CacheKey) -> Option<Arc<Entry>> {
        None
    }

    fn keep(&self, _: CacheKey, _: Arc<Entry>) {}

    fn page(&self, _: Option<CacheKey>, _: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        Vec::new()
    }

    fn drop_if(&self, _: &CacheKey, _: &Arc<Entry>) {}
}

/// Has rings that no other node has.
pub(super) struct Shuffled {
    /// The honest port.
    pub(super) inner: Arc<dyn serve::Members>,
    /// The node.
    pub(super) node: usize,
}

impl serve::Members for Shuffled {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        let mesh = self.inner.mesh();
        let mut dice = Dice::new(self.node as u64);
        let reweigh = |member: &Member| {
            let capacity = dice.below(CAPACITY_MAX as usize / 10) + 1;
            Member { capacity: u32::try_from(capacity).unwrap_or(1), ..member.clone() }
        };
        let members: Vec<Member> = mesh.view.members().iter().map(reweigh).collect();
        let view = Arc::new(View::build(mesh.view.version(), members));
        Guard::from_inner(Arc::new(Mesh { view, alive: mesh.alive.clone() }))
    }

    fn doubt(&self, node: &NodeName) {
        self.inner.doubt(node);
    }
}

/// Keeps every entry twice.
pub(super) struct Stutterer(pub(super) Arc<dyn Shelf>);

impl Shelf for Stutterer {
    fn last(&self) -> LogPosition {
        self.0.last()
    }

    fn entries(&self) -> u64 {
        self.0.entries()
    }

    fn append(&self, first: LogPosition, commands: &[Bytes]) {
        let twice = commands.iter().flat_map(|command| [command.clone(), command.clone()]);
        self.0.append(first, &twice.collect::<Vec<_>>());
    }

    fn replace(&self, position: LogPosition, snapshot: Bytes) {
        self.0.replace(position, snapshot);
    }
}
