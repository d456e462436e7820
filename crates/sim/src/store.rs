//! The store of a node: a map with a limit, oldest out first.
//!
//! A stand-in for the cache, in memory or on disk: it goes with its process, or the next one finds
//! it without its proofs. It judges nothing, as no store may.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{CacheKey, Object};
use serve::Entry;
use serve::lookup::Copy;

use crate::history::Kept;
use crate::setting::Setting;
use crate::viewers;

/// Longer than any lease.
const A_YEAR: Duration = Duration::from_secs(365 * 86_400);

/// One node's store.
pub(crate) struct Memory {
    entries_max: usize,
    kept: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    entries: BTreeMap<CacheKey, Arc<Entry>>,
    order: VecDeque<CacheKey>,
}

impl Memory {
    /// An empty store with room for so many entries.
    pub(crate) fn new(entries_max: usize) -> Memory {
        Memory { entries_max, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Loses everything.
    pub(crate) fn wipe(&self) {
        *self.lock() = Held::default();
    }

    /// What a process leaves behind has no proof: nobody knows what was purged since it was kept.
    pub(crate) fn forget_proofs(&self) {
        let forgetful = |copy: &Copy| {
            let mut object = copy.object.clone();
            object.head.proof_age = A_YEAR;
            Copy::new(object, copy.terms)
        };
        for entry in self.lock().entries.values_mut() {
            let forgotten = match entry.as_ref() {
                Entry::Varies(_) => continue,
                Entry::Object(copy) => Entry::Object(forgetful(copy)),
                Entry::Manifest(copy) => Entry::Manifest(forgetful(copy)),
                Entry::Slice(copy) => Entry::Slice(forgetful(copy)),
                Entry::Encoded(copy) => Entry::Encoded(forgetful(copy)),
            };
            *entry = Arc::new(forgotten);
        }
    }
}

impl serve::Store for Memory {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.lock().entries.get(key).cloned()
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        let mut kept = self.lock();
        if kept.entries.insert(key, entry).is_none() {
            kept.order.push_back(key);
        }
        while kept.entries.len() > self.entries_max {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.entries.remove(&oldest);
        }
    }

    fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let kept = self.lock();
        let page = kept.entries.range((from, Bound::Unbounded)).take(max);
        page.map(|(key, entry)| (*key, entry.clone())).collect()
    }

    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>) {
        let mut kept = self.lock();
        if kept.entries.get(key).is_some_and(|held| Arc::ptr_eq(held, entry)) {
            kept.entries.remove(key);
            kept.order.retain(|other| other != key);
        }
    }
}

/// A store whose copies are written down, so that what they claim can be judged.
pub(crate) struct Watched {
    /// The store.
    pub(crate) inner: Arc<Memory>,
    /// The node.
    pub(crate) node: usize,
    /// Where it is written down.
    pub(crate) setting: Arc<Setting>,
}

impl serve::Store for Watched {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.inner.find(key)
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        if let Entry::Object(copy) = entry.as_ref() {
            let Object { attributes, head, .. } = &copy.object;
            let mut pages = self.setting.scenario.site.pages.iter();
            let page = pages.position(|page| page.attributes == **attributes);
            let (at, node, as_of) = (self.setting.now(), self.node, head.as_of);
            if let Some((page, version)) = page.zip(viewers::version_of(&head.headers)) {
                let kept = Kept { at, node, as_of };
                self.setting.history.write().keep(page, version, kept);
            }
        }
        self.inner.keep(key, entry);
    }

    fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        self.inner.page(after, max)
    }

    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>) {
        self.inner.drop_if(key, entry);
    }
}
