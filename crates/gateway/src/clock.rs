//! How long a viewer may keep us waiting: one timer per connection, and a measure of its pace.
//!
//! The timer is set again only when it goes off or when something is due sooner, so an ordinary
//! request costs the runtime's timers nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use model::limits::PACE_BYTES_PER_SECOND_MIN;
use tokio::time::{Instant, Sleep, sleep_until};

/// The timer of a connection.
pub(crate) struct Clock(Pin<Box<Sleep>>);

impl Clock {
    /// A timer that will be needed at `due`.
    pub(crate) fn set(due: Instant) -> Clock {
        Clock(Box::pin(sleep_until(due)))
    }

    /// Waits for `due`.
    pub(crate) fn poll_due(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if due < self.0.deadline() {
            self.0.as_mut().reset(due);
        }
        while self.0.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// How fast a viewer takes or sends a body, measured only while we wait for it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waited: Duration,
    waiting_since: Option<Instant>,
    bytes: u64,
}

impl Pace {
    /// So many bytes went.
    pub(crate) fn moved(&mut self, bytes: u64, stall: Duration) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.bytes += bytes;
        if self.bytes >= bytes_in(stall) {
            *self = Pace::default();
        }
    }

    /// We wait for the viewer; until when, if it moves less than it must.
    pub(crate) fn due(&mut self, stall: Duration) -> Instant {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        since + stall.saturating_sub(self.waited)
    }

    /// We do not wait for the viewer.
    pub(crate) fn pause(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }
}

/// What must move in `stall`: at least something.
fn bytes_in(stall: Duration) -> u64 {
    let bytes = stall.as_millis() * u128::from(PACE_BYTES_PER_SECOND_MIN) / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_no_pace() {
        let mut pace = Pace::default();
        let begun = Instant::now();
        // One byte a second keeps nobody waiting for longer than the whole stall.
        for _ in 0..9 {
            assert_eq!(pace.due(STALL), begun + STALL);
            tokio::time::advance(Duration::from_secs(1)).await;
            pace.moved(1, STALL);
        }
        assert_eq!(pace.due(STALL), begun + STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_answers_only_for_the_time_we_wait_for_it() {
        let mut pace = Pace::default();
        pace.due(STALL);
        tokio::time::advance(Duration::from_secs(4)).await;
        pace.pause();
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(pace.due(STALL), Instant::now() + Duration::from_secs(6));
        pace.moved(bytes_in(STALL), STALL);
        assert_eq!(pace.due(STALL), Instant::now() + STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_goes_off_when_the_latest_wish_is_due() {
        let begun = Instant::now();
        let mut clock = Clock::set(begun + Duration::from_secs(1));
        for seconds in [5, 2, 9] {
            let due = Instant::now() + Duration::from_secs(seconds);
            std::future::poll_fn(|cx| clock.poll_due(due, cx)).await;
            assert_eq!(Instant::now(), due);
        }
    }
}
