//! Apply: this node's replica of the state, fed in log order by whoever is first: the Raft group,
//! or the parent in the tree.
//!
//! Readers load one pointer. There is one writer at a time, positions only rise, and a gap is
//! refused. After every change the barrier is passed (responses under way that it covers are cut
//! off), and only then is it settled, which is what may be acknowledged (rule R12). The last
//! entries are kept in memory for children that follow; one who is further behind gets a snapshot.
//! An entry that this build cannot read stops the replica for good (rule R18).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use control::{Envelope, Fingerprint, Outcome, Refusal, State};
use model::LogPosition;
use model::limits::{COMMAND_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use model::position::Watermark;
use wire::codec::{self, Malformed};
use wire::log::Entry;

use crate::signal::Signal;

/// Entries kept in memory for children.
const TAIL_ENTRIES_MAX: usize = 16_384;
/// Bytes of entries kept in memory for children.
const TAIL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of entries handed to a child at once.
const BATCH_BYTES: usize = 256 * 1024;

/// Why entries were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something before them is missing.
    #[error("entries start at {first}, but only {applied} is applied")]
    Gap {
        /// The first position offered.
        first: LogPosition,
        /// The last one applied.
        applied: LogPosition,
    },
    /// They are of an epoch that a forced recovery has ended.
    #[error("entries of epoch {given} come after the recovery that began epoch {present}")]
    Outranked {
        /// The epoch offered.
        given: u16,
        /// The one that the mesh is in.
        present: u16,
    },
    /// An entry or snapshot that this build cannot read.
    #[error("the log has an entry that this version of shoal cannot read: upgrade this node")]
    Unreadable(#[source] Malformed),
    /// A snapshot beyond its limit.
    #[error("a snapshot of more than {0} bytes")]
    TooLong(usize),
    /// It stopped at an earlier unreadable entry.
    #[error("this node stopped applying the log at an entry that it cannot read: upgrade it")]
    Halted,
}

#[derive(Debug, Default)]
struct Tail {
    /// The position before the first entry kept.
    before: LogPosition,
    entries: VecDeque<Bytes>,
    bytes: usize,
}

/// What a child that has applied a position needs next.
#[derive(Debug)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The entries from `first` on.
    Entries {
        /// The position of the first.
        first: LogPosition,
        /// One per position.
        entries: Vec<Bytes>,
    },
    /// A snapshot: the entries are no longer at hand.
    Snapshot,
}

/// What has to happen after a change before it may be acknowledged.
pub type Barrier = Box<dyn Fn(&State) + Send + Sync>;

/// This node's replica.
#[derive(Default)]
pub struct Replica {
    state: ArcSwap<State>,
    settled: Watermark,
    barrier: OnceLock<Barrier>,
    tail: Mutex<Tail>,
    halted: AtomicBool,
    epoch: AtomicU16,
    changed: Signal,
}

fn after(position: LogPosition) -> LogPosition {
    LogPosition::new(position.epoch(), position.index() + 1)
}

impl Replica {
    /// The present state.
    pub fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    /// The position of the last entry applied.
    pub fn applied(&self) -> LogPosition {
        self.state.load().applied()
    }

    /// The position of the last entry that was applied and has passed the barrier.
    pub fn settled(&self) -> LogPosition {
        self.settled.reached()
    }

    /// Sets what happens after every change, before it counts as settled. The first call counts.
    pub fn set_barrier(&self, barrier: Barrier) {
        self.barrier.get_or_init(|| barrier);
    }

    /// Notified after every change of the state.
    pub fn changed(&self) -> &Signal {
        &self.changed
    }

    /// Whether it stopped at an unreadable entry.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    /// The latest mesh epoch heard of. It is not yet that of what is applied here while a forced
    /// recovery has been heard of, and its snapshot has not arrived.
    pub fn epoch(&self) -> u16 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Somebody speaks of `position`: says whether its epoch is later than any known before.
    pub fn hear(&self, position: LogPosition) -> bool {
        let epoch = position.epoch();
        let is_news = self.epoch.fetch_max(epoch, Ordering::AcqRel) < epoch;
        if is_news {
            self.changed.notify();
        }
        is_news
    }

