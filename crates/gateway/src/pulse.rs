//! The pulse of one viewer connection: what it is doing and since when, so that one that only
//! holds its place can be told from one that waits for us.
//!
//! hyper-util reads the first bytes of a connection without any timeout, hyper measures idle time
//! and head time with one clock, and neither minds a viewer that stops reading. So the socket and
//! the exchanges note here what happens, a few relaxed atomics each, and the connection's task
//! looks now and then. It never interrupts an exchange that waits for us.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use http::Version;
use tokio::time::Instant;

use crate::listen::Limits;
use crate::outgoing::Witness;

/// However short the limits, a connection's task does not spin.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);

/// What happens on a connection, in milliseconds since its accept; 0 stands for "not now".
pub(crate) struct Pulse {
    accepted: Instant,
    exchanges: AtomicU32,
    quiet_since: AtomicU64,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    multiplexed: AtomicBool,
    reset: AtomicBool,
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing; look again then.
    Wait(Duration),
    /// It was idle for too long: close it politely.
    Retire,
    /// It holds its place without using it: drop it.
    Cut(&'static str),
}

impl Pulse {
    pub(crate) fn begin() -> Arc<Pulse> {
        Arc::new(Pulse {
            accepted: Instant::now(),
            exchanges: AtomicU32::new(0),
            quiet_since: AtomicU64::new(1),
            head_since: AtomicU64::new(1),
            blocked_since: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
            reset: AtomicBool::new(false),
        })
    }

    pub(crate) fn verdict(&self, limits: &Limits) -> Verdict {
        let now = Duration::from_millis(self.now());
        let left = |since: u64, allowed: Duration| {
            let due = Duration::from_millis(since).saturating_add(allowed);
            due.checked_sub(now).filter(|left| !left.is_zero())
        };
        let mut wait = (limits.head / 4).max(LOOK_AGAIN_MIN);
        let blocked = self.blocked_since.load(Relaxed);
        if blocked != 0 {
            match left(blocked, limits.stall) {
                Some(rest) => wait = wait.min(rest),
                None => return Verdict::Cut("the viewer stopped reading"),
            }
        }
        if self.exchanges.load(Relaxed) > 0 {
            return Verdict::Wait(wait);
        }
        let head = self.head_since.load(Relaxed);
        if head != 0 {
            return match left(head, limits.head) {
                Some(rest) => Verdict::Wait(wait.min(rest)),
                None => Verdict::Cut("no whole request head in time"),
            };
        }
        match left(self.quiet_since.load(Relaxed), limits.idle) {
            Some(rest) => Verdict::Wait(wait.min(rest)),
            None => Verdict::Retire,
        }
    }

    pub(crate) fn note_read(&self) {
        let between = self.exchanges.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0;
        // HTTP/2 connections also carry pings and window updates, which begin no request.
        if between && !self.multiplexed.load(Relaxed) {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    pub(crate) fn note_write<T>(&self, outcome: Poll<T>) -> Poll<T> {
        let blocked = self.blocked_since.load(Relaxed) != 0;
        match (outcome.is_pending(), blocked) {
            (true, false) => self.blocked_since.store(self.now(), Relaxed),
            (false, true) => self.blocked_since.store(0, Relaxed),
            (true, true) | (false, false) => {}
        }
        outcome
    }

    /// Whether the connection has to end in a reset rather than cleanly.
    pub(crate) fn must_reset(&self) -> bool {
        self.reset.load(Relaxed)
    }

    fn now(&self) -> u64 {
        1 + u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// A request and its response, from the head of the one to the last frame of the other.
pub(crate) struct Exchange {
    pulse: Arc<Pulse>,
    version: Version,
}

impl Exchange {
    pub(crate) fn begin(pulse: &Arc<Pulse>, version: Version) -> Exchange {
        pulse.exchanges.fetch_add(1, Relaxed);
        pulse.head_since.store(0, Relaxed);
        if version == Version::HTTP_2 {
            pulse.multiplexed.store(true, Relaxed);
        }
        Exchange { pulse: Arc::clone(pulse), version }
    }
}

impl Witness for Exchange {
    fn frame(&self) {}

    /// To HTTP/1.0 the end of the connection is the end of the body, so it must not be a clean one.
    fn broken(&self) {
        if self.version == Version::HTTP_10 {
            self.pulse.reset.store(true, Relaxed);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.pulse.exchanges.fetch_sub(1, Relaxed) == 1 {
            self.pulse.quiet_since.store(self.pulse.now(), Relaxed);
        }
    }
}
