//! Facts: what this node says about itself in gossip, and what it makes of what others say.
//!
//! A node says which data directory it runs on beside its facts, and is heard only as the member
//! that the roster knows by both. Of several lives of one member the latest that lives is heard.
//! Whoever is not in the roster is not heard at all, whatever is gossiped about them. Nothing here
//! is true: it is what was last said.

use std::collections::{BTreeMap, BTreeSet};

use chitchat::{Chitchat, ChitchatId, NodeState};
use control::State;
use model::{Instance, Moment, NodeName};
use wire::gossip::Facts;

use crate::liveness::Sign;

/// The key beside the facts under which a node names its data directory.
const INSTANCE: &str = "instance";

/// What gossip says about one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it says about itself.
    pub facts: Facts,
    /// Whether it seems to live.
    pub sign: Sign,
    /// When it was started, or its gossip was, by its own wall clock in Unix milliseconds.
    pub generation: u64,
}

/// What gossip says about the members other than this node, as far as it has heard of them.
pub type Hearsay = BTreeMap<NodeName, Heard>;

/// What a node says, as pairs. None is longer than 256 bytes.
pub(crate) fn say(instance: Instance, facts: &Facts) -> Vec<(String, String)> {
    let pairs = facts.pairs().into_iter().chain([(INSTANCE, instance.to_string())]);
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// One who listens for as long as a chitchat lives, and remembers the last beat of every heart.
pub(crate) struct Listener {
    us: NodeName,
    heard: Hearsay,
    beats: BTreeMap<ChitchatId, u64>,
}

/// Whether what an earlier chitchat heard still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// This one has not had the time to hear for itself.
    Holds,
    /// It has.
    Faded,
}

impl Listener {
    /// A listener at the node `us` that continues from what was `heard` before.
    pub(crate) fn new(us: NodeName, heard: Hearsay) -> Listener {
        Listener { us, heard, beats: BTreeMap::new() }
    }

    /// What gossip says now about the members in `roster`.
    pub(crate) fn listen(
        &mut self,
        chitchat: &Chitchat,
        roster: &State,
        memory: Memory,
        now: Moment,
    ) -> Hearsay {
        let live: BTreeSet<&ChitchatId> = chitchat.live_nodes().collect();
        let mut beats = BTreeMap::new();
        let mut heard = match memory {
            Memory::Holds => self.heard.clone(),
            Memory::Faded => Hearsay::new(),
        };
        heard.retain(|name, _| roster.member(name).is_some());
        for (id, node) in chitchat.node_states() {
            let beat = u64::from(node.heartbeat());
            let rose = self.beats.get(id).is_some_and(|last| *last < beat);
            beats.insert(id.clone(), beat);
            let Some(name) = speaker(roster, id, node).filter(|name| *name != self.us) else {
                continue;
            };
            let beat = if rose { now } else { self.last_beat(&name) };
            let sign = Sign { live: live.contains(id), beat };
            // The lives of one name come in order: the last counts, unless only an earlier lives.
            if sign.live || heard.get(&name).is_none_or(|other| !other.sign.live) {
                let facts = Facts::read(node.key_values());
                heard.insert(name, Heard { facts, sign, generation: id.generation_id });
            }
        }
        self.beats = beats;
        self.heard.clone_from(&heard);
        heard
    }

    fn last_beat(&self, name: &NodeName) -> Moment {
        self.heard.get(name).map_or(Moment::START, |heard| heard.sign.beat)
    }
}

/// The member as whom `node` speaks, if it is one.
fn speaker(roster: &State, id: &ChitchatId, node: &NodeState) -> Option<NodeName> {
    let name: NodeName = id.node_id.parse().ok()?;
    let member = roster.member(&name)?;
    let instance = node.get(INSTANCE)?;
    (instance == member.instance.to_string()).then_some(name)
}
