//! Peers that fail before the first byte: the next hop, and at the end the origin.
//!
//! The order of asking is the order of the ring; a viewer never sees that a node is gone.

use model::{LogPosition, Tier};
use wire::exchange::{Answer, Failure};

use super::origin::Reply;
use super::viewer::Ask;
use super::wires::Fault;
use super::world::Lab;

const FRESH: &str = "cache-control:max-age=60";
const NODES: [&str; 6] = [
    "e1 eu edge",
    "r1 eu regional",
    "r2 eu regional",
    "r3 eu regional",
    "s1 us shield",
    "s2 us shield",
];

fn lab() -> Lab {
    let lab = Lab::of(&NODES);
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    lab
}

#[test]
fn a_peer_that_cannot_answer_is_passed_over_and_doubted_only_when_it_cannot_be_reached() {
    for (fault, is_doubted) in [
        (Fault::Unreachable, true),
        (Fault::Broken, false),
        (Fault::Says(Answer::Behind(LogPosition::ZERO), ""), false),
        (Fault::Says(Answer::Failed(Failure::Misdirected), ""), false),
    ] {
        let lab = lab();
        let first = lab.owner(Tier::Regional, "/a", 0);
        let second = lab.owner(Tier::Regional, "/a", 1);
        lab.wires.spoil(&first, fault.clone());
        assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()), "{fault:?}");
        assert_eq!(lab.wires.asked_by("e1"), [first.clone(), second], "{fault:?}");
        let doubted = if is_doubted { vec![first] } else { vec![] };
        assert_eq!(lab.doubted("e1"), doubted, "{fault:?}");
        assert_eq!(lab.origin.count(), 1);
    }
}

#[test]
fn a_doubted_peer_is_not_asked_again_until_it_is_heard_of() {
    let lab = lab();
    lab.origin.on("/b", Reply::new(FRESH, "there"));
    let owner = lab.owner(Tier::Regional, "/a", 0);
    lab.wires.spoil(&owner, Fault::Unreachable);
    lab.get("e1", "/a").body();
    lab.purge("/a");
    lab.get("e1", "/a").body();
    let asked = lab.wires.asked_by("e1");
    assert_eq!(asked.iter().filter(|name| **name == owner).count(), 1);
}

#[test]
fn what_a_tier_above_says_of_the_origin_is_not_asked_twice() {
    for (failure, status) in [(Failure::Unreachable, 502), (Failure::TimedOut, 504)] {
        let lab = lab();
        let owner = lab.owner(Tier::Regional, "/a", 0);
        lab.wires.spoil(&owner, Fault::Says(Answer::Failed(failure), ""));
        assert_eq!(lab.get("e1", "/a").status(), status);
        assert_eq!(lab.wires.asked_by("e1"), [owner]);
        assert_eq!(lab.origin.count(), 0);
    }
}

#[test]
fn two_lost_regionals_mean_the_shield_and_two_lost_shields_the_origin() {
    let lab = lab();
    let regionals = [0, 1].map(|nth| lab.owner(Tier::Regional, "/a", nth));
    let shields = [0, 1].map(|nth| lab.owner(Tier::Shield, "/a", nth));
    regionals.iter().for_each(|name| lab.wires.spoil(name, Fault::Unreachable));
    lab.wires.spoil(&shields[0], Fault::Broken);
    lab.wires.spoil(&shields[1], Fault::Broken);
    let viewer = lab.get("e1", "/a");
    assert_eq!(viewer.answer(), (200, "hello".into()));
    assert_eq!(viewer.header("cache-status"), "\"e1\"; fwd=uri-miss; stored; detail=edge");
    assert_eq!(lab.wires.asked_by("e1"), [regionals, shields].concat());
    let tiers: Vec<Tier> = lab.wires.asked().iter().map(|asked| asked.tier).collect();
    assert_eq!(tiers, [Tier::Regional, Tier::Regional, Tier::Shield, Tier::Shield]);
    assert_eq!(lab.origin.askers(), ["e1"]);
}

#[test]
fn where_gossip_buried_every_peer_the_edge_goes_straight_to_the_origin() {
    let lab = lab();
    ["r1", "r2", "r3", "s1", "s2"].iter().for_each(|name| lab.bury(name));
    assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
    assert_eq!(lab.wires.asked(), []);
    assert_eq!(lab.origin.askers(), ["e1"]);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn a_tier_that_nobody_serves_is_passed_over() {
    for (nodes, asker) in [
        (&["e1 eu edge", "s1 us shield"][..], "s1"),
        (&["e1 eu edge", "r1 eu regional"], "r1"),
        (&["e1 eu edge"], "e1"),
    ] {
        let lab = Lab::of(nodes);
        lab.origin.on("/a", Reply::new(FRESH, "hello"));
        assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
        assert_eq!(lab.origin.askers(), [asker]);
    }
}

#[test]
fn a_crowd_behind_a_lost_peer_is_still_one_origin_request() {
    let lab = lab();
    lab.wires.spoil(&lab.owner(Tier::Regional, "/a", 0), Fault::Unreachable);
    let viewers: Vec<_> = (0..20).map(|_| lab.send("e1", Ask::get("/a"))).collect();
    lab.run();
    for viewer in viewers {
        assert_eq!(viewer.answer(), (200, "hello".into()));
    }
    assert_eq!(lab.origin.count(), 1);
}
