//! Where peers are: by the roster, and before that by who spoke to us.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use follow::Replica;
use model::NodeName;
use model::limits::MEMBERS_MAX;
use transport::PeerIdentity;

/// Names to addresses.
pub(crate) struct Directory {
    replica: Arc<Replica>,
    heard: Mutex<BTreeMap<NodeName, SocketAddr>>,
}

impl Directory {
    /// Reads the roster of `replica`.
    pub(crate) fn new(replica: Arc<Replica>) -> Directory {
        Directory { replica, heard: Mutex::default() }
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
    }
}