    /// Whether what is applied here belongs to an epoch that has ended: nothing rests on it.
    pub fn is_outranked(&self) -> bool {
        self.applied().epoch() < self.epoch()
    }

    /// Waits until `position` is applied.
    pub async fn reach(&self, position: LogPosition) {
        self.changed.until(|| (self.applied() >= position).then_some(())).await;
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies consecutive entries, the first of them at `first`; those already applied are
    /// skipped. Empty ones hold no command. For each, the encoded outcomes of its commands come
    /// back.
    pub fn apply(&self, first: LogPosition, entries: &[Bytes]) -> Result<Vec<Bytes>, ApplyError> {
        let mut tail = self.lock();
        if self.is_halted() {
            return Err(ApplyError::Halted);
        }
        let mut state = State::clone(&self.state.load());
        let applied = state.applied();
        if first.epoch() < self.epoch() {
            return Err(ApplyError::Outranked { given: first.epoch(), present: self.epoch() });
        }
        // An epoch begins with a snapshot, so its entries alone follow nothing.
        if first > after(applied) {
            return Err(ApplyError::Gap { first, applied });
        }
        let mut outcomes = Vec::with_capacity(entries.len());
        for (offset, entry) in (0..).zip(entries) {
            let position = LogPosition::new(first.epoch(), first.index() + offset);
            match apply_one(&mut state, position, entry) {
                Ok(outcome) => outcomes.push(codec::encode(&outcome)),
                Err(malformed) => {
                    self.halted.store(true, Ordering::Release);
                    self.publish(state);
                    return Err(ApplyError::Unreadable(malformed));
                }
            }
            if position > applied {
                tail.push(position, entry.clone());
            }
        }
        self.publish(state);
        drop(tail);
        Ok(outcomes)
    }

    fn publish(&self, state: State) {
        let state = Arc::new(state);
        self.epoch.fetch_max(state.applied().epoch(), Ordering::AcqRel);
        self.state.store(state.clone());
        if let Some(barrier) = self.barrier.get() {
            barrier(&state);
        }
        self.settled.raise(state.applied());
        self.changed.notify();
    }

    /// Replaces the whole state by a snapshot, in one step (rule R15). An older one changes
    /// nothing.
    pub fn install(&self, snapshot: &[u8]) -> Result<(), ApplyError> {
        let state: State =
            codec::decode(snapshot, SNAPSHOT_BYTES_MAX).map_err(ApplyError::Unreadable)?;
        let mut tail = self.lock();
        if state.applied() > self.applied() && state.applied().epoch() >= self.epoch() {
            *tail = Tail { before: state.applied(), ..Tail::default() };
            self.publish(state);
        }
        drop(tail);
        Ok(())
    }

    /// The whole state, and the position that it reflects.
    pub fn snapshot(&self) -> (LogPosition, Bytes) {
        let state = self.state.load_full();
        (state.applied(), codec::encode(&*state))
    }

    /// What a child that has applied `position` needs next.
    pub fn needs(&self, position: LogPosition) -> Needs {
        let applied = self.applied();
        if position >= applied {
            return Needs::Nothing;
        }
        self.lock().after(position).unwrap_or(Needs::Snapshot)
    }
}

fn apply_one(
    state: &mut State,
    position: LogPosition,
    entry: &Bytes,
) -> Result<Vec<Outcome>, Malformed> {
    if entry.is_empty() {
        state.skip(position);
        return Ok(Vec::new());
    }
    let commands = Entry::decode(entry)?.0;
    let read = |command: Bytes| {
        let envelope: Envelope = codec::decode(&command, COMMAND_BYTES_MAX)?;
        Ok((envelope, Fingerprint::of(&command)))
    };
    let commands: Vec<_> = commands.into_iter().map(read).collect::<Result<_, Malformed>>()?;
    Ok(state.apply(position, &commands))
}

/// What applying the commands of one entry said, each encoded anew for whoever sent it.
pub(crate) fn split_outcomes(outcomes: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    let outcomes: Vec<Outcome> = codec::decode(outcomes, SNAPSHOT_BYTES_MAX)?;
    Ok(outcomes.iter().map(codec::encode).collect())
}

/// Reads what applying a command said.
pub fn read_outcome(outcome: &[u8]) -> Result<Result<LogPosition, Refusal>, Malformed> {
    let outcome: Outcome = codec::decode(outcome, COMMAND_BYTES_MAX)?;
    Ok(outcome.verdict.map(|()| outcome.position))
}

impl Tail {
    fn push(&mut self, position: LogPosition, command: Bytes) {
        let last =
            LogPosition::new(self.before.epoch(), self.before.index() + self.entries.len() as u64);
        if after(last) != position {
            let before = LogPosition::new(position.epoch(), position.index().saturating_sub(1));
            *self = Tail { before, ..Tail::default() };
        }
        self.bytes += command.len();
        self.entries.push_back(command);
        while self.entries.len() > TAIL_ENTRIES_MAX || self.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.len();
            self.before = after(self.before);
        }
    }

