//! The pulse of one HTTP/2 connection: what it is doing and since when, so that one that only holds
//! its place can be told from one that waits for us.
//!
//! h2 minds neither a viewer that stops reading nor one that never asks for anything. So the
//! socket and the exchanges note here what happens, a few relaxed atomics each, and the
//! connection's task looks now and then. It never interrupts an exchange that waits for us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::listen::Limits;

/// However short the limits, a connection's task does not spin.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
/// How long a viewer may be silent before it is asked whether it is still there, and how long the
/// answer may take.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// What happens on a connection, in milliseconds since its accept; 0 stands for "not now".
pub(crate) struct Pulse {
    accepted: Instant,
    exchanges: AtomicU32,
    quiet_since: AtomicU64,
    blocked_since: AtomicU64,
    heard_at: AtomicU64,
    asked_at: AtomicU64,
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing; look again then.
    Wait(Duration),
    /// It was silent for long: ask whether the viewer is still there.
    Ask,
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
            heard_at: AtomicU64::new(1),
            asked_at: AtomicU64::new(0),
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
        let (heard, asked) = (self.heard_at.load(Relaxed), self.asked_at.load(Relaxed));
        let silent = if asked == 0 { left(heard, PING) } else { left(asked, PONG) };
        match (silent, asked) {
            (Some(rest), _) => wait = wait.min(rest),
            (None, 0) => return Verdict::Ask,
            (None, _) => return Verdict::Cut("the viewer does not answer a ping"),
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

    /// The viewer said something.
    pub(crate) fn note_read(&self) {
        self.heard_at.store(self.now(), Relaxed);
        self.asked_at.store(0, Relaxed);
    }

    /// The viewer was asked whether it is still there.
    pub(crate) fn note_asked(&self) {
        self.asked_at.store(self.now(), Relaxed);
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

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.pulse.exchanges.fetch_sub(1, Relaxed) == 1 {
            self.pulse.quiet_since.store(self.pulse.now(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(seconds: u64, pulse: &Pulse, limits: &Limits) -> Verdict {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        pulse.verdict(limits)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_viewer_is_asked_and_then_cut() {
        let (pulse, limits) = (Pulse::begin(), Limits::default());
        let _running = Exchange::begin(&pulse);
        assert!(matches!(after(19, &pulse, &limits).await, Verdict::Wait(_)));
        assert_eq!(after(1, &pulse, &limits).await, Verdict::Ask);
        pulse.note_asked();
        assert!(matches!(after(9, &pulse, &limits).await, Verdict::Wait(_)));
        assert!(matches!(after(1, &pulse, &limits).await, Verdict::Cut(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_a_viewer_says_answers_for_its_life() {
        let (pulse, limits) = (Pulse::begin(), Limits::default());
        let _running = Exchange::begin(&pulse);
        assert_eq!(after(20, &pulse, &limits).await, Verdict::Ask);
        pulse.note_asked();
        pulse.note_read();
        assert!(matches!(after(19, &pulse, &limits).await, Verdict::Wait(_)));
        assert_eq!(after(1, &pulse, &limits).await, Verdict::Ask);
    }
}
