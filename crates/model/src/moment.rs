//! A moment on one node's own clock. Never sent to another node: ages travel, moments do not.

use std::time::Duration;

/// Nanoseconds since an arbitrary start that the node's `Host` chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The start of the node's clock.
    pub const START: Moment = Moment(0);

    /// The moment `since_start` after the clock's start.
    pub const fn at(since_start: Duration) -> Moment {
        Moment(since_start.as_nanos() as u64)
    }

    /// Time since `earlier`; zero when it lies ahead.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `later` after this one.
    pub const fn plus(self, later: Duration) -> Moment {
        Moment(self.0.saturating_add(later.as_nanos() as u64))
    }

    /// The moment `earlier` before this one, if the clock was running by then.
    pub fn before(self, earlier: Duration) -> Option<Moment> {
        let nanos = u64::try_from(earlier.as_nanos()).ok()?;
        self.0.checked_sub(nanos).map(Moment)
    }

    /// Time since the clock's start.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}
