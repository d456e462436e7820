//! The memory store: `foyer` with S3-FIFO, which one scan of cold objects cannot empty.
//!
//! A hit takes its shard's lock shared, never exclusively: in foyer-memory 0.22.6, `RawCache::get`
//! asks the policy, and S3-FIFO's `acquire` is `Op::Immutable` (it raises an atomic counter in the
//! entry; `release` does nothing), where LRU and LFU would need the exclusive lock. `keep`,
//! `remove` and `clear` take it, and free what they evict after letting go.
//!
//! foyer divides the budget among its shards, and lets an object that outweighs a shard empty it
//! and then exceed it. So shards are made few enough for the largest object, and what does not fit
//! one is refused. This never looks inside a value, and never tells a fresh one from a stale one.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use foyer_common::event::{Event, EventListener};
use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};
use model::CacheKey;
use model::limits::{OBJECT_BYTES_MAX, OBJECTS_PER_SHARD_MIN};

use crate::index::Index;

/// Bytes that an entry costs beside its value: foyer's record, its place in the table, its trace in
/// the ghost queue. 222 were measured, with a million entries; the index takes some 70 more. Never
/// zero: `clear` needs that.
const ENTRY_BYTES: u64 = 296;

/// What a value costs.
pub trait Weigh {
    /// Bytes of memory that dropping the value would free. Asked once, when the value is kept.
    fn weight(&self) -> u64;
}

/// Values in memory, the least useful of which leave when the budget is used up.
pub struct Memory<V: Weigh + Send + Sync + 'static> {
    cache: Cache<Key, Kept<V>, BuildHasherDefault<Verbatim>>,
    index: Arc<Index<V>>,
    weight_max: u64,
}

impl<V: Weigh + Send + Sync + 'static> Memory<V> {
    /// A store of `budget_bytes`, in at most `shards` parts, each with a lock of its own: fewer
    /// where the budget would leave a part less than [`OBJECTS_PER_SHARD_MIN`] of the largest
    /// objects.
    pub fn new(budget_bytes: u64, shards: usize) -> Memory<V> {
        let budget = usize::try_from(budget_bytes).unwrap_or(usize::MAX);
        let roomy = budget as u64 / (OBJECTS_PER_SHARD_MIN * OBJECT_BYTES_MAX);
        let shards = shards.min(usize::try_from(roomy).unwrap_or(usize::MAX)).max(1);
        let index = Arc::new(Index::default());
        let cache = CacheBuilder::new(budget)
            .with_name("memory")
            .with_shards(shards)
            .with_eviction_config(S3FifoConfig::default())
            .with_hash_builder(BuildHasherDefault::default())
            .with_event_listener(Arc::new(Leaving(index.clone())))
            .with_weighter(|_: &Key, kept: &Kept<V>| kept.weight)
            .build();
        Memory { cache, index, weight_max: (budget / shards) as u64 }
    }

    /// The value kept under `key`.
    pub fn find(&self, key: &CacheKey) -> Option<Arc<V>> {
        self.cache.get(&Key(*key)).map(|entry| Arc::clone(&entry.value().value))
    }

    /// Keeps `value` under `key` in place of what was there, and makes room for it. A value over
    /// [`Memory::weight_max`] is refused; what was there goes all the same, since it is older.
    pub fn keep(&self, key: CacheKey, value: Arc<V>) {
        let weight = value.weight().saturating_add(ENTRY_BYTES);
        match usize::try_from(weight) {
            Ok(fits) if weight <= self.weight_max => {
                self.index.enter(key, &value);
                self.cache.insert(Key(key), Kept { value, weight: fits });
            }
            Ok(_) | Err(_) => self.remove(&key),
        }
    }

    /// Drops the value kept under `key`.
    pub fn remove(&self, key: &CacheKey) {
        self.cache.remove(&Key(*key));
    }

    /// Drops `value`, if it is what is kept under `key`.
    pub fn remove_if(&self, key: &CacheKey, value: &Arc<V>) {
        // Between look and deed another may have taken its place, which is then fetched again.
        if self.find(key).is_some_and(|kept| Arc::ptr_eq(&kept, value)) {
            self.remove(key);
        }
    }

    /// Up to `max` values whose keys follow `after`, in the order of keys: page by page everything
    /// is gone through while values come and go.
    pub fn page(&self, after: Option<CacheKey>, max: usize) -> Vec<(CacheKey, Arc<V>)> {
        self.index.page(after, max)
    }

    /// Drops every value.
    pub fn clear(&self) {
        // Not foyer's `clear`: in 0.22.6 it forgets to lower the usage (foyer-rs/foyer#1309), after
        // which a full shard would evict whatever it is given.
        self.cache.evict_all();
    }

    /// Bytes kept, with what the store itself spends on each value.
    pub fn bytes(&self) -> u64 {
        self.cache.usage() as u64
    }

    /// Values kept.
    pub fn len(&self) -> usize {
        self.cache.entries()
    }

    /// Whether no value is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the heaviest value that is accepted, with what the store itself spends on it.
    pub fn weight_max(&self) -> u64 {
        self.weight_max
    }
}

