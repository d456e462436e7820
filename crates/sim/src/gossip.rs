//! Gossip: a stand-in for chitchat. Who hears of whom, and how late.
//!
//! Word travels over any path of open links, so a node that one link is cut to is still heard of
//! through others. Silence counts as death after about two seconds, a voice as life after half a
//! second. What a node says of itself (whether it votes, whether it leads) arrives a beat late. A
//! failed connection casts doubt on a node's service, but not on its life: only gossip says who a
//! receipt has to wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use follow::{Peer, Replica};
use model::{LogPosition, Member, NodeName};
use placement::View;
use serve::Mesh;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::log::Log;
use crate::network::{Network, Way};
use crate::setting::Setting;

/// Between two rounds.
const ROUND: Duration = Duration::from_millis(250);
/// How long a node must be heard before it counts as alive.
const GREETING: Duration = Duration::from_millis(500);
/// How long a node that could not be reached is left out.
const DOUBT: Duration = Duration::from_secs(2);

/// What one node has heard of another.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    first: Option<Duration>,
    last: Duration,
    alive: bool,
    votes: bool,
    leads: Option<u64>,
}

/// The gossip of one run.
pub(crate) struct Gossip {
    setting: Arc<Setting>,
    network: Arc<Network>,
    log: Arc<Log>,
    state: Mutex<State>,
}

struct State {
    words: BTreeMap<Way, Word>,
    /// What each pair takes for silence.
    silence: BTreeMap<Way, Duration>,
    /// What nodes said of themselves in the last round.
    said: Vec<(bool, Option<u64>)>,
    views: BTreeMap<LogPosition, Arc<View>>,
}

impl Gossip {
    /// Gossip among the nodes of `scenario`.
    pub(crate) fn new(
        setting: Arc<Setting>,
        network: Arc<Network>,
        log: Arc<Log>,
        mut dice: Dice,
    ) -> Arc<Gossip> {
        let nodes = setting.scenario.members.len();
        let ways = (0..nodes).flat_map(|from| (0..nodes).map(move |to| Way { from, to }));
        let state = State {
            words: BTreeMap::new(),
            silence: ways.map(|way| (way, dice.millis(1_700..=2_300))).collect(),
            said: vec![(false, None); nodes],
            views: BTreeMap::new(),
        };
        let gossip = Gossip { setting, network, log, state: Mutex::new(state) };
        let gossip = Arc::new(gossip);
        gossip.setting.clock.spawn(Owner::WORLD, go_round(gossip.clone()));
        gossip
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process of `node` has heard nobody yet.
    pub(crate) fn forget(&self, node: usize) {
        self.lock().words.retain(|way, _| way.to != node);
    }

    /// Nodes that word from a node can reach, as one number per group of connected nodes.
    fn groups(&self) -> Vec<usize> {
        let nodes = self.setting.scenario.members.len();
        let mut group: Vec<usize> = (0..nodes).collect();
        for from in 0..nodes {
            for to in 0..from {
                let (mine, yours) = (group[from], group[to]);
                if mine != yours && self.network.reaches(Way { from, to }) {
                    group.iter_mut().filter(|one| **one == mine).for_each(|one| *one = yours);
                }
            }
        }
        group
    }

    fn round(&self) {
        let now = self.setting.now();
        let group = self.groups();
        let facts: Vec<_> = (0..group.len()).map(|node| self.log.facts(node)).collect();
        let mut state = self.lock();
        let State { words, silence, said, .. } = &mut *state;
        for (way, silence) in silence.iter() {
            let word = words.entry(*way).or_default();
            if group[way.from] == group[way.to] {
                word.last = now;
                let first = *word.first.get_or_insert(now);
                (word.votes, word.leads) = said[way.from];
                word.alive |= now - first >= GREETING;
            } else if now - word.last >= *silence {
                (word.alive, word.first) = (false, None);
            }
        }
        *said = facts;
    }

    fn word(&self, way: Way) -> Word {
        self.lock().words.get(&way).copied().unwrap_or_default()
    }

    /// The view of the roster as of `version`: every node builds the same one, so it is built once.
    fn view(&self, version: LogPosition, roster: impl Iterator<Item = Member>) -> Arc<View> {
        let mut state = self.lock();
        let build = || Arc::new(View::build(version, roster));
        state.views.entry(version).or_insert_with(build).clone()
    }
}

async fn go_round(gossip: Arc<Gossip>) {
    loop {
        gossip.round();
        gossip.setting.clock.sleep(ROUND).await;
    }
}

/// One node's knowledge of the others: its `Members` ports.
pub(crate) struct Acquaintance {
    gossip: Arc<Gossip>,
    node: usize,
    replica: Arc<Replica>,
    mesh: ArcSwap<Mesh>,
    doubts: Mutex<BTreeMap<NodeName, Duration>>,
}

impl Acquaintance {
    /// What `node` knows of the others; the roster comes from `replica`.
    pub(crate) fn new(gossip: Arc<Gossip>, node: usize, replica: Arc<Replica>) -> Acquaintance {
        let nobody =
            Mesh { view: gossip.view(LogPosition::ZERO, [].into_iter()), alive: [].into() };
        let mesh = ArcSwap::from_pointee(nobody);
        Acquaintance { gossip, node, replica, mesh, doubts: Mutex::default() }
    }

    fn doubts(&self) -> MutexGuard<'_, BTreeMap<NodeName, Duration>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, name: &NodeName) -> Word {
        let members = &self.gossip.setting.scenario.members;
        let Some(from) = members.iter().position(|member| member.name == *name) else {
            return Word::default();
        };
        if from == self.node {
            let (votes, leads) = self.gossip.log.facts(from);
            return Word { alive: true, votes, leads, ..Word::default() };
        }
        self.gossip.word(Way { from, to: self.node })
    }

    fn serves(&self, name: &NodeName) -> bool {
        let now = self.gossip.setting.now();
        let doubted = self.doubts().get(name).is_some_and(|until| now < *until);
        !doubted && self.heard(name).alive
    }
}

impl serve::Members for Acquaintance {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        let known = self.mesh.load();
        let state = self.replica.state();
        let version = state.roster_version();
        let view = match known.view.version() == version {
            true => known.view.clone(),
            false => self.gossip.view(version, state.roster().cloned()),
        };
        let alive: Box<[bool]> = view.members().iter().map(|one| self.serves(&one.name)).collect();
        if known.view.version() != version || known.alive != alive {
            self.mesh.store(Arc::new(Mesh { view, alive }));
        }
        self.mesh.load()
    }

    fn doubt(&self, node: &NodeName) {
        let until = self.gossip.setting.now() + DOUBT;
        self.doubts().insert(node.clone(), until);
    }
}

impl follow::Members for Acquaintance {
    fn peers(&self) -> Vec<Peer> {
        let state = self.replica.state();
        let peer = |member: &Member| {
            let word = self.heard(&member.name);
            Peer {
                name: member.name.clone(),
                instance: member.instance,
                region: member.region.clone(),
                tiers: member.tiers,
                alive: word.alive,
                votes: word.votes,
                leads: word.leads,
            }
        };
        state.roster().map(peer).collect()
    }
}
