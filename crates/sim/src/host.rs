//! The host of one process: its clock, its dice, its tasks, and the way to its replica.
//!
//! Every process has a clock of its own that starts with it and runs at the rate of its node, and
//! all share one wall clock. While a node sleeps its clock goes on and its timers do not, as
//! `CLOCK_BOOTTIME` and tokio have it. Nothing here knows the time of the machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::Guard;
use control::State;
use follow::Replica;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use model::{LogPosition, Moment};
use serve::Account;

use crate::dice::Dice;
use crate::executor::{Clock, Owner};

/// The wall clock when a run begins.
pub(crate) const WALL_START: Duration = Duration::from_secs(1_800_000_000);

/// A number nobody can guess, except from the seed.
pub(crate) fn roll(dice: &Mutex<Dice>) -> u128 {
    let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
    u128::from(dice.roll()) << 64 | u128::from(dice.roll())
}

/// The clock, dice and tasks of one process.
pub(crate) struct Host {
    clock: Clock,
    owner: Owner,
    booted: Duration,
    rate: f64,
    /// How long its node has slept.
    slept: Arc<Mutex<Duration>>,
    dice: Arc<Mutex<Dice>>,
}

impl Host {
    /// The host of a process that starts now, on a node whose clock runs at `rate`.
    pub(crate) fn boot(clock: Clock, owner: Owner, rate: f64, dice: Arc<Mutex<Dice>>) -> Host {
        Host { booted: clock.now(), clock, owner, rate, slept: Arc::default(), dice }
    }

    /// Every process counts from its own start, so that nobody can compare moments of two.
    fn moment(&self) -> Moment {
        let passed = (self.clock.now() - self.booted).mul_f64(self.rate);
        Moment::at(passed + Duration::from_secs(60))
    }

    /// Its node has slept for `time`: the timers there were are late by as much.
    pub(crate) fn wake_up(&self, time: Duration) {
        *self.slept.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl serve::Host for Host {
    fn now(&self) -> Moment {
        self.moment()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + WALL_START + self.clock.now()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.clock.spawn(self.owner, task);
    }
}

impl follow::Host for Host {
    fn now(&self) -> Moment {
        self.moment()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let (clock, slept) = (self.clock.clone(), self.slept.clone());
        let slept = move || *slept.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = clock.now().saturating_sub(slept()) + time.div_f64(self.rate);
        async move {
            while clock.now().saturating_sub(slept()) < deadline {
                clock.sleep_until(deadline + slept()).await;
            }
        }
        .boxed()
    }

    fn dice(&self) -> u128 {
        roll(&self.dice)
    }
}

/// The replicated facts of one process.
pub(crate) struct Ledger {
    clock: Clock,
    replica: Arc<Replica>,
}

impl Ledger {
    /// What `replica` knows.
    pub(crate) fn of(clock: Clock, replica: Arc<Replica>) -> Ledger {
        Ledger { clock, replica }
    }
}

impl serve::Ledger for Ledger {
    fn state(&self) -> Guard<Arc<State>> {
        self.replica.state()
    }

    fn reach(&self, position: LogPosition, patience: Duration) -> BoxFuture<'static, bool> {
        let (replica, timeout) = (self.replica.clone(), self.clock.sleep(patience));
        async move {
            let reached = std::pin::pin!(replica.reach(position));
            matches!(select(reached, timeout).await, Either::Left(_))
        }
        .boxed()
    }
}

/// Accounts are what a node says of itself: nobody reads them here.
pub(crate) struct Journal;

impl serve::Journal for Journal {
    fn record(&self, _: &Account) {}
}