/// Keeps the index true when foyer lets go of a value.
struct Leaving<V>(Arc<Index<V>>);

impl<V: Send + Sync + 'static> EventListener for Leaving<V> {
    type Key = Key;
    type Value = Kept<V>;

    fn on_leave(&self, _: Event, key: &Key, kept: &Kept<V>) {
        self.0.leave(&key.0, &kept.value);
    }
}

/// A value and its weight when it was kept.
struct Kept<V> {
    value: Arc<V>,
    weight: usize,
}

/// The key as foyer sees it.
#[derive(PartialEq, Eq)]
struct Key(CacheKey);

impl Hash for Key {
    /// The key is a strong hash already, and foyer compares it whole on every hit. These eight
    /// bytes are not the ones that place it on a ring, on which a node owns a few arcs only.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [_, word, ..] = self.0.as_bytes().as_chunks().0 else {
            unreachable!("a key is four words long");
        };
        state.write_u64(u64::from_le_bytes(*word));
    }
}

/// Takes one `u64` as it is.
#[derive(Default)]
struct Verbatim(u64);

impl Hasher for Verbatim {
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only keys are hashed, and they write one u64");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// A value that says what it weighs.
    #[derive(Debug, PartialEq)]
    struct Blob {
        id: u64,
        bytes: u64,
    }

    impl Weigh for Blob {
        fn weight(&self) -> u64 {
            self.bytes
        }
    }

    const GIB: u64 = 1 << 30;

    fn key(id: u64) -> CacheKey {
        CacheKey::of(&[&id.to_le_bytes()])
    }

    fn blob(id: u64, bytes: u64) -> Arc<Blob> {
        Arc::new(Blob { id, bytes })
    }

    fn keep(memory: &Memory<Blob>, id: u64, bytes: u64) {
        memory.keep(key(id), blob(id, bytes));
    }

    #[test]
    fn a_value_is_found_until_it_is_removed() {
        let memory = Memory::new(GIB, 4);
        keep(&memory, 1, 1_000);
        keep(&memory, 2, 2_000);
        assert_eq!(memory.find(&key(1)), Some(blob(1, 1_000)));
        assert_eq!((memory.len(), memory.bytes()), (2, 3_000 + 2 * ENTRY_BYTES));
        memory.remove(&key(1));
        assert_eq!((memory.find(&key(1)), memory.len()), (None, 1));
        memory.clear();
        assert_eq!((memory.find(&key(2)), memory.bytes(), memory.is_empty()), (None, 0, true));
        assert!(memory.page(None, 9).is_empty());
    }

    #[test]
    fn pages_show_what_is_kept_and_nothing_that_left() {
        let memory = Memory::new(50 * (1_000 + ENTRY_BYTES), 1);
        (0..200).for_each(|id| keep(&memory, id, 1_000));
        let page = memory.page(None, 1_000);
        assert_eq!(page.len(), memory.len());
        let (gone, value) = &page[0];
        memory.remove_if(gone, &blob(0, 1));
        assert!(memory.find(gone).is_some(), "another value under that key is left alone");
        memory.remove_if(gone, value);
        assert_eq!((memory.find(gone), memory.page(None, 1_000).len()), (None, page.len() - 1));
    }

    #[test]
    fn a_store_that_was_cleared_keeps_as_much_as_a_new_one() {
        let memory = Memory::new(100 * (1_000 + ENTRY_BYTES), 1);
        for _ in 0..2 {
            (0..100).for_each(|id| keep(&memory, id, 1_000));
            assert_eq!(memory.len(), 100);
            memory.clear();
        }
    }

    #[test]
    fn a_value_over_the_limit_is_refused_and_disturbs_nothing_else() {
        let memory = Memory::new(1_000_000, 8);
        assert_eq!(memory.weight_max(), 1_000_000);
        let most = memory.weight_max() - ENTRY_BYTES;
        (0..10).for_each(|id| keep(&memory, id, 1_000));
        for bytes in [most + 1, u64::MAX - ENTRY_BYTES, u64::MAX] {
            keep(&memory, 10, bytes);
            assert_eq!((memory.find(&key(10)), memory.len()), (None, 10), "{bytes}");
        }
        keep(&memory, 10, most);
        assert_eq!(memory.find(&key(10)), Some(blob(10, most)));
    }

    #[test]
    fn a_refused_value_takes_its_older_version_with_it() {
        let memory = Memory::new(1_000_000, 1);
        keep(&memory, 1, 1_000);
        keep(&memory, 1, 1_000_000);
        assert_eq!(memory.find(&key(1)), None);
    }

