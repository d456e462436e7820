//! The pulse of one HTTP/2 connection: what it is doing and since when, so that one that only holds
//! its place can be told from one that waits for us.
//!
//! hyper minds neither a viewer that stops reading nor one that never asks for anything. So the
//! socket and the exchanges note here what happens, a few relaxed atomics each, and the
//! connection's task looks now and then. It never interrupts an exchange that waits for us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

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
    blocked_since: AtomicU64,
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing; look again then.
    Wait(Duration),
    /// It was idle for too long: close it politely.
    Retire,
    /// The viewer takes nothing: drop it.
    Cut(&'static str),
}

impl Pulse {
    pub(crate) fn begin() -> Arc<Pulse> {
        Arc::new(Pulse {
            accepted: Instant::now(),
            exchanges: AtomicU32::new(0),
            quiet_since: AtomicU64::new(1),
            blocked_since: AtomicU64::new(0),
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
        match left(self.quiet_since.load(Relaxed), limits.idle) {
            Some(rest) => Verdict::Wait(wait.min(rest)),
            None => Verdict::Retire,
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

    fn now(&self) -> u64 {
        1 + u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// A request and its response, from the head of the one to the last frame of the other.
pub(crate) struct Exchange {
    pulse: Arc<Pulse>,
}

impl Exchange {
    pub(crate) fn begin(pulse: &Arc<Pulse>) -> Exchange {
        pulse.exchanges.fetch_add(1, Relaxed);
        Exchange { pulse: Arc::clone(pulse) }
    }
}

impl Witness for Exchange {
    fn frame(&self) {}
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.pulse.exchanges.fetch_sub(1, Relaxed) == 1 {
            self.pulse.quiet_since.store(self.pulse.now(), Relaxed);
        }
    }
}
