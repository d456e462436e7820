//! The index: which keys the memory store holds, in an order in which they can be gone through.
//!
//! foyer cannot be iterated, and a purge that nobody asks about again would keep its bytes until
//! they are evicted. The index is written when a value is kept and when it leaves, never on a hit.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use model::CacheKey;

/// Parts with a lock of their own, by the first bits of the key, so that their order is that of the
/// keys.
const PARTS: usize = 16;

type Part<V> = BTreeMap<CacheKey, Weak<V>>;

/// Keys and the values they had when they were kept.
pub(crate) struct Index<V> {
    parts: [Mutex<Part<V>>; PARTS],
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Index { parts: std::array::from_fn(|_| Mutex::default()) }
    }
}

fn part_of(key: &CacheKey) -> usize {
    let [first, ..] = key.as_bytes();
    usize::from(*first) * PARTS / 256
}

impl<V> Index<V> {
    fn lock(&self, part: usize) -> MutexGuard<'_, Part<V>> {
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `value` is about to be kept under `key`.
    pub(crate) fn enter(&self, key: CacheKey, value: &Arc<V>) {
        self.lock(part_of(&key)).insert(key, Arc::downgrade(value));
    }

    /// `value` has left; a newer one under the same key stays.
    pub(crate) fn leave(&self, key: &CacheKey, value: &Arc<V>) {
        let mut part = self.lock(part_of(key));
        if part.get(key).is_some_and(|kept| kept.as_ptr() == Arc::as_ptr(value)) {
            part.remove(key);
        }
    }

    /// Up to `max` values whose keys follow `after`, in the order of keys.
    pub(crate) fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<V>)> {
        let mut page = Vec::with_capacity(max);
        let mut from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for part in after.as_ref().map_or(0, part_of)..PARTS {
            let kept = self.lock(part);
            let values = kept.range((from, Bound::Unbounded));
            let alive = values.filter_map(|(key, value)| Some((*key, value.upgrade()?)));
            page.extend(alive.take(max - page.len()));
            if page.len() == max {
                break;
            }
            from = Bound::Unbounded;
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_through_everything_once_and_in_order() {
        let index = Index::default();
        let values: Vec<Arc<u64>> = (0..1_000).map(Arc::new).collect();
        for value in &values {
            index.enter(CacheKey::of(&[&value.to_le_bytes()]), value);
        }
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = index.page(after, 37);
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            seen.extend(page);
        }
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(seen.len(), values.len());
    }

    #[test]
    fn a_value_that_leaves_late_does_not_take_its_successor_with_it() {
        let index = Index::default();
        let (key, [old, new]) = (CacheKey::of(&[b"k"]), [1, 2].map(Arc::new));
        index.enter(key, &old);
        index.enter(key, &new);
        index.leave(&key, &old);
        assert_eq!(index.page(None, 9).len(), 1);
        index.leave(&key, &new);
        assert!(index.page(None, 9).is_empty());
    }
}
