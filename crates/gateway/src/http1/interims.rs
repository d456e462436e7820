//! Interim responses on their way to a viewer (RFC 9110 §15.2), from whoever hears them to the
//! connection, which alone writes.
//!
//! `serve` may hold its end for longer than the exchange lasts; the connection then takes a fresh
//! pair for the next one, so that a late hint never reaches the wrong request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use http::{HeaderMap, StatusCode};
use model::limits::INTERIMS_MAX;
use serve::Interim;

/// Both ends.
pub(crate) struct Interims {
    shared: Arc<Shared>,
    teller: Interim,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<(StatusCode, HeaderMap)>>,
    connection: AtomicWaker,
}

impl Interims {
    pub(crate) fn new() -> Interims {
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        Interims { shared, teller: Arc::new(move |status, headers| told.tell(status, headers)) }
    }

    /// The end for `serve`, for one exchange.
    pub(crate) fn teller(&mut self) -> Interim {
        match Arc::get_mut(&mut self.teller) {
            Some(_) => self.shared.waiting().clear(),
            None => *self = Interims::new(),
        }
        Arc::clone(&self.teller)
    }

    /// What was told since; `waker` hears of more.
    pub(crate) fn take(&self, waker: &Waker) -> Vec<(StatusCode, HeaderMap)> {
        self.shared.connection.register(waker);
        std::mem::take(&mut *self.shared.waiting())
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Vec<(StatusCode, HeaderMap)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `100` is ours to say and `101` nobody's: there are no upgrades here.
    fn tell(&self, status: StatusCode, headers: HeaderMap) {
        let is_ours = [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS].contains(&status);
        if is_ours || !status.is_informational() {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() < INTERIMS_MAX {
            waiting.push((status, headers));
            drop(waiting);
            self.connection.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_hint_never_reaches_the_next_request() {
        let mut interims = Interims::new();
        let first = interims.teller();
        let hints = StatusCode::EARLY_HINTS;
        first(hints, HeaderMap::new());
        assert_eq!(interims.take(Waker::noop()).len(), 1);
        let second = interims.teller();
        first(hints, HeaderMap::new());
        assert!(interims.take(Waker::noop()).is_empty());
        second(hints, HeaderMap::new());
        assert_eq!(interims.take(Waker::noop()).len(), 1);
        second(hints, HeaderMap::new());
        drop((first, second));
        drop(interims.teller());
        assert!(interims.take(Waker::noop()).is_empty());
    }

    #[test]
    fn hints_are_bounded_and_are_hints() {
        let mut interims = Interims::new();
        let teller = interims.teller();
        for code in [100, 101, 200] {
            teller(StatusCode::from_u16(code).unwrap(), HeaderMap::new());
        }
        assert!(interims.take(Waker::noop()).is_empty());
        for _ in 0..=INTERIMS_MAX {
            teller(StatusCode::EARLY_HINTS, HeaderMap::new());
        }
        assert_eq!(interims.take(Waker::noop()).len(), INTERIMS_MAX);
    }
}
