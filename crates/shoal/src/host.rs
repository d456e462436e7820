//! The process's clock, dice and tasks, as the two stories ask for them.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::Moment;
use rustix::time::{ClockId, clock_gettime};

/// The machine that the process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine;

impl Machine {
    /// Time since boot, suspended time included: a lease must not outlive a closed lid.
    pub(crate) fn now(self) -> Moment {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
        let rest = Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default());
        Moment::at(seconds + rest)
    }

    /// The wall clock.
    #[expect(clippy::disallowed_methods, reason = "this is the port that the others ask")]
    pub(crate) fn wall(self) -> SystemTime {
        SystemTime::now()
    }
}

impl serve::Host for Machine {
    fn now(&self) -> Moment {
        Machine::now(*self)
    }

    fn wall(&self) -> SystemTime {
        Machine::wall(*self)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        // A fetch owns itself: it ends with its body, its timeouts, or the process.
        drop(tokio::spawn(task));
    }
}

impl follow::Host for Machine {
    fn now(&self) -> Moment {
        Machine::now(*self)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed()
    }

    fn dice(&self) -> u128 {
        rand::random()
    }
}
