//! An origin of large objects: every byte follows from its place and from the version, so that a
//! part can be told from any other without holding the whole.
//!
//! It serves ranges, or says that it does, or does not.

use bytes::Bytes;
use http::header::RANGE;
use model::limits::SLICE_BYTES;

use super::origin::{Reply, Seen};

/// Bytes after which the content repeats: no divisor of a slice.
const PERIOD: u64 = 23;
/// Bytes that the origin sends at once.
const CHUNK: u64 = 4_096 * PERIOD;

/// A large object at its origin.
#[derive(Clone)]
pub(super) struct Large {
    /// Its fields.
    pub(super) lines: String,
    /// Bytes of it.
    pub(super) length: u64,
    /// Which letters it is made of.
    pub(super) version: u8,
    /// Whether it is sent in parts.
    pub(super) ranges: Ranges,
}

/// How an origin takes `Range`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    /// It serves ranges.
    Served,
    /// It says so, and sends the whole.
    Ignored,
}

impl Large {
    /// An object of so many slices and 99 bytes more.
    pub(super) fn of_slices(slices: u64) -> Large {
        let lines = "cache-control:max-age=60|etag:\"1\"|accept-ranges:bytes|surrogate-key:film";
        let length = slices * SLICE_BYTES + 99;
        Large { lines: lines.into(), length, version: 0, ranges: Ranges::Served }
    }

    /// The same, replaced by that version.
    pub(super) fn version(&self, version: u8) -> Large {
        let lines = self.lines.replace("\"1\"", &format!("\"{}\"", version + 1));
        Large { lines, version, ..self.clone() }
    }

    /// The bytes from `first` to `last`.
    pub(super) fn content(&self, first: u64, last: u64) -> String {
        let letter = |at: u64| char::from(b'a' + ((at + u64::from(self.version)) % PERIOD) as u8);
        (first..=last).map(letter).collect()
    }

    /// What the origin answers.
    pub(super) fn reply(&self, seen: &Seen) -> Reply {
        let range = seen.headers.get(RANGE).filter(|_| self.ranges == Ranges::Served);
        let Some(range) = range else {
            return self.send(Reply::new(&self.lines, ""), 0, self.length - 1);
        };
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last) = (first.parse().unwrap(), last.parse::<u64>().unwrap());
        if first >= self.length {
            let lines = format!("content-range:bytes */{}", self.length);
            return Reply::status(416, &lines, "");
        }
        let last = last.min(self.length - 1);
        let lines = format!("{}|content-range:bytes {first}-{last}/{}", self.lines, self.length);
        self.send(Reply::status(206, &lines, ""), first, last)
    }

    fn send(&self, reply: Reply, first: u64, last: u64) -> Reply {
        let pattern = Bytes::from(self.content(0, CHUNK + PERIOD));
        let (mut at, mut reply) = (first, reply);
        while at <= last {
            let bytes = CHUNK.min(last + 1 - at) as usize;
            let skip = (at % PERIOD) as usize;
            reply = reply.then_bytes(pattern.slice(skip..skip + bytes));
            at += bytes as u64;
        }
        reply
    }
}
