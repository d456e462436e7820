//! Where peers are: by the roster, and before that by who spoke to us.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use follow::Replica;
use membership::Neighbours;
use model::NodeName;
use model::limits::MEMBERS_MAX;
use transport::PeerIdentity;

/// Names to addresses.
pub(crate) struct Directory {
    replica: Arc<Replica>,
    heard: Mutex<BTreeMap<NodeName, SocketAddr>>,
    neighbours: OnceLock<Arc<Neighbours>>,
}

impl Directory {
    /// Reads the roster of `replica`.
    pub(crate) fn new(replica: Arc<Replica>) -> Directory {
        Directory { replica, heard: Mutex::default(), neighbours: OnceLock::new() }
    }

    /// From now on a peer that speaks to us is no longer doubted.
    pub(crate) fn connect(&self, neighbours: Arc<Neighbours>) {
        self.neighbours.get_or_init(|| neighbours);
    }
}

impl transport::Directory for Directory {
    fn address_of(&self, name: &NodeName) -> Option<SocketAddr> {
        let listed = self.replica.state().member(name).map(|member| member.address);
        let heard = || self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        listed.or_else(heard)
    }

    fn note(&self, peer: &PeerIdentity, from: SocketAddr) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < MEMBERS_MAX || heard.contains_key(&peer.name) {
            heard.insert(peer.name.clone(), from);
        }
        drop(heard);
        if let Some(neighbours) = self.neighbours.get() {
            neighbours.trust(&peer.name);
        }
    }
}
