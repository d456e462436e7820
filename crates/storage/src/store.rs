//! The memory store as the request story's port.

use std::sync::Arc;

use model::CacheKey;
use serve::Entry;

use crate::{Memory, Weigh};

impl Weigh for Entry {
    fn weight(&self) -> u64 {
        Entry::weight(self)
    }
}

impl serve::Store for Memory<Entry> {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        Memory::find(self, key)
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        Memory::keep(self, key, entry);
    }

    fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        Memory::page(self, after, max)
    }

    fn drop_if(&self, key: &CacheKey, entry: &Arc<Entry>) {
        self.remove_if(key, entry);
    }
}
