//! Liveness: the rule by which a member counts as alive.
//!
//! A member is alive while gossip says so and nobody here doubts it. A doubt begins when one of our
//! connections to it fails, and ends when one succeeds, or when gossip hears a heartbeat of it an
//! echo later: what comes sooner may be the last beat of a dead node, still passing from mouth to
//! mouth. Until gossip has heard of a member it is dead, so that a node that has just started
//! asks an origin rather than wait for nodes that may be gone. A node is never dead to itself.
//! This never looks at a clock, and is only asked about members.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Moment, NodeName};

/// What gossip says about the life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Whether its heartbeats come as regularly as they did.
    pub live: bool,
    /// When the last of them was heard here.
    pub beat: Moment,
}

/// Whom we doubt.
#[derive(Clone, Debug)]
pub struct Liveness {
    us: NodeName,
    /// How long the last heartbeat of a dead node may still be news to somebody.
    echo: Duration,
    doubts: BTreeMap<NodeName, Moment>,
}

impl Liveness {
    /// The node `us` doubts nobody, in a mesh where last words pass from mouth to mouth for `echo`.
    pub fn new(us: NodeName, echo: Duration) -> Liveness {
        Liveness { us, echo, doubts: BTreeMap::new() }
    }

    /// The mesh has grown or shrunk.
    pub fn set_echo(&mut self, echo: Duration) {
        self.echo = echo;
    }

    /// Whether the member `name` is alive, given what gossip says about it, if anything.
    pub fn is_alive(&self, name: &NodeName, sign: Option<Sign>) -> bool {
        *name == self.us || sign.is_some_and(|sign| sign.live && !self.doubts(name, sign.beat))
    }

    /// A connection to `name` failed just now.
    pub fn doubt(&mut self, name: &NodeName, now: Moment) {
        self.doubts.insert(name.clone(), now);
    }

    /// A connection to `name` succeeded just now.
    pub fn trust(&mut self, name: &NodeName) {
        self.doubts.remove(name);
    }

    /// Forgets those who left.
    pub fn retain(&mut self, mut belongs: impl FnMut(&NodeName) -> bool) {
        self.doubts.retain(|name, _| belongs(name));
    }

    fn doubts(&self, name: &NodeName, beat: Moment) -> bool {
        self.doubts.get(name).is_some_and(|since| beat < since.plus(self.echo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Option<Sign> = None;
    const ECHO: Duration = Duration::from_secs(1);

    fn name(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    fn live(ms: u64) -> Option<Sign> {
        Some(Sign { live: true, beat: at(ms) })
    }

    fn dead(ms: u64) -> Option<Sign> {
        Some(Sign { live: false, beat: at(ms) })
    }

    #[test]
    fn a_doubt_ends_with_a_heartbeat_that_is_no_echo() {
        let mut liveness = Liveness::new(name("us"), ECHO);
        liveness.doubt(&name("doubted"), at(5_000));
        for (who, sign, expect) in [
            ("us", NOBODY, true),
            ("us", dead(0), true),
            ("other", NOBODY, false),
            ("other", dead(9_000), false),
            ("other", live(0), true),
            ("doubted", NOBODY, false),
            ("doubted", live(4_999), false),
            ("doubted", live(5_000), false),
            ("doubted", live(5_999), false),
            ("doubted", live(6_000), true),
            ("doubted", dead(6_000), false),
        ] {
            assert_eq!(liveness.is_alive(&name(who), sign), expect, "{who} {sign:?}");
        }
        liveness.set_echo(ECHO * 2);
        assert!(!liveness.is_alive(&name("doubted"), live(6_999)));
        assert!(liveness.is_alive(&name("doubted"), live(7_000)));
    }

    #[test]
    fn a_doubt_is_renewed_by_every_failure_and_ended_by_one_success() {
        let (mut liveness, peer) = (Liveness::new(name("us"), ECHO), name("peer"));
        liveness.doubt(&peer, at(1_000));
        assert!(liveness.is_alive(&peer, live(2_500)));
        liveness.doubt(&peer, at(2_600));
        assert!(!liveness.is_alive(&peer, live(2_700)));
        liveness.trust(&peer);
        assert!(liveness.is_alive(&peer, live(2_700)));
        assert!(!liveness.is_alive(&peer, dead(2_700)), "gossip has the last word on death");
    }

    #[test]
    fn nobody_doubts_themselves_or_remembers_who_left() {
        let mut liveness = Liveness::new(name("us"), ECHO);
        liveness.doubt(&name("us"), at(1));
        liveness.doubt(&name("left"), at(1));
        assert!(liveness.is_alive(&name("us"), NOBODY));
        liveness.retain(|name| name.as_str() != "left");
        assert!(liveness.is_alive(&name("left"), live(2)));
    }
}
