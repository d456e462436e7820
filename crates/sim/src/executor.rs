//! The executor: every task of the mesh in one tokio runtime on one thread, in virtual time.
//!
//! The runtime is `current_thread` and its clock is paused: tasks run while one is ready; when none
//! is, time jumps to the next timer. So openraft and chitchat, which know tokio only, live in the
//! same time as everybody else. Our own tasks belong to an [`Owner`], a process of the pretend
//! world: killing it drops all of them at once, and stopping it leaves them where they are while
//! the world moves on. Never uses the machine's clock or the order of a hash map.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

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
    /// No task took a step for half of the virtual time there is.
    #[error("everybody waits for somebody: no task was ready for half of the time")]
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

/// Who goes first among tasks that are ready at the same time.
pub(crate) enum Order {
    /// Who was woken first.
    Fifo,
    /// The same, but now and then the dice send somebody to the end of the queue: what holds must
    /// hold in any order.
    Shuffled(Dice),
}

/// Of so many percent of steps, tasks are sent to the end of the queue.
const SHUFFLED: usize = 25;

/// Time and tasks, as everybody in the world holds them.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Shared>);

struct Shared {
    trace: Arc<Trace>,
    /// Gone once the world has ended.
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    born: Instant,
    ended: Notify,
    state: Mutex<State>,
}

struct State {
    tasks: BTreeMap<u64, Arc<Task>>,
    next_task: u64,
    stopped: BTreeSet<Owner>,
    /// Tasks that were woken while their owner was stopped.
    held: Vec<(Owner, Waker)>,
    order: Order,
    budget: Budget,
    steps: u64,
    last_step: Duration,
    verdict: Option<Result<(), Stuck>>,
}

struct Task {
    id: u64,
    owner: Owner,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Not here while it is being polled, nor after its end.
    future: Option<BoxFuture<'static, ()>>,
    /// Whether the dice have sent it to the end of the queue since its last step.
    sent_back: bool,
    abort: Option<AbortHandle>,
}

impl Task {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    /// A world at rest, at time zero.
    pub(crate) fn new(trace: Arc<Trace>) -> Clock {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without sockets asks nothing of the machine");
        let handle = runtime.handle().clone();
        let inside = handle.enter();
        let born = Instant::now();
        drop(inside);
        let state = State {
            tasks: BTreeMap::new(),
            next_task: 0,
            stopped: BTreeSet::new(),
            held: Vec::new(),
            order: Order::Fifo,
            budget: Budget { steps: u64::MAX, time: Duration::MAX },
            steps: 0,
            last_step: Duration::ZERO,
            verdict: None,
        };
        Clock(Arc::new(Shared {
            trace,
            runtime: Mutex::new(Some(runtime)),
            handle,
            born,
            ended: Notify::new(),
            state: Mutex::new(state),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the world began.
    pub(crate) fn now(&self) -> Duration {
        let _inside = self.0.handle.enter();
        self.0.born.elapsed()
    }

    /// Waits for `time`.
    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(time))
    }

    /// Waits until it is `deadline`, to the millisecond: tokio's timers know no less.
    pub(crate) fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep { clock: self.clone(), deadline, timer: None }
    }

    /// Runs `task` until it ends or its owner does.
    pub(crate) fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.lock();
        let id = state.next_task;
        state.next_task += 1;
        let inner = Inner { future: Some(task.boxed()), sent_back: false, abort: None };
        let task = Arc::new(Task { id, owner, inner: Mutex::new(inner) });
        state.tasks.insert(id, task.clone());
        drop(state);
        let (clock, polled) = (self.clone(), task.clone());
        let running = self.0.handle.spawn(poll_fn(move |context| clock.poll(&polled, context)));
        task.lock().abort = Some(running.abort_handle());
    }

    /// Ends every task of `owner` where it stands. What they held is dropped.
    pub(crate) fn kill(&self, owner: Owner) {
        let mut state = self.lock();
        let gone = state.tasks.extract_if(.., |_, task| task.owner == owner);
        let gone: Vec<Arc<Task>> = gone.map(|(_, task)| task).collect();
        state.stopped.remove(&owner);
        state.held.retain(|(held, _)| *held != owner);
        drop(state);
        end(gone);
    }

    /// Leaves every task of `owner` where it stands, as SIGSTOP does.
    pub(crate) fn stop(&self, owner: Owner) {
        self.lock().stopped.insert(owner);
    }