    fn after(&self, position: LogPosition) -> Option<Needs> {
        if position.epoch() != self.before.epoch() || position < self.before {
            return None;
        }
        let skip = usize::try_from(position.index() - self.before.index()).ok()?;
        let mut room = BATCH_BYTES;
        let fits = |command: &&Bytes| {
            let first = room == BATCH_BYTES;
            let fits = first || command.len() <= room;
            room = room.saturating_sub(command.len().max(16));
            fits
        };
        let entries: Vec<Bytes> =
            self.entries.iter().skip(skip).take_while(fits).cloned().collect();
        Some(match entries.is_empty() {
            true => Needs::Nothing,
            false => Needs::Entries { first: after(position), entries },
        })
    }
}

#[cfg(test)]
mod tests {
    use control::{Command, CommandId};
    use futures_util::FutureExt;
    use model::{Instance, Member, Tiers};

    use super::*;

    fn at(index: u64) -> LogPosition {
        LogPosition::new(0, index)
    }

    fn member() -> Member {
        Member {
            name: "a".parse().unwrap(),
            instance: Instance(1),
            region: "eu".parse().unwrap(),
            tiers: Tiers::ALL,
            capacity: 100,
            address: "127.0.0.1:1".parse().unwrap(),
        }
    }

    fn form(id: u128) -> Bytes {
        let command = Command::Form { mesh: "m".into(), founder: member(), lease_ms: 10_000 };
        Entry(vec![codec::encode(&Envelope { id: CommandId(id), command })]).encode()
    }

    #[test]
    fn entries_may_come_twice_and_from_two_sides_but_never_with_a_gap() {
        let replica = Replica::default();
        replica.apply(at(1), &[Bytes::new(), form(1)]).unwrap();
        replica.apply(at(1), &[Bytes::new(), form(1), Bytes::new()]).unwrap();
        assert_eq!(replica.applied(), at(3));
        assert!(matches!(replica.apply(at(5), &[Bytes::new()]), Err(ApplyError::Gap { .. })));
        assert_eq!(replica.state().mesh(), Some("m"));
    }

    #[test]
    fn a_child_gets_entries_while_they_are_at_hand_and_a_snapshot_after_that() {
        let replica = Replica::default();
        replica.apply(at(1), &[Bytes::new(), form(1)]).unwrap();
        let Needs::Entries { first, entries } = replica.needs(at(1)) else { panic!("entries") };
        assert_eq!((first, entries), (at(2), vec![form(1)]));
        assert!(matches!(replica.needs(at(2)), Needs::Nothing));
        for index in 3..=TAIL_ENTRIES_MAX as u64 + 5 {
            replica.apply(at(index), &[Bytes::new()]).unwrap();
        }
        assert!(matches!(replica.needs(at(1)), Needs::Snapshot));

        let child = Replica::default();
        let (position, snapshot) = replica.snapshot();
        child.install(&snapshot).unwrap();
        assert_eq!((child.applied(), &**child.state()), (position, &**replica.state()));
        assert!(matches!(child.needs(at(1)), Needs::Snapshot));
    }

