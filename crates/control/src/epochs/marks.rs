//! Marks: a map from the marks of scopes to their last purge, behind a filter that says in one load
//! which marks the map surely does not hold.
//!
//! Almost every look-up finds nothing, and to find nothing among a million entries costs several
//! misses of the processor's caches. The filter is a Bloom filter whose blocks are single words
//! (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): two bytes
//! for each entry of a full map, and one look-up in about 200 of what is not there goes on to the
//! map. Copies of a map share it: a mark that only one of them holds costs the others a look-up,
//! and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use imbl::OrdMap;
use model::limits::EPOCHS_MAX;
use serde::{Deserialize, Serialize};

/// The smallest map with a filter: in a smaller one a look-up takes as long.
const FILTERED_MIN: usize = 32;
/// Entries for each word of a full filter.
const ENTRIES_PER_WORD: usize = 4;
/// How many times the entries held a new filter has room for: 32 bytes for each, at most.
const GROWTH: usize = 16;
/// Marks looked up at once.
const BATCH: usize = 16;
/// Bits of a word that one mark sets.
const BITS: u32 = 4;

/// A map from marks. What is written of it is the map alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "OrdMap<u64, P>", into = "OrdMap<u64, P>")]
pub(super) struct Marks<P: Clone> {
    map: OrdMap<u64, P>,
    filter: Option<Filter>,
}

impl<P: Clone> Default for Marks<P> {
    fn default() -> Self {
        Marks { map: OrdMap::new(), filter: None }
    }
}

impl<P: Clone + PartialEq> PartialEq for Marks<P> {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<P: Clone> From<OrdMap<u64, P>> for Marks<P> {
    fn from(map: OrdMap<u64, P>) -> Self {
        let filter = Filter::of(&map);
        Marks { map, filter }
    }
}

impl<P: Clone> From<Marks<P>> for OrdMap<u64, P> {
    fn from(marks: Marks<P>) -> Self {
        marks.map
    }
}

impl<P: Copy> Marks<P> {
    /// Entries held.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// When that scope was last purged.
    pub(super) fn get(&self, mark: u64) -> Option<P> {
        match &self.filter {
            Some(filter) if !filter.may_hold(mark) => None,
            Some(_) | None => self.map.get(&mark).copied(),
        }
    }

    /// When the last of those scopes was purged.
    pub(super) fn latest(&self, mut marks: impl Iterator<Item = u64>) -> Option<P>
    where
        P: Ord,
    {
        let Some(filter) = &self.filter else {
            return marks.filter_map(|mark| self.map.get(&mark).copied()).max();
        };
        let mut latest = None;
        let mut batch = [0; BATCH];
        loop {
            let mut filled = 0;
            for (place, mark) in batch.iter_mut().zip(&mut marks) {
                *place = mark;
                filled += 1;
            }
            let batch = &batch[..filled];
            // Loads that wait for nothing between them overlap.
            let any = batch.iter().fold(false, |any, mark| any | filter.may_hold(*mark));
            if any {
                let held = batch.iter().filter_map(|mark| self.get(*mark));
                latest = latest.max(held.max());
            }
            if filled < BATCH {
                return latest;
            }
        }
    }

    /// Notes a purge of that scope.
    pub(super) fn insert(&mut self, mark: u64, last: P) {
        self.map.insert(mark, last);
        match &self.filter {
            Some(filter) if self.map.len() <= filter.room() => filter.note(mark),
            Some(_) | None => self.filter = Filter::of(&self.map),
        }
    }
}

/// Marks that may be held. They are hashes: any of their bits will do.
#[derive(Clone, Debug)]
struct Filter(Arc<[AtomicU64]>);

impl Filter {
    /// The filter before `map`, with room for more; none if it is small.
    fn of<P: Clone>(map: &OrdMap<u64, P>) -> Option<Filter> {
        if map.len() < FILTERED_MIN {
            return None;
        }
        let room = (map.len() * GROWTH).min(EPOCHS_MAX).max(map.len());
        let words = room.div_ceil(ENTRIES_PER_WORD);
        let filter = Filter((0..words).map(|_| AtomicU64::new(0)).collect());
        map.keys().for_each(|mark| filter.note(*mark));
        Some(filter)
    }

