//! The executor: every task of the mesh on one thread, in virtual time.
//!
//! Tasks run while one is ready; when none is, time jumps to the next timer. Nothing waits for
//! real, so a minute costs milliseconds, and the same seed takes the same steps. Tasks belong to an
//! [`Owner`], a process of the pretend world: killing it drops all of them at once, wherever they
//! are. Never uses threads, the machine's clock, or the order of a hash map.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::dice::Dice;
use crate::trace::Trace;

/// A process of the pretend world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(pub(crate) u32);

impl Owner {
    /// The world itself: links, viewers, weather. Never killed.
    pub(crate) const WORLD: Owner = Owner(0);
}

/// Why a run did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// More steps than any sound run takes: tasks wake each other without end.
    #[error("{0} steps were taken and there was no end: something loops")]
    Runaway(u64),
    /// The virtual deadline passed.
    #[error("{0:?} of virtual time passed and there was no end")]
    Late(Duration),
    /// No task is ready and no timer is set: everybody waits for somebody.
    #[error("everybody waits for somebody: no task is ready and no timer is set")]
    Quiet,
}

/// What a run may cost before it counts as stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Polls of tasks.
    pub(crate) steps: u64,
    /// Virtual time.
    pub(crate) time: Duration,
}

/// Time and tasks, as everybody in the world holds them.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Shared>);

struct Shared {
    trace: Arc<Trace>,
    ready: Arc<Ready>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    next_timer: u64,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
}

struct Task {
    owner: Owner,
    /// Not here while it is being polled.
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
    alarm: Arc<Alarm>,
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<u64>>);

struct Alarm {
    task: u64,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().push_back(self.task);
        }
    }
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    /// A world at rest, at time zero.
    pub(crate) fn new(trace: Arc<Trace>) -> Clock {
        Clock(Arc::new(Shared { trace, ready: Arc::default(), state: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the world began.
    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    /// Waits for `time`.
    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(time))
    }

    /// Waits until it is `deadline`.
    pub(crate) fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep { clock: self.clone(), deadline, timer: None }
    }

    /// Runs `task` until it ends or its owner does.
    pub(crate) fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.lock();
        let id = state.next_task;
        state.next_task += 1;
        let alarm = Arc::new(Alarm {
            task: id,
            queued: AtomicBool::new(false),
            ready: self.0.ready.clone(),
        });
        let waker = Waker::from(alarm.clone());
        state
            .tasks
            .insert(id, Task { owner, future: Some(task.boxed()), waker, alarm: alarm.clone() });
        drop(state);
        alarm.wake();
    }

    /// Ends every task of `owner` where it stands. What they held is dropped.
    pub(crate) fn kill(&self, owner: Owner) {
        let gone: Vec<Task> = self
            .lock()
            .tasks
            .extract_if(.., |_, task| task.owner == owner)
            .map(|(_, task)| task)
            .collect();
        drop(gone);
    }

    /// Ends everything, so that nobody holds anybody any more.
    fn end(&self) {
        let state = std::mem::take(&mut *self.lock());
        drop(state);
    }

    /// Polls one task; says whether there was one ready.
    fn step(&self, order: &mut Order) -> bool {
        let Some(id) = order.next(&mut self.0.ready.lock()) else { return false };
        let mut state = self.lock();
        let now = state.now;
        let Some(task) = state.tasks.get_mut(&id) else { return true };
        task.alarm.queued.store(false, Ordering::Release);
        let (future, waker) = (task.future.take(), task.waker.clone());
        drop(state);
        self.0.trace.step(now, id);
        let Some(mut future) = future else { return true };
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = self.lock();
        match (poll, state.tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => task.future = Some(future),
            // It ended, or was killed while it ran: dropped without the lock, since that may wake.
            (Poll::Ready(()) | Poll::Pending, _) => {
                let ended = state.tasks.remove(&id);
                drop(state);
                drop((ended, future));
            }
        }
        true
    }

    /// Moves time to the next timer; says whether there was one.
    fn leap(&self) -> bool {
        let mut state = self.lock();
        let Some(((due, _), waker)) = state.timers.pop_first() else { return false };
        state.now = due;
        drop(state);
        waker.wake();
        true
    }

    /// Runs `main` to its end, and the world around it.
    pub(crate) fn run(
        &self,
        main: impl Future<Output = ()> + Send + 'static,
        mut order: Order,
        budget: Budget,
    ) -> Result<(), Stuck> {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        self.spawn(Owner::WORLD, main.map(move |()| flag.store(true, Ordering::Release)));
        let mut steps = 0;
        let verdict = loop {
            if ended.load(Ordering::Acquire) {
                break Ok(());
            }
            if self.step(&mut order) {
                steps += 1;
            } else if !self.leap() {
                break Err(Stuck::Quiet);
            }
            if steps > budget.steps {
                break Err(Stuck::Runaway(steps));
            }
            if self.now() > budget.time {
                break Err(Stuck::Late(budget.time));
            }
        };
        self.end();
        verdict
    }
}

