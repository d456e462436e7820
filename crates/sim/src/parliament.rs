//! The pretend Raft group: the algorithm of the paper, in as few words as will do, for runs that
//! are long and many.
//!
//! Terms, votes, quorums, stale leaders and lost tails are those of a real group, over the same
//! network and the same kills; the log is never cut, and reads are confirmed by a round that begins
//! after they are asked for. What must be true of a log is true of this one: whatever a node does
//! wrong under it is the node's own.

mod recovery;
mod seat;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use follow::{ProposeError, Replica, Signal};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use model::LogPosition;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::network::{Network, Way};
use crate::setting::Setting;

pub(crate) use recovery::Epoch;
use seat::{Reply, Seat, Sitting};

/// Between two words of a leader to each voter.
const HEARTBEAT: Duration = Duration::from_millis(300);
/// A voter that has not heard a leader for so many milliseconds stands for election.
const ELECTION_MS: std::ops::RangeInclusive<usize> = 1_000..=2_000;
/// What a disk takes to keep something.
const SYNC: Duration = Duration::from_millis(1);

/// All voters of one run, and what they have on disk.
pub(crate) struct Parliament {
    setting: Arc<Setting>,
    network: Arc<Network>,
    seats: Mutex<Vec<Seat>>,
    dice: Mutex<Dice>,
    changed: Signal,
}

/// One round of messages to all other voters.
#[derive(Default)]
struct Round(Mutex<usize>);

