//! Letters: what goes from node to node without a conversation. They may be lost, and nobody hears
//! of that.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::meter::Traffic;
use super::{Ground, Listener, Network, Way};
use crate::executor::Owner;

impl Network {
    /// Carries a letter of the process `owner` of a node.
    pub(crate) fn cast(self: &Arc<Self>, from: usize, owner: Owner, to: SocketAddr, letter: Bytes) {
        let members = &self.setting.scenario.members;
        let place = members.iter().position(|member| member.address == to);
        let able = self.is_run_by(from, owner) && !self.setting.clock.is_stopped(owner);
        let Some(to) = place.filter(|_| able) else { return };
        let way = Way { from, to };
        self.trace(way, &letter);
        self.meter.count(way, Traffic::Gossip, letter.len());
        let Some(arrival) = self.arrival(way) else { return };
        let (network, sender) = (self.clone(), members[from].address);
        self.setting.clock.spawn(Owner::WORLD, async move {
            network.setting.clock.sleep_until(arrival).await;
            let listener = network.lock().listeners.get(&to).cloned();
            let Some(Listener { owner, ground: Some(ground), .. }) = listener else { return };
            let Ground { gossip, .. } = ground;
            network.setting.clock.going(owner).await;
            gossip.deliver(sender, letter);
        });
    }
}
