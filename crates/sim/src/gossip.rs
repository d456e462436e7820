//! Gossip: the real chitchat of every node, over the pretend network.
//!
//! What is here joins `membership` to the network and decides nothing. A message of a process that
//! is stopped or dead is lost; one to a process that is stopped waits for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consensus::Group;
use membership::{Gossip, Options, Post};
use wire::gossip::Facts;

use crate::host::WALL_START;
use crate::raft::Station;

/// Facts about a node are said at most this often.
const PUBLISH: Duration = Duration::from_millis(250);
/// In so many rounds the age of the lease is said once.
const LEASE_EVERY: u32 = 4;

/// Starts to gossip as a new process.
pub(crate) fn start(station: &Station) -> Arc<Gossip> {
    let Station { setting, node, replica, .. } = station;
    let me = &setting.scenario.members[*node];
    let started = (WALL_START + setting.now()).as_millis();
    let options = Options {
        name: me.name.clone(),
        instance: me.instance,
        generation: u64::try_from(started).expect("a run ends before the year 500,000,000"),
        address: me.address,
        seeds: vec![setting.scenario.members[0].address],
        interval: Gossip::INTERVAL,
    };
    Arc::new(Gossip::start(options, Arc::new(Letters(station.clone())), replica.clone()))
}

/// The network, as chitchat sees it.
struct Letters(Station);

impl Post for Letters {
    fn cast(&self, to: SocketAddr, message: Bytes) {
        let Station { network, node, owner, .. } = &self.0;
        network.cast(*node, *owner, to, message);
    }
}

/// Says of this process what the real one says of itself.
pub(crate) async fn publish(station: Station, gossip: Arc<Gossip>, group: Group) {
    let mut facts = Facts::default();
    for round in 0_u32.. {
        let role = group.role();
        facts.applied = station.replica.applied();
        facts.votes = role.voter;
        facts.leads = role.leads.then_some(role.term);
        if round % LEASE_EVERY == 0 {
            facts.lease = station.network.lease_age(station.node);
        }
        gossip.publish(&facts);
        station.setting.clock.sleep(PUBLISH).await;
    }
}