    #[test]
    fn shards_are_few_enough_for_the_largest_object() {
        for (budget, wanted, expect) in [
            (0, 8, 1),
            (GIB / 4, 8, 1),
            (GIB - 1, 8, 3),
            (GIB, 8, 4),
            (GIB, 2, 2),
            (64 * GIB, 16, 16),
            (GIB, 0, 1),
        ] {
            let memory = Memory::<Blob>::new(budget, wanted);
            assert_eq!(memory.cache.shards(), expect, "{budget} bytes, {wanted} wanted");
            assert_eq!(memory.weight_max(), budget / expect as u64);
        }
    }

    #[test]
    fn one_largest_object_leaves_a_full_store_mostly_as_it_was() {
        let memory = Memory::new(GIB, 4);
        let bytes = GIB / 2_000;
        (0..4_000).for_each(|id| keep(&memory, id, bytes));
        let before = memory.len();
        keep(&memory, 9_999, OBJECT_BYTES_MAX);
        assert!(memory.find(&key(9_999)).is_some());
        let lost = (OBJECT_BYTES_MAX / bytes) as usize + 1;
        assert!(memory.len() + lost >= before, "{before} values before, {} after", memory.len());
    }

    /// A least-recently-used store of `room` equal values, as a yardstick.
    struct Lru {
        room: usize,
        order: VecDeque<u64>,
    }

    impl Lru {
        fn request(&mut self, id: u64) -> bool {
            let at = self.order.iter().position(|held| *held == id);
            at.map(|at| self.order.remove(at));
            self.order.push_front(id);
            self.order.truncate(self.room);
            at.is_some()
        }
    }

    #[test]
    fn a_hot_set_survives_a_scan_that_would_empty_an_lru() {
        const BYTES: u64 = 10_000;
        let room = 1_000;
        let memory = Memory::new(room as u64 * (BYTES + ENTRY_BYTES), 1);
        let mut lru = Lru { room, order: VecDeque::new() };
        let mut request = |id| {
            let hit = memory.find(&key(id)).is_some();
            if !hit {
                keep(&memory, id, BYTES);
            }
            (hit, lru.request(id))
        };

        let hot = 0..500;
        for id in hot.clone().chain(hot.clone()).chain(hot.clone()).chain(10_000..13_000) {
            request(id);
        }
        let after: Vec<(bool, bool)> = hot.map(request).collect();

        let ours = after.iter().filter(|(ours, _)| *ours).count();
        let yardstick = after.iter().filter(|(_, lru)| *lru).count();
        assert_eq!(yardstick, 0, "the scan is too short to prove anything");
        assert!(ours >= 450, "{ours} of {} hot values survived", after.len());
        assert!(memory.bytes() <= room as u64 * (BYTES + ENTRY_BYTES));
    }

    #[test]
    fn threads_share_a_store_without_mixing_values_or_passing_the_budget() {
        let budget = GIB;
        let memory = Memory::new(budget, 4);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let memory = &memory;
                scope.spawn(move || {
                    for step in 0..5_000_u64 {
                        let id = (step * 31 + thread * 17) % 400;
                        match step % 7 {
                            0..=2 => keep(memory, id, (step % 64) << 20),
                            3 => memory.remove(&key(id)),
                            _ => {
                                let found = memory.find(&key(id));
                                assert!(found.is_none_or(|blob| blob.id == id));
                            }
                        }
                        assert!(memory.bytes() <= budget);
                    }
                });
            }
        });
        assert!(!memory.is_empty());
        memory.clear();
        assert_eq!((memory.len(), memory.bytes()), (0, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Keep(u64, u64),
        Find(u64),
        Remove(u64),
        Clear,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let id = 0..40_u64;
        prop_oneof![
            12 => (id.clone(), 0..GIB).prop_map(|(id, bytes)| Step::Keep(id, bytes)),
            12 => id.clone().prop_map(Step::Find),
            3 => id.prop_map(Step::Remove),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn the_budget_holds_and_only_the_last_value_of_a_key_is_found(
            budget in 0..4 * GIB,
            steps in proptest::collection::vec(any_step(), 1..300),
        ) {
            let memory = Memory::new(budget, 4);
            let mut last = BTreeMap::new();
            for (id, step) in (0..).zip(steps) {
                match step {
                    Step::Keep(at, bytes) => {
                        memory.keep(key(at), blob(id, bytes));
                        last.insert(at, id);
                        let fits = bytes + ENTRY_BYTES <= memory.weight_max();
                        prop_assert_eq!(memory.find(&key(at)).is_some(), fits);
                    }
                    Step::Find(at) => {
                        let found = memory.find(&key(at)).map(|blob| blob.id);
                        prop_assert!(found.is_none() || found == last.get(&at).copied());
                    }
                    Step::Remove(at) => {
                        memory.remove(&key(at));
                        last.remove(&at);
                    }
                    Step::Clear => {
                        memory.clear();
                        last.clear();
                    }
                }
                prop_assert!(memory.bytes() <= budget);
                prop_assert!(memory.len() <= last.len());
                prop_assert_eq!(memory.is_empty(), memory.bytes() == 0);
            }
        }
    }
}
