//! Bodies that break off: picked up from the next hop as long as it is the same body, never mixed.
//!
//! A viewer gets one version from end to end, or a body that is seen to be broken.

use model::{LogPosition, Tier};

use super::origin::{Gate, Reply};
use super::wires::{Fault, head};
use super::world::{Lab, attributes};

const FRESH: &str = "cache-control:max-age=60|etag:\"1\"";

fn lab() -> Lab {
    let lab = Lab::of(&["e1 eu edge", "r1 eu regional", "r2 eu regional", "s1 us shield"]);
    lab.origin.on("/a", Reply::new(FRESH, "one ").then("two ").then("three"));
    lab
}

#[test]
fn a_body_that_breaks_off_at_a_peer_is_picked_up_from_its_successor() {
    for after in 0..=3 {
        let lab = lab();
        let owners = [0, 1].map(|nth| lab.owner(Tier::Regional, "/a", nth));
        lab.wires.spoil(&owners[0], Fault::BreaksAfter(after));
        let viewer = lab.get("e1", "/a");
        assert_eq!(viewer.answer(), (200, "one two three".into()), "after {after}");
        // Nothing is missing once all announced bytes are here.
        let asked = if after < 3 { &owners[..] } else { &owners[..1] };
        assert_eq!(lab.wires.asked_by("e1"), asked, "after {after}");
        assert_eq!(lab.origin.count(), 1);
        let again = lab.get("e1", "/a");
        assert_eq!(again.body(), "one two three");
        assert_eq!(again.header("x-cache"), "Hit from shoal");
    }
}

#[test]
fn a_body_of_unknown_length_that_breaks_off_is_not_taken_for_whole() {
    let lab = lab();
    let reply = Reply::new(FRESH, "one ").then("two ").then("three").unannounced();
    lab.origin.on("/a", reply);
    lab.wires.spoil(&lab.owner(Tier::Regional, "/a", 0), Fault::BreaksAfter(2));
    assert_eq!(lab.get("e1", "/a").body(), "one two three");
}

#[test]
fn a_body_that_breaks_off_twice_is_picked_up_twice() {
    let lab = lab();
    lab.wires.spoil(&lab.owner(Tier::Regional, "/a", 0), Fault::BreaksAfter(1));
    lab.wires.spoil(&lab.owner(Tier::Regional, "/a", 1), Fault::BreaksAfter(2));
    assert_eq!(lab.get("e1", "/a").answer(), (200, "one two three".into()));
    assert_eq!(lab.origin.count(), 1, "the shield has it");
}

#[test]
fn another_body_is_never_mixed_in() {
    let new = LogPosition::new(0, 9);
    for (lines, content, difference) in [
        (FRESH, "ONE two three", "bytes"),
        ("cache-control:max-age=60|etag:\"2\"", "one two three", "entity tag"),
        ("cache-control:max-age=60", "one two three", "no entity tag"),
        ("cache-control:max-age=60|etag:\"1\"|content-encoding:br", "one two three", "encoding"),
        ("cache-control:max-age=60|etag:\"1\"|surrogate-key:p1", "one two three", "another tag"),
    ] {
        let lab = lab();
        let owners = [0, 1].map(|nth| lab.owner(Tier::Regional, "/a", nth));
        lab.wires.spoil(&owners[0], Fault::BreaksAfter(1));
        let lines = format!("{lines}|content-length:{}", content.len());
        lab.wires.spoil(&owners[1], Fault::Says(head(&lines, new, 13), content));
        let viewer = lab.get("e1", "/a");
        assert_eq!(viewer.so_far(), "one ", "{difference}");
        assert!(viewer.is_broken(), "{difference}");
        assert_eq!(lab.stored_as_of("e1", "/a"), None, "{difference}");
        assert_eq!(lab.get("e1", "/a").answer(), (200, "one two three".into()), "{difference}");
    }
}

#[test]
fn a_body_picked_up_after_a_purge_is_not_finished_with_new_content() {
    let lab = Lab::of(&["e1 eu edge", "r1 eu regional", "r2 eu regional", "s1 us shield"]);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "old ").then_wait(&gate).then_break().announced(7));
    let before = lab.get("e1", "/a");
    lab.purge("/a");
    lab.origin.on("/a", Reply::new(FRESH, "new ").then("new"));
    gate.open();
    lab.run();
    assert_eq!(before.so_far(), "old ");
    assert!(before.is_broken());
    assert_eq!(lab.get("e1", "/a").body(), "new new");
}

#[test]
fn a_body_in_two_parts_is_stored_with_the_older_position() {
    let lab = lab();
    let older = lab.world("e1").ledger.state().applied();
    lab.purge("/other");
    let owners = [0, 1].map(|nth| lab.owner(Tier::Regional, "/a", nth));
    lab.wires.spoil(&owners[0], Fault::BreaksAfter(1));
    let lines = format!("{FRESH}|content-length:13");
    lab.wires.spoil(&owners[1], Fault::Says(head(&lines, older, 13), "one two three"));
    assert_eq!(lab.get("e1", "/a").body(), "one two three");
    assert_eq!(lab.stored_as_of("e1", "/a"), Some(older));
}

#[test]
fn a_body_is_not_finished_by_a_node_that_has_applied_less_than_it_reflects() {
    // Rule R3: its head, with its position, is already on the way to the tiers below.
    const UNMARKED: &str = "cache-control:max-age=60";
    let lab = Lab::of(&["e1 eu edge", "r1 eu regional", "s1 us shield", "s2 us shield"]);
    let shields = [0, 1].map(|nth| lab.owner(Tier::Shield, "/a", nth));
    lab.origin.on("/a", Reply::new(UNMARKED, "one ").then("old"));
    lab.inquire(&shields[1], Tier::Shield, attributes("/a"));
    assert!(lab.stored_as_of(&shields[1], "/a").is_some());
    lab.log_purge("/a");
    lab.catch_up(&shields[0]);
    lab.origin.on("/a", Reply::new(UNMARKED, "one ").then("new"));
    lab.wires.spoil(&shields[0], Fault::BreaksAfter(1));
    lab.get("e1", "/a");
    lab.catch_up_all();
    assert_eq!(lab.get("e1", "/a").answer(), (200, "one new".into()));
}

#[test]
fn an_origin_that_breaks_off_once_is_asked_once_more() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| match seen.earlier {
        0 => Reply::new(FRESH, "one ").then_break().announced(7),
        _ => Reply::new(FRESH, "one ").then("two"),
    });
    assert_eq!(lab.get("e1", "/a").answer(), (200, "one two".into()));
    assert_eq!(lab.origin.askers(), ["s1", "s1"]);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn an_origin_that_always_breaks_off_is_given_up_and_nothing_is_kept() {
    for reply in [
        Reply::new(FRESH, "one ").then_break().announced(7),
        Reply::new(FRESH, "one ").announced(7),
        Reply::new(FRESH, "one ").then_break().unannounced(),
    ] {
        let lab = Lab::alone();
        lab.origin.on("/a", reply);
        let viewer = lab.get("n1", "/a");
        assert_eq!((viewer.status(), viewer.so_far()), (200, "one ".into()));
        assert!(viewer.is_broken(), "what is not whole does not end as if it were");
        assert!(!lab.is_stored_anywhere("/a"));
        assert!(lab.origin.count() <= 4);
        assert_eq!(lab.world("n1").fills.running(), 0);
    }
}

#[test]
fn an_origin_that_sends_more_than_it_announced_is_broken() {
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::new(FRESH, "one two").announced(3));
    assert!(lab.get("n1", "/a").is_broken());
    assert!(!lab.is_stored_anywhere("/a"));
}
