//! Pretend gossip: who belongs is the roster; who is alive is what a look at the world says, a
//! little late, and now and then wrong.
//!
//! A node is believed to be alive while it was in reach within the last two seconds. Nothing may
//! rest on it: it steps over owners and chooses parents, that is all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use follow::{Group, Peer, Replica};
use model::{LogPosition, Member, NodeName};
use placement::View;
use serve::Mesh;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::network::{Network, Way};
use crate::scenario::Profile;
use crate::setting::Setting;

/// Between two looks, and where there are many nodes to look at.
const LOOK: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(1_600)];
/// So many are many.
const MANY: usize = 100;
/// For how long a node that is not in reach is believed to live.
const FAITH: Duration = Duration::from_secs(2);
/// How long an error lasts.
const ERROR_MS: std::ops::RangeInclusive<usize> = 500..=6_000;
/// In so many of a hundred looks somebody errs about somebody, where things go wrong at all.
const ERRORS: usize = 4;

/// What one node believes of another.
#[derive(Clone, Copy, Default)]
struct Belief {
    seen_at: Option<Duration>,
    wrong_until: Duration,
    votes: bool,
    leads: Option<u64>,
}

impl Belief {
    fn is_alive(&self, now: Duration) -> bool {
        now >= self.wrong_until && self.seen_at.is_some_and(|seen| now < seen + FAITH)
    }
}

/// A process, as others look at it.
struct Seen {
    owner: Owner,
    group: Arc<dyn Group>,
    hearsay: Weak<Hearsay>,
}

/// What everybody believes of everybody.
pub(crate) struct Board {
    setting: Arc<Setting>,
    network: Arc<Network>,
    beliefs: Mutex<Vec<Vec<Belief>>>,
    seen: Mutex<BTreeMap<usize, Seen>>,
    views: Mutex<BTreeMap<LogPosition, Arc<View>>>,
    /// Whether nobody errs any more.
    settled: AtomicBool,
}

impl Board {
    /// A board on which nobody believes anything.
    pub(crate) fn new(setting: Arc<Setting>, network: Arc<Network>) -> Arc<Board> {
        let nodes = setting.scenario.members.len();
        let beliefs = Mutex::new(vec![vec![Belief::default(); nodes]; nodes]);
        Arc::new(Board {
            setting,
            network,
            beliefs,
            seen: Mutex::default(),
            views: Mutex::default(),
            settled: AtomicBool::new(false),
        })
    }

    fn beliefs(&self) -> MutexGuard<'_, Vec<Vec<Belief>>> {
        self.beliefs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<usize, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process of `node` begins, and knows nobody.
    pub(crate) fn join(
        self: &Arc<Self>,
        node: usize,
        owner: Owner,
        (group, replica): (Arc<dyn Group>, Arc<Replica>),
    ) -> Arc<Hearsay> {
        self.beliefs()[node].fill(Belief::default());
        let view = Arc::new(View::build(LogPosition::ZERO, []));
        let mesh = ArcSwap::from_pointee(Mesh { view, alive: Box::default() });
        let hearsay = Arc::new(Hearsay { board: self.clone(), node, replica, mesh });
        let seen = Seen { owner, group, hearsay: Arc::downgrade(&hearsay) };
        self.seen().insert(node, seen);
        hearsay
    }

    /// The process of `node` is gone.
    pub(crate) fn leave(&self, node: usize) {
        self.seen().remove(&node);
    }

