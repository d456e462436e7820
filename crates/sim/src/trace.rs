//! The trace: what happened in a run, in order, as one running hash and, when asked for, as lines.
//!
//! Two runs with one hash went the same way: every task that was polled and every event that was
//! noted is in it, with its time. Nothing here reads a clock; the time is handed in.

use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

/// Whether a run keeps its events as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The hash alone.
    Hash,
    /// The hash, and a line for each event.
    Lines,
}

/// The record of a run.
pub(crate) struct Trace {
    keep: Keep,
    inner: Mutex<Inner>,
}

struct Inner {
    hash: Xxh3,
    last: Duration,
    line: String,
    lines: Vec<String>,
}

impl Trace {
    /// An empty trace.
    pub(crate) fn new(keep: Keep) -> Trace {
        let inner = Inner {
            hash: Xxh3::new(),
            last: Duration::ZERO,
            line: String::new(),
            lines: Vec::new(),
        };
        Trace { keep, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event in words.
    pub(crate) fn note(&self, now: Duration, event: fmt::Arguments<'_>) {
        let mut inner = self.lock();
        let Inner { hash, line, lines, .. } = &mut *inner;
        line.clear();
        let written = write!(line, "{:10.3} ms  {event}", now.as_secs_f64() * 1e3);
        debug_assert!(written.is_ok(), "a String takes everything");
        hash.update(line.as_bytes());
        if self.keep == Keep::Lines {
            lines.push(line.clone());
        }
    }

    /// Notes a step that has no words.
    pub(crate) fn step(&self, now: Duration, what: u64) {
        let mut inner = self.lock();
        inner.last = now;
        inner.hash.update(&now.as_nanos().to_le_bytes());
        inner.hash.update(&what.to_le_bytes());
    }

    /// When the last step was taken.
    pub(crate) fn last(&self) -> Duration {
        self.lock().last
    }

    /// The hash so far, and the lines so far if they are kept.
    pub(crate) fn close(&self) -> (u64, Vec<String>) {
        let mut inner = self.lock();
        (inner.hash.digest(), std::mem::take(&mut inner.lines))
    }
}
