//! Upstream: whom this node follows. The log flows in waves, voters → regionals and shields →
//! edges, so that the leader feeds a handful of nodes and each of these its region. Waves only go
//! down: no choice of parents makes a circle.

use model::{NodeName, Tier};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ports::{Peer, Role};

/// How far from the log's source a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wave {
    Leader,
    Voter,
    Middle,
    Edge,
}

fn wave(peer: &Peer) -> Wave {
    if peer.votes && peer.leads.is_some() {
        Wave::Leader
    } else if peer.votes {
        Wave::Voter
    } else if peer.tiers.contains(Tier::Regional) || peer.tiers.contains(Tier::Shield) {
        Wave::Middle
    } else {
        Wave::Edge
    }
}

/// Parents worth trying, best first: none for the leader.
pub(crate) fn parents(me: &NodeName, role: Role, peers: &[Peer]) -> Vec<NodeName> {
    let Some(own) = peers.iter().find(|peer| peer.name == *me) else { return Vec::new() };
    if role.leads {
        return Vec::new();
    }
    let own_wave = if role.votes { Wave::Voter } else { wave(own) };
    let leading = peers.iter().filter_map(|peer| peer.leads).max();
    let suits = |peer: &&Peer| {
        let wave = match wave(peer) {
            // A leader of an earlier term has not heard yet.
            Wave::Leader if peer.leads < leading => Wave::Voter,
            wave => wave,
        };
        peer.alive && peer.name != *me && wave < own_wave
    };
    let order = |peer: &&Peer| {
        let middle = own_wave == Wave::Edge && wave(peer) == Wave::Middle;
        let near = peer.region == own.region;
        let seed = xxh3_64_with_seed(me.as_str().as_bytes(), 0);
        let lot = xxh3_64_with_seed(peer.name.as_str().as_bytes(), seed);
        (!(middle && near), !near, lot)
    };
    let mut found: Vec<&Peer> = peers.iter().filter(suits).collect();
    found.sort_by_key(order);
    found.into_iter().map(|peer| peer.name.clone()).collect()
}

/// Whether this node stands above the edges: it votes, or feeds others.
pub(crate) fn is_middle(me: &NodeName, role: Role, peers: &[Peer]) -> bool {
    let own = peers.iter().find(|peer| peer.name == *me);
    role.votes || own.is_some_and(|own| wave(own) < Wave::Edge)
}

/// The others above the edges, if this node is one of them.
pub(crate) fn middle(me: &NodeName, role: Role, peers: &[Peer]) -> Vec<NodeName> {
    if !is_middle(me, role, peers) {
        return Vec::new();
    }
    let others = peers.iter().filter(|peer| peer.alive && peer.name != *me);
    others.filter(|peer| wave(peer) < Wave::Edge).map(|peer| peer.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use model::Instance;

    use super::*;

    fn peer(name: &str, region: &str, tiers: &str, raft: &str) -> Peer {
        Peer {
            name: name.parse().unwrap(),
            instance: Instance(0),
            region: region.parse().unwrap(),
            tiers: tiers.parse().unwrap(),
            alive: true,
            votes: raft != "-",
            leads: raft.strip_prefix("leads").map(|term| term.parse().unwrap()),
        }
    }

    fn mesh() -> Vec<Peer> {
        vec![
            peer("lead", "eu", "regional", "leads3"),
            peer("vote", "us", "regional", "votes"),
            peer("mid-eu", "eu", "regional", "-"),
            peer("mid-us", "us", "shield", "-"),
            peer("edge-eu", "eu", "edge", "-"),
            peer("edge-us", "us", "edge", "-"),
        ]
    }

    fn parents_of(me: &str, peers: &[Peer]) -> Vec<String> {
        let me = me.parse().unwrap();
        let own = peers.iter().find(|peer| peer.name == me).unwrap();
        let leads = own.leads == Some(3);
        let role = Role { votes: own.votes, leads, ..Role::default() };
        parents(&me, role, peers).iter().map(NodeName::to_string).collect()
    }

    #[test]
    fn the_log_flows_in_waves() {
        let mesh = mesh();
        assert_eq!(parents_of("lead", &mesh), [""; 0]);
        assert_eq!(parents_of("vote", &mesh), ["lead"]);
        assert_eq!(parents_of("mid-eu", &mesh), ["lead", "vote"]);
        assert_eq!(parents_of("mid-us", &mesh), ["vote", "lead"]);
        assert_eq!(parents_of("edge-eu", &mesh)[..2], ["mid-eu", "lead"]);
        assert_eq!(parents_of("edge-us", &mesh)[..2], ["mid-us", "vote"]);
    }

    #[test]
    fn the_middle_tells_the_middle_and_edges_tell_nobody_across() {
        let mut mesh = mesh();
        mesh[3].alive = false;
        let across = |me: &str| {
            let middle = middle(&me.parse().unwrap(), Role::default(), &mesh);
            middle.iter().map(NodeName::to_string).collect::<Vec<_>>()
        };
        assert_eq!(across("mid-eu"), ["lead", "vote"]);
        assert_eq!(across("edge-eu"), [""; 0]);
    }

    #[test]
    fn the_dead_feed_nobody_and_their_children_go_on() {
        let mut mesh = mesh();
        mesh[2].alive = false;
        assert_eq!(parents_of("edge-eu", &mesh)[0], "lead");
    }

    #[test]
    fn a_leader_of_an_earlier_term_is_an_ordinary_voter() {
        let mut mesh = mesh();
        mesh[1].leads = Some(2);
        assert_eq!(parents_of("vote", &mesh), ["lead"]);
        assert_eq!(parents_of("lead", &mesh), [""; 0]);
    }

    #[test]
    fn nobody_follows_a_node_of_its_own_wave_or_below() {
        let mesh = mesh();
        for peer in &mesh {
            for parent in parents_of(peer.name.as_str(), &mesh) {
                let parent = mesh.iter().find(|p| p.name.as_str() == parent).unwrap();
                assert!(wave(parent) < wave(peer), "{} follows {}", peer.name, parent.name);
            }
        }
    }
}
