//! Who is connected right now, by name and data directory, and who has just been lost.
//!
//! Two live directories under one name mean two nodes that each believe to be the one: somebody
//! must stop one of them. That, and a clock far from ours, is said once per peer, not once per
//! connection. Nothing is refused for it here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use model::limits::{FAILURES_QUEUED_MAX, MEMBERS_MAX};
use model::{Instance, NodeName};
use tokio::sync::broadcast;
use tracing::{error, warn};

use crate::greet::{Acquaintance, Clock, Ourselves};
use crate::identity::PeerIdentity;
use crate::service::Directory;

/// This node among its peers.
pub(crate) struct Presence {
    pub(crate) us: Ourselves,
    pub(crate) directory: Arc<dyn Directory>,
    failures: broadcast::Sender<NodeName>,
    peers: Mutex<BTreeMap<NodeName, Peer>>,
}

/// One connection of a peer. Dropped with it.
pub(crate) struct Stay {
    presence: Arc<Presence>,
    name: NodeName,
    instance: Instance,
}

#[derive(Debug, Default)]
struct Peer {
    /// One entry for each connection.
    live: Vec<Instance>,
    twins: Told,
    skew: Told,
}

/// Whether something has been said already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

impl Presence {
    pub(crate) fn new(us: Ourselves, directory: Arc<dyn Directory>) -> Presence {
        let (failures, _) = broadcast::channel(FAILURES_QUEUED_MAX);
        Presence { us, directory, failures, peers: Mutex::default() }
    }

    /// The names of peers that are lost, as they are.
    pub(crate) fn failures(&self) -> broadcast::Receiver<NodeName> {
        self.failures.subscribe()
    }

    /// A peer is lost, or could not be reached.
    pub(crate) fn report(&self, name: &NodeName) {
        // Fails only when nobody listens.
        let _ = self.failures.send(name.clone());
    }

    /// A peer has connected, or we to it.
    pub(crate) fn enter(self: &Arc<Self>, acquaintance: &Acquaintance) -> Stay {
        let PeerIdentity { name, instance, address, .. } = &acquaintance.peer;
        self.directory.note(&acquaintance.peer, *address);
        let mut peers = self.lock();
        if peers.len() > 2 * MEMBERS_MAX {
            peers.retain(|_, peer| !peer.live.is_empty());
        }
        let peer = peers.entry(name.clone()).or_default();
        if peer.live.iter().any(|live| live != instance) && peer.twins.first() {
            error!(peer = %name, %address, "two nodes call themselves {name}: stop one of them");
        }
        if let Clock::Differs(by) = acquaintance.clock
            && peer.skew.first()
        {
            let us = &self.us.identity.name;
            warn!(peer = %name, seconds = by.as_secs(), "the clocks of {us} and {name} differ");
        }
        peer.live.push(*instance);
        Stay { presence: Arc::clone(self), name: name.clone(), instance: *instance }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Peer>> {
        self.peers.lock().expect("nothing panics while it is held")
    }
}

impl Stay {
    /// Ends the stay; whether the peer has no other connection left.
    pub(crate) fn leave(self) -> Left {
        let (presence, name) = (Arc::clone(&self.presence), self.name.clone());
        drop(self);
        let peers = presence.lock();
        if peers.get(&name).is_none_or(|peer| peer.live.is_empty()) {
            Left::ForGood
        } else {
            Left::OthersStay
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut peers = self.presence.lock();
        if let Some(peer) = peers.get_mut(&self.name)
            && let Some(at) = peer.live.iter().position(|live| *live == self.instance)
        {
            peer.live.swap_remove(at);
        }
    }
}

/// What a peer's leaving leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// No connection.
    ForGood,
    /// Other connections.
    OthersStay,
}

impl Told {
    /// Whether this is the first time; the next will not be.
    fn first(&mut self) -> bool {
        std::mem::replace(self, Told::Yes) == Told::No
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::SystemTime;

    use wire::hello::Lane;
    use wire::protocol::Protocols;

    use super::*;

    struct Nobody;

    impl Directory for Nobody {
        fn address_of(&self, _: &NodeName) -> Option<SocketAddr> {
            None
        }
    }

    fn presence() -> Arc<Presence> {
        let identity = "shoal://m/eu/one?tiers=edge".parse().unwrap();
        let wall = Arc::new(|| SystemTime::UNIX_EPOCH);
        let protocols = Protocols::ALL;
        let us = Ourselves { identity, instance: Instance(1), protocols, wall };
        Arc::new(Presence::new(us, Arc::new(Nobody)))
    }

    fn acquaintance(instance: u64) -> Acquaintance {
        let identity = "shoal://m/eu/two?tiers=edge".parse().unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = PeerIdentity::new(identity, Instance(instance), address, 3);
        Acquaintance { peer, lane: Lane::Control, clock: Clock::Agrees }
    }

    fn told(presence: &Presence) -> Told {
        presence.lock()[&"two".parse().unwrap()].twins
    }

    #[test]
    fn twins_are_called_out_only_while_both_are_there() {
        let presence = presence();
        let old = presence.enter(&acquaintance(1));
        assert_eq!(old.leave(), Left::ForGood);
        let first = presence.enter(&acquaintance(2));
        let second = presence.enter(&acquaintance(2));
        assert_eq!(told(&presence), Told::No);
        let twin = presence.enter(&acquaintance(3));
        assert_eq!(told(&presence), Told::Yes);
        assert_eq!((first.leave(), twin.leave()), (Left::OthersStay, Left::OthersStay));
        assert_eq!(second.leave(), Left::ForGood);
    }
}
