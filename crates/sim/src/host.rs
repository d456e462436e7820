//! The host of one process: its clock, its dice, its tasks, and the way to its replica.
//!
//! Every process has a clock of its own that starts with it, and all share one wall clock. Nothing
//! here knows the time of the machine.

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
const WALL_START: Duration = Duration::from_secs(1_800_000_000);

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
    dice: Arc<Mutex<Dice>>,
}

impl Host {
    /// The host of a process that starts now.
    pub(crate) fn boot(clock: Clock, owner: Owner, dice: Arc<Mutex<Dice>>) -> Host {
        Host { booted: clock.now(), clock, owner, dice }
    }

    /// Every process counts from its own start, so that nobody can compare moments of two.
    fn moment(&self) -> Moment {
        Moment::at(self.clock.now() - self.booted + Duration::from_secs(60))
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
        self.clock.sleep(time).boxed()
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
