//! Positions in the replicated log: `(epoch, index)`, ordered, in one word so that a copy can
//! remember one atomically.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

const INDEX_BITS: u32 = 48;
const INDEX_MAX: u64 = (1 << INDEX_BITS) - 1;

/// A position in the replicated log. The epoch rises only when a mesh is recovered by force, and
/// then outranks every index before it. 48 bits of index last 890 years at 10,000 commands a
/// second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPosition(u64);

impl LogPosition {
    /// Before the first command.
    pub const ZERO: LogPosition = LogPosition(0);

    /// The position `index` of `epoch`; indexes beyond 48 bits saturate, which over-invalidates and
    /// so is safe.
    pub const fn new(epoch: u16, index: u64) -> Self {
        let index = if index > INDEX_MAX { INDEX_MAX } else { index };
        LogPosition((epoch as u64) << INDEX_BITS | index)
    }

    /// The mesh epoch.
    pub const fn epoch(self) -> u16 {
        (self.0 >> INDEX_BITS) as u16
    }

    /// The index within the log.
    pub const fn index(self) -> u64 {
        self.0 & INDEX_MAX
    }

    /// Both in one word, order kept.
    pub const fn packed(self) -> u64 {
        self.0
    }

    /// The inverse of [`LogPosition::packed`].
    pub const fn from_packed(word: u64) -> Self {
        LogPosition(word)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch(), self.index())
    }
}

impl fmt::Debug for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A position that many threads raise and none lowers.
#[derive(Debug, Default)]
pub struct Watermark(AtomicU64);

impl Watermark {
    /// Starts at `position`.
    pub fn at(position: LogPosition) -> Self {
        Watermark(AtomicU64::new(position.packed()))
    }

    /// The highest position reached.
    pub fn reached(&self) -> LogPosition {
        LogPosition(self.0.load(Ordering::Acquire))
    }

    /// Raises the mark to `position`; a lower one changes nothing.
    pub fn raise(&self, position: LogPosition) {
        self.0.fetch_max(position.packed(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_outranks_every_index_before_it() {
        assert!(LogPosition::new(1, 0) > LogPosition::new(0, u64::MAX));
        assert!(LogPosition::new(1, 2) > LogPosition::new(1, 1));
        assert_eq!(
            LogPosition::from_packed(LogPosition::new(7, 9).packed()),
            LogPosition::new(7, 9)
        );
    }

    #[test]
    fn a_watermark_only_rises() {
        let mark = Watermark::at(LogPosition::new(0, 5));
        mark.raise(LogPosition::new(0, 3));
        assert_eq!(mark.reached().index(), 5);
        mark.raise(LogPosition::new(0, 8));
        assert_eq!(mark.reached().index(), 8);
    }
}