    /// Nobody errs about anybody any more.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
        self.beliefs().iter_mut().flatten().for_each(|belief| belief.wrong_until = Duration::ZERO);
    }

    /// Looks at the world, for as long as it lasts.
    pub(crate) async fn look_around(self: Arc<Self>, mut dice: Dice) {
        loop {
            self.look(&mut dice);
            let many = self.setting.scenario.members.len() > MANY;
            self.setting.clock.sleep(LOOK[usize::from(many)]).await;
        }
    }

    fn look(&self, dice: &mut Dice) {
        let now = self.setting.now();
        let nodes = self.setting.scenario.members.len();
        let seen = self.seen();
        let awake = |node: &usize| {
            seen.get(node).is_some_and(|seen| !self.setting.clock.is_stopped(seen.owner))
        };
        let awake: Vec<usize> = (0..nodes).filter(awake).collect();
        let roles: BTreeMap<usize, follow::Role> =
            awake.iter().map(|node| (*node, seen[node].group.role())).collect();
        let cuts = self.network.cuts();
        let mut beliefs = self.beliefs();
        for one in &awake {
            for (other, role) in &roles {
                let belief = &mut beliefs[*one][*other];
                if one == other || !cuts.contains(&Way { from: *one, to: *other }) {
                    belief.seen_at = Some(now);
                    (belief.votes, belief.leads) = (role.votes, role.leads.then_some(role.term));
                }
            }
        }
        let errs =
            self.setting.scenario.profile != Profile::Calm && !self.settled.load(Ordering::Relaxed);
        if errs && dice.chance(ERRORS) {
            let (one, other) = (dice.below(nodes), dice.below(nodes));
            if one != other {
                beliefs[one][other].wrong_until = now + dice.millis(ERROR_MS);
            }
        }
        drop(beliefs);
        let hearsays: Vec<_> = seen.values().filter_map(|one| one.hearsay.upgrade()).collect();
        drop(seen);
        hearsays.iter().for_each(|hearsay| hearsay.refresh());
    }

    fn view(&self, replica: &Replica) -> Arc<View> {
        let state = replica.state();
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || Arc::new(View::build(state.roster_version(), state.roster().cloned()));
        views.entry(state.roster_version()).or_insert_with(build).clone()
    }

    fn place_of(&self, name: &NodeName) -> Option<usize> {
        self.network.place_of(name)
    }
}

/// What one process believes.
pub(crate) struct Hearsay {
    board: Arc<Board>,
    node: usize,
    replica: Arc<Replica>,
    mesh: ArcSwap<Mesh>,
}

impl Hearsay {
    fn refresh(&self) {
        let now = self.board.setting.now();
        let view = self.board.view(&self.replica);
        let beliefs = self.board.beliefs();
        let is_alive = |member: &Member| {
            let place = self.board.place_of(&member.name);
            place.is_some_and(|place| beliefs[self.node][place].is_alive(now))
        };
        let alive: Box<[bool]> = view.members().iter().map(is_alive).collect();
        let mesh = self.mesh.load();
        if !Arc::ptr_eq(&mesh.view, &view) || mesh.alive != alive {
            self.mesh.store(Arc::new(Mesh { view, alive }));
        }
    }
}

impl serve::Members for Hearsay {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        self.mesh.load()
    }

    fn doubt(&self, node: &NodeName) {
        let Some(place) = self.board.place_of(node) else { return };
        self.board.beliefs()[self.node][place].seen_at = None;
        self.refresh();
    }
}

impl follow::Members for Hearsay {
    fn peers(&self) -> Vec<Peer> {
        let now = self.board.setting.now();
        let own = self.board.seen().get(&self.node).map(|seen| seen.group.role());
        let beliefs = self.board.beliefs();
        let state = self.replica.state();
        let by_name = self.board.network.by_name();
        let all = state.roster().count() == by_name.len();
        let peer = |(number, member): (usize, &Member)| {
            let place = match all {
                true => Some(by_name[number]),
                false => self.board.place_of(&member.name),
            };
            let belief = place.map(|place| beliefs[self.node][place]).unwrap_or_default();
            let own = own.filter(|_| place == Some(self.node));
            Peer {
                name: member.name.clone(),
                instance: member.instance,
                region: member.region.clone(),
                tiers: member.tiers,
                alive: own.is_some() || belief.is_alive(now),
                votes: own.map_or(belief.votes, |role| role.votes),
                leads: own.map_or(belief.leads, |role| role.leads.then_some(role.term)),
            }
        };
        state.roster().enumerate().map(peer).collect()
    }
}
