//! The roster as the autopilot looks at it: who may vote, who is alive, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use consensus::autopilot::{self, Candidate};
use follow::Members;
use model::{Instance, Moment};

use crate::host::Machine;

/// Nodes and the moments at which they were first seen in their present state.
pub(crate) struct Roster {
    members: Arc<dyn Members>,
    seen: Mutex<BTreeMap<Instance, (bool, Moment)>>,
}

impl Roster {
    /// Reads `members`.
    pub(crate) fn new(members: Arc<dyn Members>) -> Roster {
        Roster { members, seen: Mutex::default() }
    }
}

impl autopilot::Roster for Roster {
    fn candidates(&self) -> Vec<Candidate> {
        let now = Machine.now();
        let peers = self.members.peers();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|instance, _| peers.iter().any(|peer| peer.instance == *instance));
        let candidate = |peer: follow::Peer| {
            let entry = seen.entry(peer.instance).or_insert((peer.alive, now));
            if entry.0 != peer.alive {
                *entry = (peer.alive, now);
            }
            Candidate {
                instance: peer.instance,
                region: peer.region,
                may_vote: peer.tiers.may_vote(),
                alive: peer.alive,
                since: entry.1,
            }
        };
        peers.into_iter().map(candidate).collect()
    }
}
