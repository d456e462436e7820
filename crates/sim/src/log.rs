//! The log: a stand-in for the Raft group of the voters.
//!
//! One sequencer keeps the committed entries for all. A command is accepted where a voter leads and
//! reaches a majority; half a majority's round trip later it is in the log, and another half later
//! the leader has applied it. A leader that dies, or loses its majority, is replaced after an
//! election timeout; one that is merely cut off goes on believing that it leads. What is committed
//! is never lost, unless a mutant asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use follow::{Group, ProposeError, Replica, Role};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use model::LogPosition;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::network::{Network, Way};
use crate::scenario::VOTERS;
use crate::setting::Setting;

/// How often voters look after each other.
const TICK: Duration = Duration::from_millis(25);
/// How often a leader without a majority looks for one.
const RETRY: Duration = Duration::from_millis(50);
/// Voters that make a majority.
const MAJORITY: usize = VOTERS / 2 + 1;

/// What a change of leader does to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nothing: what is committed stays.
    Sound,
    /// It loses the last entry: a mutant.
    Amnesia,
}

/// The log of one run.
pub(crate) struct Log {
    setting: Arc<Setting>,
    network: Arc<Network>,
    memory: Memory,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    entries: Vec<Bytes>,
    term: u64,
    leader: usize,
    /// When the leader was last seen with a majority.
    led: Duration,
    /// How long the others bear its absence.
    patience: Duration,
    voters: BTreeMap<usize, Voter>,
}

#[derive(Default)]
struct Voter {
    process: Option<(Owner, Arc<Replica>)>,
    /// The term in which it believes to lead.
    leads: Option<u64>,
    /// Who it believes leads.
    leader: Option<usize>,
    /// Entries that it knows to be committed. On its disk: a restart begins with them.
    known: usize,
}

fn position(count: usize) -> LogPosition {
    LogPosition::new(0, count as u64)
}

