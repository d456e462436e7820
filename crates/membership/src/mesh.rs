//! The mesh as this node sees it: who belongs, who owns what, and who of them to try.
//!
//! The rings change with the roster alone and are built away from the tasks that serve; who is
//! alive is laid beside them, and swapped as gossip speaks and connections fail. Readers load one
//! pointer. Whoever writes holds the lock on [`Liveness`], so no change is lost to another. Nothing
//! here decides whether a request or command may go anywhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use control::State;
use follow::{Peer, Replica};
use model::{Member, NodeName};
use placement::View;
use serve::Mesh;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::error;

use crate::beginnings::echo;
use crate::facts::{Heard, Hearsay};
use crate::liveness::Liveness;
use crate::members::Gossip;

/// Members whose rings are built in a few milliseconds, which a task may take.
const MEMBERS_INLINE_MAX: usize = 64;

/// The members of the mesh, for requests ([`serve::Members`]) and commands ([`follow::Members`]).
pub struct Neighbours {
    gossip: Arc<Gossip>,
    replica: Arc<Replica>,
    liveness: Mutex<Liveness>,
    mesh: ArcSwap<Mesh>,
    changed: watch::Sender<()>,
}

impl Neighbours {
    /// The members as of now. [`Neighbours::run`] keeps them current.
    pub fn new(gossip: Arc<Gossip>, replica: Arc<Replica>) -> Neighbours {
        let state = replica.state();
        let view = Arc::new(View::build(state.roster_version(), state.roster().cloned()));
        drop(state);
        let liveness =
            Liveness::new(gossip.name().clone(), echo(view.members().len(), Gossip::INTERVAL));
        let alive = alive(&liveness, &view, &gossip.heard());
        let mesh = ArcSwap::from_pointee(Mesh { view, alive });
        let changed = watch::Sender::new(());
        Neighbours { gossip, replica, liveness: Mutex::new(liveness), mesh, changed }
    }

    /// Follows the roster and gossip for as long as it is run.
    pub async fn run(&self) {
        let mut heard = self.gossip.listen();
        loop {
            let state = Arc::clone(&self.replica.state());
            let seen = state.roster_version();
            self.rebuild(&state).await;
            let version = || self.replica.state().roster_version();
            tokio::select! {
                biased;
                () = self.replica.changed().until(|| (version() != seen).then_some(())) => {}
                news = heard.changed() => if news.is_err() {
                    return; // The runtime stops: gossip is held here and does not end before us.
                }
            }
        }
    }

    /// Makes the mesh that of `state` and of what gossip says. Rings are built only for a roster
    /// that is newer than theirs.
    pub async fn rebuild(&self, state: &State) {
        let fresh = match state.roster_version() > self.mesh.load().view.version() {
            true => build(state).await,
            false => None,
        };
        let mut liveness = self.lock();
        let held = Arc::clone(&self.mesh.load().view);
        // Somebody else may have been faster meanwhile.
        let view = fresh.filter(|fresh| fresh.version() > held.version()).unwrap_or(held);
        liveness.set_echo(echo(view.members().len(), Gossip::INTERVAL));
        liveness.retain(|name| view.seat_of(name).is_some());
        self.refresh(&liveness, view);
    }

    /// A connection to `node` succeeded just now.
    pub fn trust(&self, node: &NodeName) {
        let mut liveness = self.lock();
        liveness.trust(node);
        self.refresh(&liveness, Arc::clone(&self.mesh.load().view));
    }

