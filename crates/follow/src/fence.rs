//! Fence: until when this node may serve copies, to whom it has granted as much, and what it may
//! conclude about everybody while it leads. The rules are `control::lease`'s; this holds the values
//! of one process and tells who waits on them.
//!
//! They live in memory only: a new process has no lease and knows no holder (R10).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control::lease::{Untaken, wait_for};
use control::{Holder, Holders, Lease, Office, Timeline, Token};
use model::position::Watermark;
use model::{LogPosition, Moment, NodeName};
use wire::log::Grant;

use crate::ports::Role;
use crate::signal::Signal;

/// Requests for a lease whose answers are awaited; older ones are given up.
const ASKED_MAX: usize = 16;
/// When commands were committed, told apart this finely and so many times.
const COMMITTED: (Duration, usize) = (Duration::from_millis(5), 16_384);
/// When nobody could serve what a command covers any more, likewise.
const FENCED: (Duration, usize) = (Duration::from_millis(1), 4_096);
/// What was applied when, for content that says its age: an hour and more.
const HISTORY: (Duration, usize) = (Duration::from_secs(1), 4_096);

/// One process's leases.
pub(crate) struct Fence {
    inner: Mutex<Inner>,
    valid_until: AtomicU64,
    acknowledged: Watermark,
    fenced: Watermark,
    /// A lease was taken, a holder acknowledged, a child asked, something was heard.
    pub(crate) changed: Signal,
    /// A position was fenced.
    pub(crate) risen: Signal,
}

struct Inner {
    /// Tokens of earlier mesh epochs are not taken.
    epoch: u16,
    lease: Lease,
    source: Option<NodeName>,
    /// What the source had applied when a lease of it was first taken.
    joined_at: LogPosition,
    asked: BTreeMap<u64, Moment>,
    next: u64,
    holders: Holders,
    office: Option<Office>,
    history: Timeline,
    committed: Timeline,
    fenced: Timeline,
}

impl Default for Fence {
    fn default() -> Self {
        let timeline = |(grain, max)| Timeline::new(grain, max);
        let inner = Inner {
            epoch: 0,
            lease: Lease::default(),
            source: None,
            joined_at: LogPosition::ZERO,
            asked: BTreeMap::new(),
            next: 0,
            holders: Holders::default(),
            office: None,
            history: timeline(HISTORY),
            committed: timeline(COMMITTED),
            fenced: timeline(FENCED),
        };
        Fence {
            inner: Mutex::new(inner),
            valid_until: AtomicU64::new(0),
            acknowledged: Watermark::default(),
            fenced: Watermark::default(),
            changed: Signal::default(),
            risen: Signal::default(),
        }
    }
}

