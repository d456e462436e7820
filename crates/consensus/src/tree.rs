//! An ordered map of small values: one of sled's trees, or one in memory.
//!
//! No more of sled shows through than the records need, so that both are one thing to whoever
//! reads and writes them.

use std::io;
use std::ops::{Bound, Deref, RangeBounds};

use bytes::Bytes;

use crate::medium::Memory;

/// A tree.
#[derive(Clone)]
pub(crate) enum Tree {
    /// On disk.
    Sled(sled::Tree),
    /// In memory, by its name there.
    Memory(Memory, &'static str),
}

/// Bytes of a tree.
pub(crate) enum Piece {
    /// As sled shares them.
    Sled(sled::IVec),
    /// As they are in memory.
    Memory(Bytes),
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Piece::Sled(bytes) => bytes,
            Piece::Memory(bytes) => bytes,
        }
    }
}

impl Tree {
    /// What lies under `key`.
    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Option<Piece>> {
        match self {
            Tree::Sled(tree) => Ok(tree.get(key)?.map(Piece::Sled)),
            Tree::Memory(memory, name) => memory.access(|content| {
                let value = content.trees.get(name).and_then(|tree| tree.get(key));
                value.cloned().map(Piece::Memory)
            }),
        }
    }

    /// Lays `value` under `key`.
    pub(crate) fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            Tree::Sled(tree) => drop(tree.insert(key, value)?),
            Tree::Memory(memory, name) => memory.access(|content| {
                let tree = content.trees.entry(name).or_default();
                tree.insert(key.to_vec(), Bytes::copy_from_slice(value));
            })?,
        }
        Ok(())
    }

    /// Takes away what lies under `key`.
    pub(crate) fn remove(&self, key: &[u8]) -> io::Result<()> {
        match self {
            Tree::Sled(tree) => drop(tree.remove(key)?),
            Tree::Memory(memory, name) => memory.access(|content| {
                content.trees.entry(name).or_default().remove(key);
            })?,
        }
        Ok(())
    }

    /// What lies under the keys of `range`, in order.
    pub(crate) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Pairs {
        match self {
            Tree::Sled(tree) => Pairs::Sled(tree.range(range)),
            Tree::Memory(memory, name) => {
                let bound = |bound: Bound<&K>| bound.map(|key| key.as_ref().to_vec());
                let (from, to) = (bound(range.start_bound()), bound(range.end_bound()));
                Pairs::Memory { memory: memory.clone(), name, from, to }
            }
        }
    }
}

/// Keys and what lies under them.
pub(crate) enum Pairs {
    /// As sled walks.
    Sled(sled::Iter),
    /// What is left of a range in memory.
    Memory {
        /// The disk.
        memory: Memory,
        /// The tree.
        name: &'static str,
        /// Where it goes on.
        from: Bound<Vec<u8>>,
        /// Where it ends.
        to: Bound<Vec<u8>>,
    },
}

type Pair = io::Result<(Piece, Piece)>;

enum Side {
    Front,
    Back,
}

impl Pairs {
    fn step(&mut self, side: Side) -> Option<Pair> {
        let (memory, name, from, to) = match self {
            Pairs::Sled(pairs) => {
                let pair = match side {
                    Side::Front => pairs.next(),
                    Side::Back => pairs.next_back(),
                }?;
                let pieces = |(key, value)| (Piece::Sled(key), Piece::Sled(value));
                return Some(pair.map(pieces).map_err(io::Error::from));
            }
            Pairs::Memory { memory, name, from, to } => (memory, *name, from, to),
        };
        let pair = memory.access(|content| {
            let mut left = content.trees.get(name)?.range((from.clone(), to.clone()));
            let pair = match side {
                Side::Front => left.next(),
                Side::Back => left.next_back(),
            };
            pair.map(|(key, value)| (key.clone(), value.clone()))
        });
        match pair {
            Err(error) => Some(Err(error)),
            Ok(None) => None,
            Ok(Some((key, value))) => {
                let passed = match side {
                    Side::Front => from,
                    Side::Back => to,
                };
                *passed = Bound::Excluded(key.clone());
                Some(Ok((Piece::Memory(key.into()), Piece::Memory(value))))
            }
        }
    }
}

impl Iterator for Pairs {
    type Item = Pair;

    fn next(&mut self) -> Option<Pair> {
        self.step(Side::Front)
    }
}

impl DoubleEndedIterator for Pairs {
    fn next_back(&mut self) -> Option<Pair> {
        self.step(Side::Back)
    }
}