    /// Changes whenever the mesh does.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn refresh(&self, liveness: &Liveness, view: Arc<View>) {
        let mesh = self.mesh.load();
        let alive = alive(liveness, &view, &self.gossip.heard());
        if !Arc::ptr_eq(&mesh.view, &view) || mesh.alive != alive {
            self.mesh.store(Arc::new(Mesh { view, alive }));
            self.changed.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Liveness> {
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl serve::Members for Neighbours {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        self.mesh.load()
    }

    fn doubt(&self, node: &NodeName) {
        let mut liveness = self.lock();
        let mesh = self.mesh.load();
        let Some(seat) = mesh.view.seat_of(node) else { return };
        liveness.doubt(node, self.gossip.now());
        // Many requests fail at once when a node dies; the first of them has said so.
        if mesh.is_alive(seat) {
            self.refresh(&liveness, Arc::clone(&mesh.view));
        }
    }
}

impl follow::Members for Neighbours {
    fn peers(&self) -> Vec<Peer> {
        let (state, heard) = (self.replica.state(), self.gossip.heard());
        let own = self.gossip.said();
        let liveness = self.lock();
        let peer = |member: &Member| {
            let heard = heard.get(&member.name);
            let own = Some(&own).filter(|_| member.name == *self.gossip.name());
            let facts = own.or(heard.map(|heard| &heard.facts));
            Peer {
                name: member.name.clone(),
                instance: member.instance,
                region: member.region.clone(),
                tiers: member.tiers,
                alive: liveness.is_alive(&member.name, heard.map(|heard| heard.sign)),
                votes: facts.is_some_and(|facts| facts.votes),
                leads: facts.and_then(|facts| facts.leads),
            }
        };
        state.roster().map(peer).collect()
    }
}

fn alive(liveness: &Liveness, view: &View, heard: &Hearsay) -> Box<[bool]> {
    let sign = |name| heard.get(name).map(|heard: &Heard| heard.sign);
    let names = view.members().iter().map(|member| &member.name);
    names.map(|name| liveness.is_alive(name, sign(name))).collect()
}

async fn build(state: &State) -> Option<Arc<View>> {
    let (version, members) = (state.roster_version(), state.roster().cloned().collect::<Vec<_>>());
    let build = move || Arc::new(View::build(version, members));
    if state.roster().count() <= MEMBERS_INLINE_MAX {
        return Some(build());
    }
    let built = spawn_blocking(build).await;
    built.inspect_err(|broken| error!(%broken, "the rings of a roster were not built")).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use control::Command;
    use follow::Members as _;
    use model::{Instance, LogPosition};
    use serve::Members as _;
    use tokio::time::timeout;
    use wire::gossip::Facts;

    use super::*;
    use crate::tests::{Town, name, until};

    /// The members that are alive in the mesh.
    fn alive(neighbours: &Neighbours) -> Vec<String> {
        let mesh = neighbours.mesh();
        let names = mesh.view.members().iter().zip(&mesh.alive);
        names.filter(|(_, alive)| **alive).map(|(member, _)| member.name.to_string()).collect()
    }

    async fn comes_true(neighbours: &Neighbours, told: impl Fn(&Neighbours) -> bool) {
        let mut changed = neighbours.changed();
        let wait = async {
            while !told(neighbours) {
                changed.changed().await.unwrap();
            }
        };
        timeout(Duration::from_secs(600), wait).await.expect("it comes true in time");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_newer_roster_makes_a_new_view() {
        let town = Town::of(3);
        let first = town.start(0, 1);
        let neighbours = Neighbours::new(Arc::clone(&first), Arc::clone(&town.replica));
        let built = Arc::clone(&neighbours.mesh().view);
        assert_eq!(alive(&neighbours), ["n0"], "who was not heard yet is dead");

        let _others = [town.start(1, 1), town.start(2, 1)];
        until(&first, |heard| crate::tests::live(heard) == 2).await;
        let old = Arc::clone(&town.replica.state());
        neighbours.rebuild(&old).await;
        assert_eq!(alive(&neighbours), ["n0", "n1", "n2"]);
        assert!(Arc::ptr_eq(&built, &neighbours.mesh().view));

        town.log(Command::Leave { name: name(1), instance: Instance(0) });
        let new = Arc::clone(&town.replica.state());
        neighbours.rebuild(&new).await;
        assert_eq!(alive(&neighbours), ["n0", "n2"]);
        assert_eq!(neighbours.mesh().view.version(), LogPosition::new(0, 4));
        neighbours.rebuild(&old).await;
        assert_eq!(neighbours.mesh().view.version(), LogPosition::new(0, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn the_mesh_follows_the_roster_gossip_and_every_failure() {
        let town = Town::of(1);
        let first = town.start(0, 1);
        let neighbours = Arc::new(Neighbours::new(Arc::clone(&first), Arc::clone(&town.replica)));
        let task = tokio::spawn({
            let neighbours = Arc::clone(&neighbours);
            async move { neighbours.run().await }
        });
        // More than are built inline.
        (1..70).for_each(|number| town.join(number, 0));
        let _others = [town.start(1, 1), town.start(2, 1)];
        comes_true(&neighbours, |now| alive(now) == ["n0", "n1", "n2"]).await;
        assert_eq!(neighbours.mesh().view.members().len(), 70);

        let view = Arc::clone(&neighbours.mesh().view);
        let doubted = first.now();
        neighbours.doubt(&name(2));
        neighbours.doubt(&name(0));
        neighbours.doubt(&name(999));
        assert_eq!(alive(&neighbours), ["n0", "n1"], "at once");
        comes_true(&neighbours, |now| alive(now) == ["n0", "n1", "n2"]).await;
        let taken = first.now().since(doubted);
        assert!(taken >= echo(70, Gossip::INTERVAL) && taken < Duration::from_secs(2), "{taken:?}");

        neighbours.doubt(&name(2));
        neighbours.trust(&name(2));
        assert_eq!(alive(&neighbours), ["n0", "n1", "n2"]);

        town.kill(2);
        comes_true(&neighbours, |now| alive(now) == ["n0", "n1"]).await;
        assert!(Arc::ptr_eq(&view, &neighbours.mesh().view));
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn peers_are_the_roster_with_what_each_says_of_itself() {
        let town = Town::of(3);
        let nodes = [town.start(0, 1), town.start(1, 1)];
        let neighbours = Neighbours::new(Arc::clone(&nodes[0]), Arc::clone(&town.replica));
        nodes[0].publish(&Facts { votes: true, leads: Some(4), ..Facts::default() });
        nodes[1].publish(&Facts { votes: true, ..Facts::default() });
        let told = |heard: &Hearsay| {
            heard.get(&name(1)).is_some_and(|heard| heard.sign.live && heard.facts.votes)
        };
        until(&nodes[0], told).await;
        let read = |peer: Peer| (peer.name.to_string(), peer.alive, peer.votes, peer.leads);
        let peers: Vec<_> = neighbours.peers().into_iter().map(read).collect();
        let expect = [("n0", true, true, Some(4)), ("n1", true, true, None)];
        let expect = expect.into_iter().chain([("n2", false, false, None)]);
        assert_eq!(peers, expect.map(|(n, a, v, l)| (n.to_owned(), a, v, l)).collect::<Vec<_>>());
        neighbours.doubt(&name(1));
        assert!(neighbours.peers().iter().filter(|peer| peer.alive).count() == 1);
    }
}