/// Who goes first among tasks that are ready at the same time.
pub(crate) enum Order {
    /// Who was woken first.
    Fifo,
    /// Whoever the dice name: what holds must hold in any order.
    Shuffled(Dice),
}

impl Order {
    fn next(&mut self, ready: &mut VecDeque<u64>) -> Option<u64> {
        match self {
            Order::Fifo => ready.pop_front(),
            Order::Shuffled(_) if ready.is_empty() => None,
            Order::Shuffled(dice) => ready.swap_remove_front(dice.below(ready.len())),
        }
    }
}

/// The future of [`Clock::sleep`]. Dropped early, it leaves no timer behind.
pub(crate) struct Sleep {
    clock: Clock,
    deadline: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.lock();
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        let timer = self.timer.unwrap_or_else(|| {
            state.next_timer += 1;
            (self.deadline, state.next_timer)
        });
        state.timers.insert(timer, context.waker().clone());
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.clock.lock().timers.remove(&timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Keep;

    const BUDGET: Budget = Budget { steps: 1_000, time: Duration::from_secs(3_600) };

    fn clock() -> Clock {
        Clock::new(Arc::new(Trace::new(Keep::Hash)))
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    type Log = Arc<Mutex<Vec<(u64, &'static str)>>>;

    /// Writes a word into the log after so many seconds.
    async fn say(clock: Clock, log: Log, after: u64, word: &'static str) {
        clock.sleep(secs(after)).await;
        log.lock().unwrap().push((clock.now().as_secs(), word));
    }

    #[test]
    fn an_hour_passes_at_once_and_in_order() {
        let (clock, log) = (clock(), Log::default());
        for (after, word) in [(1_800, "later"), (60, "sooner"), (1_800, "after it")] {
            clock.spawn(Owner::WORLD, say(clock.clone(), log.clone(), after, word));
        }
        clock.run(clock.sleep(secs(3_000)), Order::Fifo, BUDGET).unwrap();
        let said = log.lock().unwrap().clone();
        assert_eq!(said, [(60, "sooner"), (1_800, "later"), (1_800, "after it")]);
    }

    #[test]
    fn who_is_killed_says_nothing_more() {
        let (clock, log) = (clock(), Log::default());
        clock.spawn(Owner(1), say(clock.clone(), log.clone(), 5, "killed"));
        clock.spawn(Owner(2), say(clock.clone(), log.clone(), 5, "spared"));
        let killer = clock.clone();
        let main = async move {
            killer.sleep(secs(1)).await;
            killer.kill(Owner(1));
            killer.sleep(secs(9)).await;
        };
        clock.run(main, Order::Fifo, BUDGET).unwrap();
        assert_eq!(*log.lock().unwrap(), [(5, "spared")]);
    }

    #[test]
    fn a_run_that_cannot_end_is_called_out() {
        let main = futures_util::future::pending::<()>;
        assert_eq!(clock().run(main(), Order::Fifo, BUDGET), Err(Stuck::Quiet));

        let clock = clock();
        let restless = std::future::poll_fn(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        clock.spawn(Owner::WORLD, restless);
        assert_eq!(clock.run(main(), Order::Fifo, BUDGET), Err(Stuck::Runaway(1_001)));

        let clock = self::clock();
        let late = clock.run(clock.sleep(secs(3_601)), Order::Fifo, BUDGET);
        assert_eq!(late, Err(Stuck::Late(BUDGET.time)));
    }
}
