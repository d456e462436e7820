//! A seat: what one voter has on disk, what its process knows, and how it answers. Values in,
//! values out; nothing here waits.

mod anew;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use follow::{ProposeError, Replica};
use model::LogPosition;

use crate::executor::Owner;

/// A voter that has heard its leader within this time elects no other.
const LOYALTY: Duration = Duration::from_millis(900);
/// What applying said is remembered for so many entries.
const OUTCOMES_MAX: usize = 64;

/// What a leader says: entries that follow the one at `before`, and how much is committed.
#[derive(Clone)]
pub(super) struct Append {
    /// Its term.
    pub(super) term: u64,
    /// Index and term of the entry before the first.
    before: (u64, u64),
    entries: Vec<(u64, Bytes)>,
    commit: u64,
}

/// What a candidate asks for.
#[derive(Clone, Copy)]
pub(super) struct Vote {
    term: u64,
    /// Term and index of its last entry.
    last: (u64, u64),
}

/// What a voter answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Its log agrees up to this index; or it votes so.
    Kept(u64),
    /// It lacks something: its log may agree up to this index.
    Behind(u64),
    /// It is in this term, and says no.
    Refused(u64),
}

/// One voter, or one who was and is not yet again.
#[derive(Default)]
pub(super) struct Seat {
    /// Whether it is of the group.
    pub(super) votes: bool,
    /// The mesh epoch in which its log goes on; it holds all that the epoch began with.
    pub(super) epoch: u16,
    term: u64,
    voted: Option<usize>,
    log: Vec<(u64, Bytes)>,
    snapshot: Option<(u64, Bytes)>,
    /// What is lost with the process.
    pub(super) sitting: Option<Sitting>,
}

/// What the process of a voter knows.
pub(super) struct Sitting {
    owner: Owner,
    replica: Arc<Replica>,
    leads: bool,
    leader: Option<usize>,
    heard_at: Duration,
    commit: u64,
    applied: u64,
    /// For each voter: what to send next comes after this.
    sent: Vec<u64>,
    /// For each voter: what it surely has.
    matched: Vec<u64>,
    outcomes: BTreeMap<u64, Bytes>,
}

impl Sitting {
    /// A process that knows nothing.
    pub(super) fn new(owner: Owner, replica: Arc<Replica>, now: Duration) -> Sitting {
        Sitting {
            owner,
            replica,
            leads: false,
            leader: None,
            heard_at: now,
            commit: 0,
            applied: 0,
            sent: Vec::new(),
            matched: Vec::new(),
            outcomes: BTreeMap::new(),
        }
    }

    fn follow(&mut self, leader: Option<usize>) {
        self.leads = false;
        self.leader = leader;
    }
}

impl Seat {
    /// A voter whose log begins so, in a term before all others.
    pub(super) fn founded(founding: &[Bytes]) -> Seat {
        let log = founding.iter().map(|entry| (1, entry.clone())).collect();
        let (votes, epoch, term) = (true, 0, 1);
        Seat { votes, epoch, term, voted: None, log, snapshot: None, sitting: None }
    }

    /// A process begins with the last snapshot.
    pub(super) fn sit(&mut self, sitting: Sitting) {
        self.sitting = Some(sitting);
        self.begin();
    }

    fn begin(&mut self) {
        let Some(sitting) = &mut self.sitting else { return };
        if let Some((index, snapshot)) = &self.snapshot {
            let installed = sitting.replica.install(snapshot);
            debug_assert!(installed.is_ok(), "a disk holds what this build wrote: {installed:?}");
            (sitting.commit, sitting.applied) = (*index, *index);
        }
    }

