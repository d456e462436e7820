//! The meter: how many messages and bytes go from node to node, told apart by what they are for.
//!
//! What is counted are the real frames, as `wire`, openraft and chitchat encode them. It counts
//! only while somebody measures.

use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::log::{Ask, Down, Told, Up};

use super::{Call, Way};

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// Entries and snapshots on their way down the tree.
    Log,
    /// Purges that run ahead of the log.
    Heralds,
    /// Leases asked for and granted.
    Leases,
    /// What was applied, on its way up the tree.
    Acks,
    /// Parents that have nothing to say.
    Beats,
    /// Voters among themselves.
    Raft,
    /// Who is alive.
    Gossip,
    /// Commands to the leader, and receipts.
    Commands,
}

impl Traffic {
    /// Each of them.
    pub const ALL: [Traffic; 8] = [
        Traffic::Log,
        Traffic::Heralds,
        Traffic::Leases,
        Traffic::Acks,
        Traffic::Beats,
        Traffic::Raft,
        Traffic::Gossip,
        Traffic::Commands,
    ];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Traffic::Log => "log",
            Traffic::Heralds => "heralds",
            Traffic::Leases => "leases",
            Traffic::Acks => "acks",
            Traffic::Beats => "beats",
            Traffic::Raft => "Raft",
            Traffic::Gossip => "gossip",
            Traffic::Commands => "commands",
        }
    }
}

/// A direction of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Who called speaks.
    Caller,
    /// Who was called speaks.
    Called,
}

/// What a frame belongs to.
pub(super) type Speech = (Call, Side);

/// What a frame of a conversation is for; nothing that concerns a mesh at rest if it is content.
fn purpose((call, side): Speech, frame: &[u8]) -> Option<Traffic> {
    match (call, side) {
        (Call::Exchange, _) => None,
        (Call::Submit, _) => Some(Traffic::Commands),
        (Call::Raft(_), _) => Some(Traffic::Raft),
        (Call::Ask, Side::Caller) => match Ask::decode(frame) {
            Ok(Ask::Tentative(_)) => Some(Traffic::Heralds),
            Ok(_) | Err(_) => Some(Traffic::Commands),
        },
        (Call::Ask, Side::Called) => match Told::decode(frame) {
            Ok(Told::Heard) => Some(Traffic::Heralds),
            Ok(_) | Err(_) => Some(Traffic::Commands),
        },
        (Call::Follow, Side::Caller) => match Up::decode(frame) {
            Ok(Up::Acknowledge { .. }) => Some(Traffic::Acks),
            Ok(Up::Ask(_) | Up::Release(_)) => Some(Traffic::Leases),
            Ok(Up::Tentative(_)) => Some(Traffic::Heralds),
            // The subscription.
            Err(_) => Some(Traffic::Log),
        },
        (Call::Follow, Side::Called) => match Down::decode(frame) {
            Ok(Down::Grant(_)) => Some(Traffic::Leases),
            Ok(Down::Beat(_)) => Some(Traffic::Beats),
            Ok(Down::Tentative(_)) => Some(Traffic::Heralds),
            Ok(Down::Entries { .. } | Down::Snapshot { .. }) | Err(_) => Some(Traffic::Log),
        },
    }
}

/// Messages, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets they fit in, if each message begins one.
    pub packets: u64,
}

impl Volume {
    fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
        self.packets += bytes.div_ceil(PACKET_BYTES).max(1) as u64;
    }
}

/// Bytes of a message that fit in one packet.
const PACKET_BYTES: usize = 1_350;

/// What one node sent and received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Sent, in the order of [`Traffic::ALL`].
    pub sent: [Volume; Traffic::ALL.len()],
    /// Received, likewise.
    pub received: [Volume; Traffic::ALL.len()],
}

/// Counts for every node, while somebody measures.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Option<Vec<Flow>>>);

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Flow>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from now on, for so many nodes.
    pub(crate) fn start(&self, nodes: usize) {
        *self.lock() = Some(vec![Flow::default(); nodes]);
    }

    /// What was counted since the start; it counts no more.
    pub(crate) fn stop(&self) -> Vec<Flow> {
        self.lock().take().unwrap_or_default()
    }

    /// A frame of a conversation leaves.
    pub(super) fn weigh(&self, way: Way, speech: Speech, frame: &[u8]) {
        let runs = self.lock().is_some();
        if let Some(traffic) = runs.then(|| purpose(speech, frame)).flatten() {
            self.count(way, traffic, frame.len());
        }
    }

    /// A message of `bytes` leaves.
    pub(super) fn count(&self, way: Way, traffic: Traffic, bytes: usize) {
        if let Some(flows) = &mut *self.lock() {
            flows[way.from].sent[traffic as usize].count(bytes);
            flows[way.to].received[traffic as usize].count(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::LogPosition;

    use super::*;

    #[test]
    fn frames_are_told_apart_by_what_they_are_for() {
        let position = LogPosition::new(0, 1);
        let up = |up: Up| purpose((Call::Follow, Side::Caller), &up.encode());
        assert_eq!(up(Up::Ask(1)), Some(Traffic::Leases));
        let acks = Up::Acknowledge { through: position, news: Vec::new() };
        assert_eq!(up(acks), Some(Traffic::Acks));
        let down = |down: Down| purpose((Call::Follow, Side::Called), &down.encode());
        assert_eq!(down(Down::Beat(position)), Some(Traffic::Beats));
        let entries = Down::Entries { first: position, entries: Vec::new() };
        assert_eq!(down(entries), Some(Traffic::Log));
        let subscription = wire::log::Subscribe { applied: position, incarnation: 9 }.encode();
        assert_eq!(purpose((Call::Follow, Side::Caller), &subscription), Some(Traffic::Log));
        assert_eq!(purpose((Call::Exchange, Side::Caller), &[]), None);
    }

    #[test]
    fn a_meter_counts_both_ends_while_it_runs() {
        let (meter, way) = (Meter::default(), Way { from: 0, to: 1 });
        meter.count(way, Traffic::Gossip, 5);
        meter.start(2);
        meter.count(way, Traffic::Gossip, PACKET_BYTES + 1);
        meter.count(way, Traffic::Gossip, 0);
        let flows = meter.stop();
        let volume = Volume { messages: 2, bytes: PACKET_BYTES as u64 + 1, packets: 3 };
        assert_eq!(flows[0].sent[Traffic::Gossip as usize], volume);
        assert_eq!(flows[1].received[Traffic::Gossip as usize], volume);
        assert!(meter.stop().is_empty());
    }
}