    /// So many entries it is good for.
    fn room(&self) -> usize {
        self.0.len() * ENTRIES_PER_WORD
    }

    /// The word of a mark, by its upper half, and the bits that it sets there, by its lower one.
    fn place(&self, mark: u64) -> (&AtomicU64, u64) {
        let at = ((mark >> 32) * self.0.len() as u64) >> 32;
        let bits = (0..BITS).map(|bit| 1 << ((mark >> (6 * bit)) & 63));
        (&self.0[at as usize], bits.fold(0, |all, bit: u64| all | bit))
    }

    /// Whoever sees the map with this mark has been given it after this, so no order is needed.
    fn note(&self, mark: u64) {
        let (word, bits) = self.place(mark);
        word.fetch_or(bits, Ordering::Relaxed);
    }

    fn may_hold(&self, mark: u64) -> bool {
        let (word, bits) = self.place(mark);
        word.load(Ordering::Relaxed) & bits == bits
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn mark(number: u64) -> u64 {
        xxh3_64(&number.to_le_bytes())
    }

    fn filled(entries: u64) -> Marks<u64> {
        let mut marks = Marks::default();
        (0..entries).for_each(|number| marks.insert(mark(number), number));
        marks
    }

    #[test]
    fn what_was_noted_is_found_at_every_size() {
        for entries in [0, 1, 31, 32, 33, 512, 513, 8_208, 8_209, 131_344, 200_000] {
            let marks = filled(entries);
            assert_eq!(marks.filter.is_some(), entries >= 32, "{entries}");
            for number in 0..entries {
                assert_eq!(marks.get(mark(number)), Some(number), "of {entries}");
            }
            assert!((entries..entries + 1_000).all(|number| marks.get(mark(number)).is_none()));
        }
    }

    #[test]
    fn the_latest_of_many_marks_is_found_wherever_it_stands() {
        for entries in [10, 5_000] {
            let marks = filled(entries);
            for count in [0, 1, 15, 16, 17, 32, 40] {
                let unknown = (0..count).map(|number| mark(1_000_000 + number));
                assert_eq!(marks.latest(unknown.clone()), None, "{count} of {entries}");
                for at in 0..count as usize {
                    let mut sought: Vec<u64> = unknown.clone().collect();
                    sought[at] = mark(7);
                    assert_eq!(marks.latest(sought.into_iter()), Some(7), "{at} of {count}");
                }
            }
            assert_eq!(marks.latest([mark(3), mark(9), mark(5)].into_iter()), Some(9));
        }
    }

    #[test]
    fn a_full_filter_lets_few_pass_that_are_not_held() {
        let marks = filled(EPOCHS_MAX as u64);
        let filter = marks.filter.as_ref().unwrap();
        let others = EPOCHS_MAX as u64..EPOCHS_MAX as u64 + 100_000;
        let passed = others.filter(|number| filter.may_hold(mark(*number))).count();
        assert!((1..1_000).contains(&passed), "{passed} of 100,000");
        assert!(filter.room() >= EPOCHS_MAX && filter.0.len() * 8 <= 2 * EPOCHS_MAX);
    }

    #[test]
    fn copies_that_went_apart_keep_what_is_theirs() {
        let mut one = filled(2_000);
        let mut other = one.clone();
        one.insert(mark(10_000), 1);
        other.insert(mark(20_000), 2);
        assert_eq!((one.get(mark(10_000)), one.get(mark(20_000))), (Some(1), None));
        assert_eq!((other.get(mark(10_000)), other.get(mark(20_000))), (None, Some(2)));
    }

    #[test]
    fn what_is_written_and_read_again_finds_what_it_did() {
        let marks = filled(3_000);
        let map: OrdMap<u64, u64> = marks.clone().into();
        let written = serde_json::to_string(&marks).unwrap();
        assert_eq!(written, serde_json::to_string(&map).unwrap());
        let read: Marks<u64> = serde_json::from_str(&written).unwrap();
        assert_eq!(read, marks);
        assert!(read.filter.is_some());
        assert!((0..3_000).all(|number| read.get(mark(number)) == Some(number)));
    }
}