    /// The process.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.sitting.as_ref().map(|sitting| sitting.owner)
    }

    /// Whether it leads, and when it last heard a leader.
    pub(super) fn outlook(&self) -> Option<(bool, Duration)> {
        self.sitting.as_ref().map(|sitting| (sitting.leads, sitting.heard_at))
    }

    /// Whether it leads, who does, and the term.
    pub(super) fn view(&self) -> (bool, Option<usize>, u64) {
        let known = self.sitting.as_ref().map(|sitting| (sitting.leads, sitting.leader));
        let (leads, leader) = known.unwrap_or_default();
        (leads, leader, self.term)
    }

    /// Whether it leads in that term.
    pub(super) fn leads_in(&self, term: u64) -> bool {
        self.term == term && self.sitting.as_ref().is_some_and(|sitting| sitting.leads)
    }

    fn last(&self) -> (u64, u64) {
        (self.log.last().map_or(0, |(term, _)| *term), self.log.len() as u64)
    }

    fn term_at(&self, index: u64) -> u64 {
        let at = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
        at.and_then(|at| self.log.get(at)).map_or(0, |(term, _)| *term)
    }

    fn slice(&self, after: u64, through: u64) -> &[(u64, Bytes)] {
        let at = |index: u64| usize::try_from(index).unwrap_or(usize::MAX).min(self.log.len());
        &self.log[at(after)..at(through)]
    }

    /// A later term: whoever led does so no more.
    pub(super) fn defer_to(&mut self, term: u64) {
        if term > self.term {
            (self.term, self.voted) = (term, None);
            if let Some(sitting) = &mut self.sitting {
                sitting.follow(None);
            }
        }
    }

    /// What that voter lacks, if this one leads.
    pub(super) fn append_for(&self, to: usize) -> Option<Append> {
        let sitting = self.sitting.as_ref().filter(|sitting| sitting.leads)?;
        let sent = sitting.sent[to];
        Some(Append {
            term: self.term,
            before: (sent, self.term_at(sent)),
            entries: self.slice(sent, u64::MAX).to_vec(),
            commit: sitting.commit,
        })
    }

    /// A leader speaks.
    pub(super) fn take_append(&mut self, leader: usize, append: Append, now: Duration) -> Reply {
        let Append { term, before: (before, before_term), entries, commit } = append;
        if term < self.term {
            return Reply::Refused(self.term);
        }
        self.defer_to(term);
        let (_, length) = self.last();
        let agrees = before <= length && self.term_at(before) == before_term;
        if agrees {
            self.splice(before, entries.clone());
        }
        let through = before + entries.len() as u64;
        let Some(sitting) = &mut self.sitting else { return Reply::Refused(term) };
        sitting.follow(Some(leader));
        sitting.heard_at = now;
        if !agrees {
            return Reply::Behind(length.min(before.saturating_sub(1)));
        }
        sitting.commit = sitting.commit.max(commit.min(through));
        Reply::Kept(through)
    }

    /// Keeps entries; what contradicts them goes, and everything after it.
    fn splice(&mut self, before: u64, entries: Vec<(u64, Bytes)>) {
        for (index, (term, entry)) in (before + 1..).zip(entries) {
            if self.term_at(index) == term {
                continue;
            }
            self.log.truncate(usize::try_from(index - 1).unwrap_or(usize::MAX));
            self.log.push((term, entry));
        }
    }

    /// A voter, one of `voters`, has answered this leader; says whether it still leads in that
    /// term.
    pub(super) fn heed(&mut self, from: usize, term: u64, reply: Reply, voters: &[usize]) -> bool {
        if let Reply::Refused(later) = reply {
            self.defer_to(later);
        }
        if !self.leads_in(term) {
            return false;
        }
        let Some(sitting) = &mut self.sitting else { return false };
        match reply {
            Reply::Kept(through) => {
                sitting.matched[from] = sitting.matched[from].max(through);
                sitting.sent[from] = sitting.sent[from].max(through);
            }
            Reply::Behind(hint) => sitting.sent[from] = hint.max(sitting.matched[from]),
            Reply::Refused(_) => return false,
        }
        self.commit(voters);
        true
    }

    /// What most of `voters` have, this leader among them, is committed, once an entry of its own
    /// term is.
    pub(super) fn commit(&mut self, voters: &[usize]) {
        let (length, term) = (self.log.len() as u64, self.term);
        let Some(sitting) = self.sitting.as_ref().filter(|sitting| sitting.leads) else { return };
        let has = |voter: &usize| match Some(*voter) == sitting.leader {
            true => length,
            false => sitting.matched[*voter],
        };
        let mut matched: Vec<u64> = voters.iter().map(has).collect();
        matched.sort_unstable();
        let kept = matched[(matched.len() - 1) / 2];
        let (known, current) = (sitting.commit, self.term_at(kept) == term);
        if let Some(sitting) = self.sitting.as_mut().filter(|_| current && kept > known) {
            sitting.commit = kept;
        }
    }

    /// Stands for election as `me`.
    pub(super) fn stand(&mut self, me: usize, now: Duration) -> Vote {
        (self.term, self.voted) = (self.term + 1, Some(me));
        if let Some(sitting) = &mut self.sitting {
            sitting.follow(None);
            sitting.heard_at = now;
        }
        Vote { term: self.term, last: self.last() }
    }

    /// Votes for that candidate, or not.
    pub(super) fn take_vote(&mut self, candidate: usize, vote: Vote, now: Duration) -> Reply {
        let loyal = self.sitting.as_ref().is_some_and(|sitting| {
            sitting.leader.is_some() && (sitting.leads || sitting.heard_at + LOYALTY > now)
        });
        if vote.term < self.term || loyal {
            return Reply::Refused(self.term);
        }
        self.defer_to(vote.term);
        let free = self.voted.is_none_or(|voted| voted == candidate);
        if !free || vote.last < self.last() {
            return Reply::Refused(self.term);
        }
        self.voted = Some(candidate);
        if let Some(sitting) = &mut self.sitting {
            sitting.heard_at = now;
        }
        Reply::Kept(0)
    }

    /// Leads, if nothing happened since it stood: with an entry of its own term.
    pub(super) fn take_office(&mut self, vote: Vote, seats: usize) -> Option<u64> {
        let me = self.voted?;
        let sitting = self.sitting.as_mut().filter(|_| self.term == vote.term)?;
        let length = self.log.len() as u64;
        (sitting.leads, sitting.leader) = (true, Some(me));
        (sitting.sent, sitting.matched) = (vec![length; seats], vec![0; seats]);
        self.log.push((self.term, Bytes::new()));
        Some(self.term)
    }

    /// Where the entry at `index` stands.
    fn position(&self, index: u64) -> LogPosition {
        LogPosition::new(self.epoch, index)
    }

    /// What is committed and not applied, and where to.
    pub(super) fn unapplied(&self) -> Option<(Arc<Replica>, LogPosition, Vec<Bytes>)> {
        let sitting = self.sitting.as_ref()?;
        let entries = self.slice(sitting.applied, sitting.commit);
        let entries: Vec<Bytes> = entries.iter().map(|(_, entry)| entry.clone()).collect();
        let (replica, first) = (sitting.replica.clone(), self.position(sitting.applied + 1));
        (!entries.is_empty()).then_some((replica, first, entries))
    }

    /// Entries from `first` on were applied; now and then a snapshot is kept.
    pub(super) fn note_applied(&mut self, first: u64, outcomes: Vec<Bytes>, every: u64) {
        let Some(sitting) = &mut self.sitting else { return };
        sitting.applied = sitting.applied.max(first + outcomes.len() as u64 - 1);
        sitting.outcomes.extend((first..).zip(outcomes));
        while sitting.outcomes.len() > OUTCOMES_MAX {
            sitting.outcomes.pop_first();
        }
        let kept = self.snapshot.as_ref().map_or(0, |(index, _)| *index);
        if sitting.applied >= kept + every {
            let (position, snapshot) = sitting.replica.snapshot();
            // The replica may be further, fed from elsewhere: never further than the log is.
            if position.index() <= sitting.commit {
                self.snapshot = Some((position.index(), snapshot));
            }
        }
    }

    /// What is committed, once an entry of the leader's own term is: with its process and term.
    pub(super) fn reading(&self) -> Result<Option<(Owner, u64, LogPosition)>, ProposeError> {
        let sitting = self.sitting.as_ref().filter(|sitting| sitting.leads);
        let sitting = sitting.ok_or(ProposeError::NotLeader)?;
        let own = self.term_at(sitting.commit) == self.term;
        Ok(own.then_some((sitting.owner, self.term, self.position(sitting.commit))))
    }

    /// Writes an entry into the leader's log: its process, its term, and where the entry stands.
    pub(super) fn write(
        &mut self,
        entry: Bytes,
    ) -> Result<(Owner, u64, LogPosition), ProposeError> {
        let leading = self.sitting.as_ref().filter(|sitting| sitting.leads);
        let owner = leading.ok_or(ProposeError::NotLeader)?.owner;
        self.log.push((self.term, entry));
        Ok((owner, self.term, self.position(self.log.len() as u64)))
    }

    /// What became of the entry at `index`, once it is known.
    pub(super) fn fate(
        &self,
        term: u64,
        position: LogPosition,
    ) -> Option<Result<Bytes, ProposeError>> {
        let (sitting, index) = (self.sitting.as_ref()?, position.index());
        if !self.leads_in(term) {
            return Some(Err(ProposeError::NoQuorum("another leads by now".into())));
        }
        (sitting.applied >= index).then(|| {
            let said = sitting.outcomes.get(&index).cloned();
            said.ok_or_else(|| ProposeError::NoQuorum("its outcome is forgotten".into()))
        })
    }
}