    /// Lets the tasks of `owner` go on.
    pub(crate) fn resume(&self, owner: Owner) {
        let mut state = self.lock();
        state.stopped.remove(&owner);
        let woken = state.held.extract_if(.., |(held, _)| *held == owner);
        let woken: Vec<Waker> = woken.map(|(_, waker)| waker).collect();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Whether the tasks of `owner` stand still.
    pub(crate) fn is_stopped(&self, owner: Owner) -> bool {
        self.lock().stopped.contains(&owner)
    }

    /// Waits until `owner` is not stopped, or no more.
    pub(crate) async fn going(&self, owner: Owner) {
        poll_fn(|context| {
            let mut state = self.lock();
            if !state.stopped.contains(&owner) {
                return Poll::Ready(());
            }
            state.held.push((owner, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// One step of one task, unless it has to wait.
    fn poll(&self, task: &Arc<Task>, context: &mut Context<'_>) -> Poll<()> {
        let now = self.now();
        let mut inner = task.lock();
        if inner.future.is_none() {
            return Poll::Ready(());
        }
        match self.lock().admit(task, &mut inner, now, context.waker()) {
            Admission::Held => return Poll::Pending,
            Admission::Stuck => {
                self.0.ended.notify_one();
                return Poll::Pending;
            }
            Admission::Go => {}
        }
        let future = inner.future.take();
        drop(inner);
        let Some(mut future) = future else { return Poll::Ready(()) };
        self.0.trace.step(now, task.id);
        let polled = future.as_mut().poll(context);
        let mut state = self.lock();
        if polled.is_pending() && state.tasks.contains_key(&task.id) {
            task.lock().future = Some(future);
            return Poll::Pending;
        }
        // It ended, or was killed while it ran: dropped without the lock, since that may wake.
        let ended = state.tasks.remove(&task.id);
        drop(state);
        drop((ended, future));
        Poll::Ready(())
    }

    /// Runs `main` to its end, and the world around it. A world runs once.
    pub(crate) fn run(
        &self,
        main: impl Future<Output = ()> + Send + 'static,
        order: Order,
        budget: Budget,
    ) -> Result<(), Stuck> {
        let mut state = self.lock();
        (state.order, state.budget) = (order, budget);
        drop(state);
        let clock = self.clone();
        self.spawn(
            Owner::WORLD,
            main.map(move |()| {
                clock.lock().verdict.get_or_insert(Ok(()));
                clock.0.ended.notify_one();
            }),
        );
        let runtime = self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(runtime) = runtime else { return Err(Stuck::Quiet) };
        let left = budget.time + Duration::from_millis(1);
        let verdict = runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.0.ended.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
            let state = self.lock();
            let waits = budget.time.saturating_sub(state.last_step) > budget.time / 2;
            let late = if waits { Stuck::Quiet } else { Stuck::Late(budget.time) };
            state.verdict.unwrap_or(Err(late))
        });
        // Everything ends, so that nobody holds anybody any more.
        let tasks = std::mem::take(&mut self.lock().tasks);
        end(tasks.into_values().collect());
        drop(runtime);
        verdict
    }
}

/// Drops what the tasks hold. Nobody's lock is held meanwhile, since that may wake others.
fn end(tasks: Vec<Arc<Task>>) {
    for task in tasks {
        let mut inner = task.lock();
        let (future, abort) = (inner.future.take(), inner.abort.take());
        drop(inner);
        drop(future);
        if let Some(abort) = abort {
            abort.abort();
        }
    }
}

/// Whether a task may take a step now.
enum Admission {
    Go,
    /// Later: it will be woken.
    Held,
    /// The run has used up its steps.
    Stuck,
}

impl State {
    fn admit(&mut self, task: &Task, inner: &mut Inner, now: Duration, waker: &Waker) -> Admission {
        if self.stopped.contains(&task.owner) {
            self.held.push((task.owner, waker.clone()));
            return Admission::Held;
        }
        let sent_back = match &mut self.order {
            Order::Fifo => false,
            Order::Shuffled(dice) => !inner.sent_back && dice.chance(SHUFFLED),
        };
        inner.sent_back = sent_back;
        if sent_back {
            waker.wake_by_ref();
            return Admission::Held;
        }
        (self.steps, self.last_step) = (self.steps + 1, now);
        if self.steps > self.budget.steps {
            self.verdict.get_or_insert(Err(Stuck::Runaway(self.steps)));
            return Admission::Stuck;
        }
        Admission::Go
    }
}

/// The future of [`Clock::sleep`].
pub(crate) struct Sleep {
    clock: Clock,
    deadline: Duration,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.deadline {
            return Poll::Ready(());
        }
        let deadline = self.clock.0.born + self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.poll_unpin(context)
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
    fn who_is_stopped_stands_still_and_goes_on_where_he_was() {
        let (clock, log) = (clock(), Log::default());
        clock.spawn(Owner(1), say(clock.clone(), log.clone(), 5, "stopped"));
        clock.spawn(Owner(2), say(clock.clone(), log.clone(), 5, "not"));
        let stopper = clock.clone();
        let main = async move {
            stopper.sleep(secs(1)).await;
            stopper.stop(Owner(1));
            stopper.sleep(secs(9)).await;
            stopper.resume(Owner(1));
            stopper.sleep(secs(1)).await;
        };
        clock.run(main, Order::Fifo, BUDGET).unwrap();
        assert_eq!(*log.lock().unwrap(), [(5, "not"), (10, "stopped")]);
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
        let beats = clock.clone();
        let endless = async move {
            loop {
                beats.sleep(secs(60)).await;
            }
        };
        let late = clock.run(endless, Order::Fifo, BUDGET);
        assert_eq!(late, Err(Stuck::Late(BUDGET.time)));
    }
}
