//! A signal: tasks wait until a condition holds, and are woken when it may have changed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// Wakes everyone who waits on it.
#[derive(Debug, Default)]
pub struct Signal(Mutex<Waiting>);

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed.
    pub fn notify(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Waits until `ready` gives a value; it is asked again after every [`Signal::notify`].
    pub fn until<T, F: FnMut() -> Option<T> + Unpin>(&self, ready: F) -> Until<'_, F> {
        Until { signal: self, ready, place: None }
    }
}

/// The future of [`Signal::until`].
pub struct Until<'a, F> {
    signal: &'a Signal,
    ready: F,
    place: Option<u64>,
}

impl<T, F: FnMut() -> Option<T> + Unpin> Future for Until<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Registered before the condition is asked, so that a change between the two is not missed.
        let mut waiting = self.signal.lock();
        let place = self.place.unwrap_or_else(|| {
            waiting.next += 1;
            waiting.next
        });
        waiting.wakers.insert(place, context.waker().clone());
        drop(waiting);
        self.place = Some(place);
        (self.ready)().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<F> Drop for Until<'_, F> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.signal.lock().wakers.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_waiter_sees_the_change_and_leaves_nothing_behind() {
        let signal = Signal::default();
        let value = Cell::new(0);
        let mut wait = signal.until(|| (value.get() > 1).then(|| value.get()));
        assert_eq!((&mut wait).now_or_never(), None);
        value.set(2);
        signal.notify();
        assert_eq!((&mut wait).now_or_never(), Some(2));
        drop(wait);
        assert!(signal.lock().wakers.is_empty());
    }
}