    #[test]
    fn an_older_snapshot_never_turns_the_state_back() {
        let replica = Replica::default();
        replica.apply(at(1), &[form(1)]).unwrap();
        let (_, old) = replica.snapshot();
        replica.apply(at(2), &[Bytes::new()]).unwrap();
        replica.install(&old).unwrap();
        assert_eq!(replica.applied(), at(2));
    }

    /// What a recovery makes of `replica`, as a snapshot.
    fn recovered(replica: &Replica, epoch: u16, index: u64) -> Bytes {
        let mut state = State::clone(&replica.state());
        state.begin_epoch(LogPosition::new(epoch, index), &[]);
        codec::encode(&state)
    }

    #[test]
    fn a_later_epoch_comes_by_snapshot_alone_and_then_outranks_the_log_before_it() {
        let [survivor, other] = [Replica::default(), Replica::default()];
        survivor.apply(at(1), &[form(1)]).unwrap();
        other.apply(at(1), &[form(1), Bytes::new(), Bytes::new()]).unwrap();
        let entries_alone = other.apply(LogPosition::new(1, 3), &[Bytes::new()]);
        assert!(matches!(entries_alone, Err(ApplyError::Gap { .. })));

        other.install(&recovered(&survivor, 1, 2)).unwrap();
        assert_eq!(other.applied(), LogPosition::new(1, 2), "though it had applied 0:3");
        let old = other.apply(at(4), &[form(2)]);
        assert!(matches!(old, Err(ApplyError::Outranked { given: 0, present: 1 })));
        assert!(matches!(other.needs(at(9)), Needs::Snapshot), "for whoever is further in epoch 0");
        other.apply(LogPosition::new(1, 3), &[Bytes::new()]).unwrap();
        other.install(&survivor.snapshot().1).unwrap();
        assert_eq!(other.applied(), LogPosition::new(1, 3));
    }

    #[test]
    fn who_has_heard_of_an_epoch_takes_nothing_of_those_before_it() {
        let [survivor, other] = [Replica::default(), Replica::default()];
        survivor.apply(at(1), &[form(1)]).unwrap();
        other.apply(at(1), &[form(1)]).unwrap();
        assert!(other.hear(LogPosition::new(2, 7)) && !other.hear(LogPosition::new(2, 9)));
        assert!(other.is_outranked());
        assert!(matches!(other.apply(at(2), &[form(2)]), Err(ApplyError::Outranked { .. })));
        other.install(&recovered(&survivor, 1, 2)).unwrap();
        assert_eq!(other.applied(), at(1), "an epoch between is over as well");
        other.install(&recovered(&survivor, 2, 2)).unwrap();
        assert_eq!((other.applied(), other.is_outranked()), (LogPosition::new(2, 2), false));
    }

    #[test]
    fn an_entry_it_cannot_read_stops_it_for_good() {
        let replica = Replica::default();
        let unknown = Bytes::from_static(&[1, 0xff]);
        let error = replica.apply(at(1), &[Bytes::new(), unknown]);
        assert!(matches!(error, Err(ApplyError::Unreadable(_))));
        assert_eq!(replica.applied(), at(1));
        assert!(matches!(replica.apply(at(2), &[form(1)]), Err(ApplyError::Halted)));
    }

    #[test]
    fn a_change_is_settled_only_behind_the_barrier() {
        let replica = Arc::new(Replica::default());
        let seen = replica.clone();
        replica.set_barrier(Box::new(move |state| {
            assert_eq!(seen.applied(), state.applied(), "readers see it first");
            assert!(seen.settled() < state.applied());
        }));
        replica.apply(at(1), &[Bytes::new(), form(1)]).unwrap();
        assert_eq!(replica.settled(), at(2));
    }

    #[test]
    fn who_waits_for_a_position_is_woken_by_it() {
        let replica = Replica::default();
        let mut wait = Box::pin(replica.reach(at(2)));
        assert!((&mut wait).now_or_never().is_none());
        replica.apply(at(1), &[Bytes::new()]).unwrap();
        assert!((&mut wait).now_or_never().is_none());
        replica.apply(at(2), &[Bytes::new()]).unwrap();
        assert!((&mut wait).now_or_never().is_some());
    }
}