impl Fence {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when copies may be served; nothing without a lease. One atomic load.
    pub(crate) fn valid_until(&self) -> Option<Moment> {
        match self.valid_until.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Moment::at(Duration::from_nanos(nanos))),
        }
    }

    /// The age of the token held.
    pub(crate) fn token_age(&self, now: Moment) -> Option<Duration> {
        self.lock().lease.age_at(now)
    }

    /// A forced recovery began `epoch`: what was vouched for before binds nobody any more (R17).
    pub(crate) fn enter(&self, epoch: u16) {
        let mut inner = self.lock();
        if inner.epoch < epoch {
            inner.epoch = epoch;
            self.let_go(&mut inner);
        }
    }

    fn let_go(&self, inner: &mut Inner) {
        inner.lease.drop_token();
        inner.source = None;
        inner.asked.clear();
        self.valid_until.store(0, Ordering::Release);
        self.changed.notify();
    }

    /// Notes what has been applied by now.
    pub(crate) fn note_applied(&self, position: LogPosition, now: Moment) {
        let mut inner = self.lock();
        inner.history.note(position, now);
        inner.committed.note(position, now);
    }

    /// What was surely applied at `moment` (R13).
    pub(crate) fn applied_at(&self, moment: Moment) -> LogPosition {
        self.lock().history.reached_by(moment)
    }

    /// A number for a request that leaves at `now`.
    pub(crate) fn ask(&self, now: Moment) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.asked.insert(number, now);
        if inner.asked.len() > ASKED_MAX {
            inner.asked.pop_first();
        }
        number
    }

    /// The number of the last request that left.
    pub(crate) fn last_asked(&self) -> u64 {
        self.lock().next
    }

    /// Takes what `parent` granted, if it answers a request of ours and this node has applied what
    /// it must have (R7).
    pub(crate) fn take(&self, parent: &NodeName, grant: Grant, applied: LogPosition) {
        let mut inner = self.lock();
        let Some(asked_at) = inner.asked.remove(&grant.asked) else { return };
        if applied < grant.applied {
            return;
        }
        let Grant { term, through, age, lease, .. } = grant;
        let token = Token { term, through, age, lease };
        self.hold(&mut inner, token, asked_at, grant.applied, Some(parent));
    }

    /// Takes `token` of `source`, which had applied `applied` then, as has this node.
    fn hold(
        &self,
        inner: &mut Inner,
        token: Token,
        asked_at: Moment,
        applied: LogPosition,
        source: Option<&NodeName>,
    ) {
        if token.through.epoch() < inner.epoch {
            return;
        }
        match inner.lease.take(token, asked_at, applied) {
            Ok(()) => {}
            Err(Untaken::Behind | Untaken::NotFresher) => return,
        }
        if inner.source.as_ref() != source {
            (inner.source, inner.joined_at) = (source.cloned(), applied);
        }
        let until = inner.lease.valid_until().map_or(Duration::ZERO, Moment::since_start);
        let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.valid_until.store(nanos, Ordering::Release);
        self.changed.notify();
    }

    /// The leader's own: a quorum confirmed `through` in a round that began at `began` (R6).
    pub(crate) fn mint(&self, term: u64, through: LogPosition, began: Moment, lease: Duration) {
        let mut inner = self.lock();
        let token = Token { term, through, age: Duration::ZERO, lease };
        self.hold(&mut inner, token, began, through, None);
    }

    /// Lets go of the lease for good: this process serves no more copies.
    pub(crate) fn give_up(&self) {
        self.let_go(&mut self.lock());
    }

    /// Whether nobody rests on a lease of `parent` any more: the one held here comes from another,
    /// and this node `acknowledged` for itself and all below it what that one had applied by then,
    /// for it may have told its own parents so.
    pub(crate) fn has_left(&self, parent: &NodeName, acknowledged: LogPosition) -> bool {
        let inner = self.lock();
        inner.source.as_ref() != Some(parent) && acknowledged >= inner.joined_at
    }

    /// What `holder` is granted, having been sent everything up to `applied`. It is noted before
    /// anybody hears of it (R11).
    pub(crate) fn grant(
        &self,
        holder: &Holder,
        asked: u64,
        applied: LogPosition,
        now: Moment,
    ) -> Option<Grant> {
        let mut inner = self.lock();
        let Token { term, through, age, lease } = inner.lease.grant(now)?;
        let noted = inner.holders.grant(holder.clone(), asked, now, lease, applied);
        noted.then_some(Grant { asked, term, through, applied, age, lease })
    }

    /// `holder` acknowledges `through` for itself and everybody below it.
    pub(crate) fn hear(&self, holder: &Holder, through: LogPosition) {
        self.lock().holders.acknowledge(holder, through);
        self.changed.notify();
    }

    /// `holder` uses another parent's lease than those it asked for up to `asked`.
    pub(crate) fn release(&self, holder: &Holder, asked: u64) {
        self.lock().holders.release(holder, asked);
        self.changed.notify();
    }

    /// What this node may acknowledge, having settled `settled` itself: never less than before.
    pub(crate) fn acknowledged(&self, settled: LogPosition, now: Moment) -> LogPosition {
        let mut inner = self.lock();
        inner.holders.expire(now);
        self.acknowledged.raise(inner.holders.acknowledged(settled, now));
        drop(inner);
        self.acknowledged.reached()
    }

    /// Takes or leaves office, as `role` has it; says whether this node leads.
    pub(crate) fn preside(&self, role: Role, now: Moment) -> bool {
        let mut inner = self.lock();
        let known = inner.office.map(|office| office.term);
        if !role.leads {
            inner.office = None;
        } else if known != Some(role.term) {
            let follows_another = !(role.founded && role.term <= FIRST_TERM);
            inner.office = Some(Office { term: role.term, since: now, follows_another });
        }
        role.leads
    }

    /// While this node leads: the last position that nobody can violate any more. `settled` is what
    /// every node of the roster is known to have settled.
    pub(crate) fn fenced_through(
        &self,
        settled: LogPosition,
        lease: Duration,
        now: Moment,
    ) -> LogPosition {
        let mut inner = self.lock();
        inner.holders.expire(now);
        let acknowledged = inner.holders.acknowledged(settled, now);
        let Some(office) = inner.office else { return LogPosition::ZERO };
        let long_ago = now.before(wait_for(lease));
        let committed = long_ago.map(|moment| inner.committed.reached_by(moment));
        let committed = committed.unwrap_or_default();
        let fenced = office.fenced_through(acknowledged, committed, lease, now);
        inner.fenced.note(fenced, now);
        drop(inner);
        if fenced > self.fenced.reached() {
            self.fenced.raise(fenced);
            self.risen.notify();
        }
        fenced
    }

    /// The last position that was found to be fenced while this node led. What is fenced stays so.
    pub(crate) fn fenced(&self) -> LogPosition {
        self.fenced.reached()
    }

    /// When a position was committed and when it was fenced, as far as this node noted it.
    pub(crate) fn times(&self, position: LogPosition) -> (Option<Moment>, Option<Moment>) {
        let inner = self.lock();
        (inner.committed.when(position), inner.fenced.when(position))
    }
}

