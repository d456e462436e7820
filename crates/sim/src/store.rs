//! The store of a node: a map with a limit, oldest out first.
//!
//! A stand-in for the cache in memory: it goes with its process, so a new one starts empty. It
//! judges nothing, as no store may.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::CacheKey;
use serve::Entry;

/// One process's store.
pub(crate) struct Memory {
    entries_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: BTreeMap<CacheKey, Arc<Entry>>,
    order: VecDeque<CacheKey>,
}

impl Memory {
    /// An empty store with room for so many entries.
    pub(crate) fn new(entries_max: usize) -> Memory {
        Memory { entries_max, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