impl Log {
    /// An empty log, led by the first node.
    pub(crate) fn new(
        setting: Arc<Setting>,
        network: Arc<Network>,
        memory: Memory,
        dice: Dice,
    ) -> Arc<Log> {
        let mut voters: BTreeMap<usize, Voter> = BTreeMap::new();
        voters.extend((0..VOTERS).map(|node| (node, Voter::default())));
        let state = State {
            dice,
            entries: Vec::new(),
            term: 1,
            leader: 0,
            led: Duration::ZERO,
            patience: Duration::from_secs(1),
            voters,
        };
        let log = Log { setting, network, memory, state: Mutex::new(state) };
        let log = Arc::new(log);
        log.setting.clock.spawn(Owner::WORLD, look_after(log.clone()));
        log
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node's process starts: what its disk has of the log is applied to its replica.
    pub(crate) fn attach(&self, node: usize, owner: Owner, replica: &Arc<Replica>) {
        let mut state = self.lock();
        let known = state.voters.get(&node).map_or(0, |voter| voter.known);
        state.bring(replica, known);
        let first = state.term == 1 && state.leader == node && state.entries.is_empty();
        let Some(voter) = state.voters.get_mut(&node) else { return };
        voter.process = Some((owner, replica.clone()));
        voter.leads = first.then_some(1);
        voter.leader = None;
    }

    /// A node's process is gone.
    pub(crate) fn detach(&self, node: usize) {
        if let Some(voter) = self.lock().voters.get_mut(&node) {
            (voter.process, voter.leads, voter.leader) = (None, None, None);
        }
    }

    /// Who leads, whether it still can or not.
    pub(crate) fn leader(&self) -> usize {
        self.lock().leader
    }

    /// Whether `node` votes, and the term in which it believes to lead.
    pub(crate) fn facts(&self, node: usize) -> (bool, Option<u64>) {
        let state = self.lock();
        let voter = state.voters.get(&node);
        (voter.is_some(), voter.and_then(|voter| voter.leads))
    }

    /// The committed entries; the first has index 1.
    pub(crate) fn entries(&self) -> Vec<Bytes> {
        self.lock().entries.clone()
    }

    fn has_majority(&self, node: usize) -> bool {
        let others = (0..VOTERS).filter(|other| *other != node);
        let reached = others.filter(|other| self.network.reaches(Way { from: node, to: *other }));
        self.network.is_up(node) && reached.count() + 1 >= MAJORITY
    }

    /// The round trip to the slowest of the quickest majority.
    fn round_trip(&self, node: usize) -> Duration {
        let others = (0..VOTERS).map(|to| Way { from: node, to });
        let reached = others.filter(|way| way.to != node && self.network.reaches(*way));
        let round = |way: Way| self.network.latency(way) + self.network.latency(way.back());
        let mut rounds: Vec<Duration> = reached.map(round).collect();
        rounds.sort_unstable();
        rounds.get(MAJORITY - 2).copied().unwrap_or_default()
    }

    /// Puts `command` into the log for `node`, if it leads: the number of entries with it.
    fn append(&self, node: usize, command: Bytes) -> Option<usize> {
        let majority = self.has_majority(node);
        let mut state = self.lock();
        let leads = state.voters.get(&node).is_some_and(|voter| voter.leads == Some(state.term));
        if !leads || !majority {
            return None;
        }
        state.entries.push(command);
        Some(state.entries.len())
    }

    /// `node` learns after `delay` that `count` entries are committed.
    fn tell(self: &Arc<Self>, node: usize, count: usize, delay: Duration) {
        let Some((owner, _)) = self.process(node) else { return };
        let log = self.clone();
        self.setting.clock.spawn(owner, async move {
            log.setting.clock.sleep(delay).await;
            let mut state = log.lock();
            let Some(voter) = state.voters.get_mut(&node) else { return };
            voter.known = voter.known.max(count);
            let Some((_, replica)) = voter.process.clone() else { return };
            state.bring(&replica, count);
        });
    }

    fn process(&self, node: usize) -> Option<(Owner, Arc<Replica>)> {
        self.lock().voters.get(&node)?.process.clone()
    }

    /// One look around: who has heard what, who leads, who should.
    fn look(self: &Arc<Self>) {
        let now = self.setting.now();
        let leader = self.leader();
        let leads = self.facts(leader).1.is_some();
        if leads && self.has_majority(leader) {
            self.lock().led = now;
            return self.spread_word(leader);
        }
        let state = self.lock();
        if now < state.led + state.patience {
            return;
        }
        drop(state);
        let able = |node: &usize| !(leads && *node == leader) && self.has_majority(*node);
        let candidates: Vec<usize> = (0..VOTERS).filter(able).collect();
        if !candidates.is_empty() {
            self.elect(&candidates);
        }
    }

    fn spread_word(self: &Arc<Self>, leader: usize) {
        let Some((_, replica)) = self.process(leader) else { return };
        let known = usize::try_from(replica.applied().index()).unwrap_or(usize::MAX);
        for to in (0..VOTERS).filter(|node| *node != leader) {
            let way = Way { from: leader, to };
            if !self.network.reaches(way) {
                continue;
            }
            let mut state = self.lock();
            let Some(voter) = state.voters.get_mut(&to) else { continue };
            (voter.leads, voter.leader) = (None, Some(leader));
            let behind = voter.known < known;
            drop(state);
            if behind {
                self.tell(to, known, self.network.latency(way));
            }
        }
    }

    fn elect(&self, candidates: &[usize]) {
        let now = self.setting.now();
        let mut state = self.lock();
        let chosen = *state.dice.pick(candidates);
        state.term += 1;
        state.leader = chosen;
        state.led = now;
        state.patience = state.dice.millis(500..=1_000);
        if self.memory == Memory::Amnesia {
            state.entries.pop();
        }
        let (term, count) = (state.term, state.entries.len());
        let Some(voter) = state.voters.get_mut(&chosen) else { return };
        (voter.leads, voter.leader, voter.known) = (Some(term), Some(chosen), count);
        if let Some((_, replica)) = voter.process.clone() {
            state.bring(&replica, count);
        }
        let name = self.setting.name(chosen);
        self.setting.note(format_args!("{name} leads term {term} from entry {count} on"));
    }
}

impl State {
    /// Applies what `replica` lacks of the first `count` entries.
    fn bring(&self, replica: &Replica, count: usize) {
        let applied = usize::try_from(replica.applied().index()).unwrap_or(usize::MAX);
        if let Some(missing) = self.entries.get(applied..count.min(self.entries.len())) {
            let brought = replica.apply(position(applied + 1), missing);
            debug_assert!(brought.is_ok(), "every entry was made by this build: {brought:?}");
        }
    }
}

async fn look_after(log: Arc<Log>) {
    loop {
        log.look();
        log.setting.clock.sleep(TICK).await;
    }
}

/// One node's place at the log.
pub(crate) struct Place {
    /// The log.
    pub(crate) log: Arc<Log>,
    /// The node.
    pub(crate) node: usize,
}

impl Group for Place {
    fn role(&self) -> Role {
        let state = self.log.lock();
        let Some(voter) = state.voters.get(&self.node) else { return Role::default() };
        let instance = |node: usize| self.log.setting.scenario.members[node].instance;
        Role { votes: true, leads: voter.leads.is_some(), leader: voter.leader.map(instance) }
    }

    fn propose(
        &self,
        command: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        let (log, node) = (self.log.clone(), self.node);
        async move {
            if log.facts(node).1.is_none() {
                return Err(ProposeError::NotLeader);
            }
            let timeout = log.setting.clock.sleep(patience);
            match select(propose(&log, node, command).boxed(), timeout).await {
                Either::Left((proposed, _)) => proposed,
                Either::Right(_) => Err(ProposeError::NoQuorum("no majority in time".into())),
            }
        }
        .boxed()
    }
}

async fn propose(
    log: &Arc<Log>,
    node: usize,
    command: Bytes,
) -> Result<(LogPosition, Bytes), ProposeError> {
    let deposed = || ProposeError::NoQuorum("another leader was elected".into());
    loop {
        let half = log.round_trip(node) / 2;
        log.setting.clock.sleep(half).await;
        let (_, replica) = log.process(node).ok_or_else(deposed)?;
        if let Some(count) = log.append(node, command.clone()) {
            log.tell(node, count, half);
            replica.reach(position(count)).await;
            let outcome = replica.apply(position(count), std::slice::from_ref(&command));
            let outcome = outcome.map_err(|error| ProposeError::NoQuorum(error.to_string()))?;
            return Ok((position(count), outcome.concat().into()));
        }
        log.facts(node).1.ok_or_else(deposed)?;
        log.setting.clock.sleep(RETRY).await;
    }
}
