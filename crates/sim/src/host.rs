//! The host of one process: its clock, its dice, its tasks, and the way to its replica.
//!
//! Every machine has a clock of its own that runs at its own rate and outlives its processes, and
//! all share one wall clock. While a node sleeps its clock goes on and its timers do not, as
//! `CLOCK_BOOTTIME` and tokio have it. Nothing here knows the time of the machine.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::Guard;
use control::{Command, CommandId, State};
use follow::{Follow, SubmitError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use model::{Invalidation, Level, LogPosition, Moment, NodeName};
use serve::{Account, Knowledge, Purged, World};
use wire::exchange::{Finding, Sample};

use crate::dice::Dice;
use crate::executor::{Clock, Owner};

/// The wall clock when a run begins.
pub(crate) const WALL_START: Duration = Duration::from_secs(1_800_000_000);

/// A number nobody can guess, except from the seed.
pub(crate) fn roll(dice: &Mutex<Dice>) -> u128 {
    let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
    u128::from(dice.roll()) << 64 | u128::from(dice.roll())
}

/// The clock of a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// How fast it runs.
    pub(crate) rate: f64,
    /// For how long it had run when the run began.
    pub(crate) up_for: Duration,
    /// Whether it goes on while the machine sleeps.
    pub(crate) counts: Counts,
}

/// What a clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// All time, as `CLOCK_BOOTTIME`.
    Always,
    /// Time awake, as `CLOCK_MONOTONIC`.
    Awake,
}

/// The clock, dice and tasks of one process.
pub(crate) struct Host {
    clock: Clock,
    owner: Owner,
    machine: Machine,
    /// How long its node has slept.
    slept: Arc<Mutex<Duration>>,
    dice: Arc<Mutex<Dice>>,
}

impl Host {
    /// The host of a process that starts now, on a machine that started so long before the run.
    pub(crate) fn boot(
        clock: Clock,
        owner: Owner,
        machine: Machine,
        dice: Arc<Mutex<Dice>>,
    ) -> Host {
        Host { clock, owner, machine, slept: Arc::default(), dice }
    }

    /// Every machine counts from its own start, so that nobody can compare moments of two.
    fn moment(&self) -> Moment {
        let slept = match self.machine.counts {
            Counts::Always => Duration::ZERO,
            Counts::Awake => *self.slept.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let passed = self.clock.now().saturating_sub(slept);
        Moment::at(passed.mul_f64(self.machine.rate) + self.machine.up_for)
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
        let deadline = clock.now().saturating_sub(slept()) + time.div_f64(self.machine.rate);
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

/// The replicated facts of one process, and its lease.
pub(crate) struct Ledger(pub(crate) Arc<Follow>);

impl serve::Ledger for Ledger {
    fn knowledge(&self) -> Knowledge {
        // In this order: the state holds at least what the lease vouches for.
        let valid_until = self.0.valid_until();
        Knowledge { valid_until, state: self.0.replica.state(), tentative: self.0.tentative() }
    }

    fn state(&self) -> Guard<Arc<State>> {
        self.0.replica.state()
    }

    fn reach(&self, position: LogPosition, patience: Duration) -> BoxFuture<'static, bool> {
        let follow = self.0.clone();
        async move {
            let timeout = follow.host.sleep(patience);
            let reached = std::pin::pin!(follow.replica.reach(position));
            matches!(select(reached, timeout).await, Either::Left(_))
        }
        .boxed()
    }

    fn confirm(&self, patience: Duration) -> BoxFuture<'static, bool> {
        let follow = self.0.clone();
        async move { follow::confirm(&follow, patience).await.is_some() }.boxed()
    }

    fn purge(
        &self,
        purge: Invalidation,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Purged> {
        let follow = self.0.clone();
        async move {
            let id = CommandId(follow.host.dice());
            let command = Command::Invalidate(purge);
            match follow::submit(&follow, id, command, level, patience).await {
                Ok(receipt) => {
                    Purged::Reached { id: id.to_string(), level: receipt.progressed.level }
                }
                Err(SubmitError::Refused(refusal)) => Purged::Refused(refusal.to_string()),
                Err(SubmitError::Unacceptable(reason)) => Purged::Refused(reason),
                Err(SubmitError::Unknown { reason, .. }) => Purged::Unknown(reason),
            }
        }
        .boxed()
    }

    fn applied_at(&self, moment: Moment) -> LogPosition {
        self.0.applied_at(moment)
    }
}

/// The cache of one process, as commands act upon it.
#[derive(Default)]
pub(crate) struct Stock(OnceLock<Weak<World>>);

impl Stock {
    /// The world to act upon. It holds the command story, and so is held weakly.
    pub(crate) fn connect(&self, world: &Arc<World>) {
        self.0.get_or_init(|| Arc::downgrade(world));
    }

    fn world(&self) -> Option<Arc<World>> {
        self.0.get()?.upgrade()
    }
}

impl follow::Cache for Stock {
    fn stop_old(&self) -> u64 {
        self.world().map_or(0, |world| serve::stop_old(&world))
    }

    fn plan(&self, purge: &Invalidation) -> (u64, u64) {
        self.world().map_or((0, 0), |world| serve::plan_purge(&world, purge))
    }

    fn judge(&self, sample: &Sample) -> Finding {
        self.world().map_or(Finding::Unknown, |world| serve::judge(&world, sample))
    }
}

/// Accounts are what a node says of itself: nobody reads them here, and viewers look at every hit.
pub(crate) struct Journal;

impl serve::Journal for Journal {
    fn record(&self, _: &Account) {}

    fn wants_sample(&self) -> bool {
        false
    }

    fn sample(&self, _: NodeName, _: Sample) {}
}