impl Round {
    fn agreed(&self) -> usize {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agree(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }
}

impl Parliament {
    /// So many voters, whose logs begin with `founding`.
    pub(crate) fn new(
        setting: Arc<Setting>,
        network: Arc<Network>,
        (voters, founding): (usize, &[Bytes]),
        dice: Dice,
    ) -> Arc<Parliament> {
        let seats = (0..voters).map(|_| Seat::founded(founding)).collect();
        let (seats, dice) = (Mutex::new(seats), Mutex::new(dice));
        Arc::new(Parliament { setting, network, seats, dice, changed: Signal::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who votes.
    fn voters(&self) -> Vec<usize> {
        let seats = self.lock();
        (0..seats.len()).filter(|seat| seats[*seat].votes).collect()
    }

    fn others(&self, node: usize) -> impl Iterator<Item = usize> {
        self.voters().into_iter().filter(move |other| *other != node)
    }

    fn majority(&self) -> usize {
        self.voters().len() / 2 + 1
    }

    /// A process of `node` takes its seat, with what its disk holds.
    pub(crate) fn open(self: &Arc<Self>, node: usize, owner: Owner, replica: &Arc<Replica>) {
        let now = self.setting.now();
        let mut seats = self.lock();
        let Some(seat) = seats.get_mut(node) else { return };
        seat.sit(Sitting::new(owner, replica.clone(), now));
        let votes = seat.votes;
        drop(seats);
        if votes {
            self.convene(node, owner);
        }
    }

    fn convene(self: &Arc<Self>, node: usize, owner: Owner) {
        let parliament = self.clone();
        self.setting.clock.spawn(owner, async move { parliament.attend(node, owner).await });
    }

    /// The process of `node` is gone.
    pub(crate) fn leave(&self, node: usize) {
        if let Some(seat) = self.lock().get_mut(node) {
            seat.sitting = None;
        }
    }

    /// Leads, or follows and stands for election in silence.
    async fn attend(self: Arc<Self>, node: usize, owner: Owner) {
        loop {
            let Some((leads, heard_at)) = self.lock()[node].outlook() else { return };
            if leads {
                self.round(node, owner);
                self.setting.clock.sleep(HEARTBEAT).await;
                continue;
            }
            let patience = {
                let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
                dice.millis(ELECTION_MS)
            };
            self.setting.clock.sleep_until(heard_at + patience).await;
            let silent = self.lock()[node].outlook() == Some((false, heard_at));
            if silent {
                self.campaign(node, owner).await;
            }
        }
    }

    /// Sends everybody what it lacks.
    fn round(self: &Arc<Self>, node: usize, owner: Owner) -> Arc<Round> {
        let round = Arc::new(Round::default());
        for to in self.others(node) {
            let Some(append) = self.lock()[node].append_for(to) else { continue };
            let (parliament, round, term) = (self.clone(), round.clone(), append.term);
            self.setting.clock.spawn(Owner::WORLD, async move {
                let handle = move |seat: &mut Seat, now| seat.take_append(node, append, now);
                let Some(reply) = parliament.call((node, owner), to, handle).await else { return };
                let agrees = !matches!(reply, Reply::Refused(_));
                let voters = parliament.voters();
                let leads = parliament.lock()[node].heed(to, term, reply, &voters);
                if leads && agrees {
                    round.agree();
                }
                parliament.apply(node);
                parliament.changed.notify();
            });
        }
        round
    }

    /// Stands for election.
    async fn campaign(self: &Arc<Self>, node: usize, owner: Owner) {
        let now = self.setting.now();
        let (vote, seats) = {
            let mut seats = self.lock();
            (seats[node].stand(node, now), seats.len())
        };
        let round = Arc::new(Round::default());
        for to in self.others(node) {
            let (parliament, round) = (self.clone(), round.clone());
            self.setting.clock.spawn(Owner::WORLD, async move {
                let handle = move |seat: &mut Seat, now| seat.take_vote(node, vote, now);
                match parliament.call((node, owner), to, handle).await {
                    Some(Reply::Kept(_)) => round.agree(),
                    Some(Reply::Refused(term)) => parliament.lock()[node].defer_to(term),
                    Some(Reply::Behind(_)) | None => {}
                }
                parliament.changed.notify();
            });
        }
        let majority = self.majority();
        let elected = || (round.agreed() + 1 >= majority).then_some(());
        let timeout = self.setting.clock.sleep(Duration::from_millis(*ELECTION_MS.start() as u64));
        if let Either::Left(_) = select(self.changed.until(elected), timeout).await {
            let Some(term) = self.lock()[node].take_office(vote, seats) else { return };
            self.commit(node);
            let name = self.setting.name(node);
            self.setting.note(format_args!("{name} leads in term {term}"));
        }
    }

    /// Carries a message to a voter, has it handled there, and carries the answer back. It is lost
    /// with a link or a process.
    async fn call(
        &self,
        (from, owner): (usize, Owner),
        to: usize,
        handle: impl FnOnce(&mut Seat, Duration) -> Reply,
    ) -> Option<Reply> {
        let clock = &self.setting.clock;
        if clock.is_stopped(owner) {
            return None;
        }
        let (way, epoch) = (Way { from, to }, self.lock()[from].epoch);
        clock.sleep_until(self.network.arrival(way)?).await;
        let callee = self.lock()[to].owner()?;
        clock.going(callee).await;
        // Whoever began anew meanwhile, or lost everything, is of another group.
        let hears = |seat: &Seat| seat.owner() == Some(callee) && seat.votes && seat.epoch == epoch;
        if !hears(&self.lock()[to]) {
            return None;
        }
        let reply = handle(&mut self.lock()[to], self.setting.now());
        self.apply(to);
        clock.sleep(SYNC).await;
        clock.sleep_until(self.network.arrival(way.back())?).await;
        clock.going(owner).await;
        (self.lock()[from].owner() == Some(owner)).then_some(reply)
    }

    /// Applies what is committed and not applied yet.
    fn apply(&self, node: usize) {
        let Some((replica, first, entries)) = self.lock()[node].unapplied() else { return };
        self.setting.history.write().agree(self.setting.now(), node, (first, &entries));
        let applied = replica.apply(first, &entries);
        let outcomes = applied.unwrap_or_else(|_| vec![Bytes::new(); entries.len()]);
        let every = self.setting.scenario.timings.snapshot_every_entries;
        self.lock()[node].note_applied(first.index(), outcomes, every);
    }

    /// Commits what a leader that votes alone has written.
    fn commit(&self, node: usize) {
        let voters = self.voters();
        if voters == [node] {
            self.lock()[node].commit(&voters);
            self.apply(node);
            self.changed.notify();
        }
    }

    async fn confirm(self: Arc<Self>, node: usize, patience: Duration) -> Confirmed {
        let timeout = self.setting.clock.sleep(patience);
        let quorum = std::pin::pin!(self.clone().quorum(node));
        match select(quorum, timeout).await {
            Either::Left((confirmed, _)) => confirmed,
            Either::Right(_) => Err(ProposeError::NoQuorum("no majority answered".into())),
        }
    }

    /// What is committed now, once a round that begins now has found a majority.
    async fn quorum(self: Arc<Self>, node: usize) -> Confirmed {
        let in_office = || match self.lock()[node].reading() {
            Ok(Some(reading)) => Some(Ok(reading)),
            Ok(None) => None,
            Err(refused) => Some(Err(refused)),
        };
        let (owner, term, position) = self.changed.until(in_office).await?;
        let (round, majority) = (self.round(node, owner), self.majority());
        let ended = || match self.lock()[node].leads_in(term) {
            false => Some(Err(ProposeError::NotLeader)),
            true => (round.agreed() + 1 >= majority).then_some(Ok(position)),
        };
        self.changed.until(ended).await
    }

    async fn propose(
        self: Arc<Self>,
        node: usize,
        entry: Bytes,
        patience: Duration,
    ) -> Result<(LogPosition, Bytes), ProposeError> {
        let (owner, term, position) = self.lock()[node].write(entry)?;
        self.setting.clock.sleep(SYNC).await;
        self.round(node, owner);
        self.commit(node);
        let fate = || self.lock()[node].fate(term, position);
        match select(self.changed.until(fate), self.setting.clock.sleep(patience)).await {
            Either::Left((fate, _)) => fate.map(|said| (position, said)),
            Either::Right(_) => Err(ProposeError::NoQuorum("no majority answered".into())),
        }
    }
}

type Confirmed = Result<LogPosition, ProposeError>;

/// The group, as one node sees it.
pub(crate) struct Chair {
    /// All voters.
    pub(crate) parliament: Arc<Parliament>,
    /// The node.
    pub(crate) node: usize,
}

impl Chair {
    fn votes(&self) -> bool {
        self.parliament.lock().get(self.node).is_some_and(|seat| seat.votes)
    }
}

impl follow::Group for Chair {
    fn role(&self) -> follow::Role {
        let seats = self.parliament.lock();
        let seat = seats.get(self.node).filter(|seat| seat.votes);
        let Some(seat) = seat else { return follow::Role::default() };
        let (leads, leader, term) = seat.view();
        let members = &self.parliament.setting.scenario.members;
        let leader = leader.map(|leader| members[leader].instance);
        follow::Role { votes: true, leads, leader, term, founded: false }
    }

    fn propose(
        &self,
        entry: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        let (parliament, node, votes) = (self.parliament.clone(), self.node, self.votes());
        async move {
            match votes {
                true => parliament.propose(node, entry, patience).await,
                false => Err(ProposeError::NotLeader),
            }
        }
        .boxed()
    }

    fn confirm(&self, patience: Duration) -> BoxFuture<'static, Confirmed> {
        let (parliament, node, votes) = (self.parliament.clone(), self.node, self.votes());
        async move {
            match votes {
                true => parliament.confirm(node, patience).await,
                false => Err(ProposeError::NotLeader),
            }
        }
        .boxed()
    }
}