/// The term of a mesh's founder: bootstrapping elects it, and nobody led before.
const FIRST_TERM: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> LogPosition {
        LogPosition::new(0, index)
    }

    fn second(seconds: u64) -> Moment {
        Moment::START.plus(Duration::from_secs(seconds))
    }

    fn role(term: u64, leads: bool, founded: bool) -> Role {
        Role { votes: true, leads, leader: None, term, founded }
    }

    const LEASE: Duration = Duration::from_secs(10);

    #[test]
    fn a_later_epoch_ends_every_lease_of_those_before_it() {
        let [leader, child] = [Fence::default(), Fence::default()];
        leader.preside(role(4, true, false), second(100));
        leader.mint(4, at(900), second(100), LEASE);
        let holder = Holder { node: "c".parse().unwrap(), incarnation: 7 };
        let parent: NodeName = "l".parse().unwrap();
        let grant = |asked| leader.grant(&holder, asked, at(900), second(101)).unwrap();
        child.take(&parent, grant(child.ask(second(50))), at(900));
        assert!(child.valid_until().is_some());
        let late = grant(child.ask(second(51)));

        child.enter(1);
        assert_eq!(child.valid_until(), None, "what it held");
        child.take(&parent, late, LogPosition::new(1, 20));
        child.take(&parent, grant(child.ask(second(52))), LogPosition::new(1, 20));
        assert_eq!(child.valid_until(), None, "what was on its way, and what came later");
        leader.enter(1);
        leader.mint(4, at(901), second(102), LEASE);
        let none = leader.grant(&holder, 9, at(901), second(102));
        assert_eq!((leader.valid_until(), none), (None, None), "nor is any minted or granted");

        let new = Fence::default();
        new.mint(2, LogPosition::new(1, 20), second(100), LEASE);
        let asked = child.ask(second(53));
        let given = new.grant(&holder, asked, LogPosition::new(1, 20), second(100)).unwrap();
        child.take(&parent, given, LogPosition::new(1, 20));
        assert_eq!(
            child.valid_until(),
            Some(second(63)),
            "an earlier term of a later epoch counts"
        );
    }

    #[test]
    fn a_lease_goes_down_the_tree_and_acknowledgements_come_up() {
        let [leader, child] = [Fence::default(), Fence::default()];
        assert!(leader.preside(role(1, true, true), second(100)));
        leader.mint(1, at(5), second(100), LEASE);
        assert_eq!(leader.valid_until(), Some(second(110)));

        let holder = Holder { node: "c".parse().unwrap(), incarnation: 7 };
        let asked = child.ask(second(50));
        let grant = leader.grant(&holder, asked, at(5), second(102)).unwrap();
        let parent: NodeName = "l".parse().unwrap();
        child.take(&parent, grant, at(4));
        assert_eq!(child.valid_until(), None, "it has not applied what the parent has");
        let asked = child.ask(second(50));
        child.take(&parent, Grant { asked, ..grant }, at(5));
        assert_eq!(child.valid_until(), Some(second(58)));
        assert!(!child.has_left(&parent, at(9)));

        assert_eq!(leader.fenced_through(at(9), LEASE, second(103)), at(5));
        leader.hear(&holder, at(9));
        assert_eq!(leader.fenced_through(at(9), LEASE, second(103)), at(9));
    }

    #[test]
    fn a_parent_is_left_once_all_below_have_what_the_next_one_had() {
        let child = Fence::default();
        let [old, new] = ["old", "new"].map(|name| name.parse::<NodeName>().unwrap());
        let grant = |asked, applied| Grant {
            asked,
            term: 1,
            through: at(5),
            applied,
            age: Duration::ZERO,
            lease: LEASE,
        };
        assert!(child.has_left(&old, at(0)), "it never came");
        child.take(&old, grant(child.ask(second(50)), at(5)), at(5));
        child.take(&new, grant(child.ask(second(51)), at(7)), at(8));
        child.take(&new, grant(child.ask(second(52)), at(8)), at(8));
        assert!(!child.has_left(&new, at(8)));
        assert!(!child.has_left(&old, at(6)), "somebody below rests on the old lease");
        assert!(child.has_left(&old, at(7)));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_not_taken() {
        let child = Fence::default();
        let grant = Grant {
            asked: 1,
            term: 1,
            through: at(1),
            applied: at(1),
            age: Duration::ZERO,
            lease: LEASE,
        };
        child.take(&"l".parse().unwrap(), grant, at(1));
        assert_eq!(child.valid_until(), None);
    }

    #[test]
    fn a_silent_holder_delays_a_purge_until_its_lease_is_surely_over() {
        let leader = Fence::default();
        leader.preside(role(1, true, true), second(100));
        leader.mint(1, at(5), second(100), LEASE);
        let holder = Holder { node: "c".parse().unwrap(), incarnation: 7 };
        leader.grant(&holder, 1, at(5), second(100)).unwrap();
        leader.note_applied(at(6), second(101));
        assert_eq!(leader.fenced_through(at(6), LEASE, second(112)), at(5));
        assert_eq!(leader.fenced_through(at(6), LEASE, second(113)), at(6));
    }

    #[test]
    fn a_second_leader_waits_and_one_who_lost_office_says_nothing() {
        let leader = Fence::default();
        leader.preside(role(2, true, true), second(100));
        leader.note_applied(at(6), second(100));
        assert_eq!(leader.fenced_through(at(6), LEASE, second(112)), LogPosition::ZERO);
        assert_eq!(leader.fenced_through(at(6), LEASE, second(113)), at(6));
        assert!(!leader.preside(role(3, false, true), second(114)));
        assert_eq!(leader.fenced_through(at(6), LEASE, second(120)), LogPosition::ZERO);
    }

    #[test]
    fn who_gave_up_its_lease_serves_nothing_and_takes_no_late_answer() {
        let node = Fence::default();
        node.mint(1, at(5), second(100), LEASE);
        node.give_up();
        assert_eq!(node.valid_until(), None);
    }
}
