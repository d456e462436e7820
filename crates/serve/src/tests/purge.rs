//! Purges and what races them: whoever asks after a purge was applied never gets what it covers.
//!
//! A purge may fall anywhere in a fetch and reach the nodes in any order: both are tried out.

use model::{LogPosition, Purging};

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::wires::{Fault, head};
use super::world::Lab;

const FRESH: &str = "cache-control:max-age=600";

#[test]
fn a_purge_reaches_every_tier_s_copy_and_spares_the_others() {
    let lab = Lab::three_tiers();
    for target in ["/a", "/b"] {
        lab.origin.on(target, Reply::new(FRESH, "old"));
        lab.get("e1", target).body();
        lab.origin.on(target, Reply::new(FRESH, "new"));
    }
    lab.purge("/a");
    assert_eq!(lab.get("e1", "/a").body(), "new");
    assert_eq!(lab.get("e1", "/b").body(), "old");
    assert_eq!(lab.origin.count(), 3);
}

#[test]
fn a_purge_while_the_head_is_awaited_covers_what_then_comes() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "old").held_at(&gate));
    let before = lab.get("e1", "/a");
    assert!(before.waits());
    lab.purge("/a");
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    let after = lab.get("e1", "/a");
    assert_eq!(after.answer(), (200, "new".into()), "it does not wait for the old fetch");
    gate.open();
    lab.run();
    assert_eq!(before.answer(), (200, "new".into()), "it starts over");
    assert_eq!(lab.get("e1", "/a").body(), "new");
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn a_purge_in_the_middle_of_a_body_splits_those_before_from_those_after() {
    let lab = Lab::three_tiers();
    lab.purging(Purging { stop_in_flight: false, ..Purging::default() });
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "old ").then_wait(&gate).then("old"));
    let before: Vec<Viewer> = (0..3).map(|_| lab.get("e1", "/a")).collect();
    lab.purge("/a");
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    let after = lab.get("e1", "/a");
    assert_eq!(after.answer(), (200, "new".into()));
    gate.open();
    lab.run();
    for viewer in before {
        assert_eq!(viewer.answer(), (200, "old old".into()), "one version from end to end");
    }
    let later = lab.get("e1", "/a");
    assert_eq!((later.body(), later.header("x-cache")), ("new".into(), "Hit from shoal".into()));
}

#[test]
fn what_was_purged_while_it_came_is_not_found_in_any_cache() {
    let lab = Lab::three_tiers();
    lab.purging(Purging { stop_in_flight: false, ..Purging::default() });
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "old ").then_wait(&gate).then("old"));
    let before = lab.get("e1", "/a");
    lab.purge("/a");
    gate.open();
    lab.run();
    assert_eq!(before.body(), "old old");
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    assert_eq!(lab.get("e1", "/a").body(), "new");
}

#[test]
fn wherever_a_purge_falls_nobody_after_it_sees_what_it_covers() {
    let whole = steps_of_a_fetch();
    assert!(whole > 5, "a fetch takes some steps: {whole}");
    for step in 0..=whole {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", Reply::new(FRESH, "old ").then("old ").then("old"));
        let before: Vec<Viewer> = (0..3).map(|_| lab.send("e1", Ask::get("/a"))).collect();
        lab.run_steps(step);
        lab.purge("/*");
        lab.origin.on("/a", Reply::new(FRESH, "new ").then("new"));
        let after = lab.get("e1", "/a");
        assert_eq!(after.answer(), (200, "new new".into()), "step {step}");
        for viewer in before {
            let body = viewer.body();
            assert!(body == "old old old" || body == "new new", "step {step}: {body}");
        }
        assert_eq!(lab.get("e1", "/a").body(), "new new", "step {step}");
    }
}

#[test]
fn wherever_a_purge_falls_it_may_reach_the_nodes_in_any_order() {
    let orders = [["e1", "r1", "s1"], ["s1", "r1", "e1"], ["r1", "e1", "s1"]];
    for (order, step) in orders.iter().flat_map(|order| (0..40).map(move |step| (order, step))) {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", Reply::new(FRESH, "old ").then("old"));
        let before = lab.send("e1", Ask::get("/a"));
        lab.run_steps(step / 4);
        lab.log_purge("/a");
        lab.origin.on("/a", Reply::new(FRESH, "new"));
        for name in order {
            lab.catch_up(name);
            if *name == "e1" {
                assert_eq!(lab.get("e1", "/a").body(), "new", "{order:?} {step}");
            }
            lab.run_steps(step % 4);
        }
        assert_eq!(lab.get("e1", "/a").body(), "new", "{order:?} {step}");
        assert!(["new", "old old"].contains(&before.body().as_str()), "{order:?} {step}");
    }
}

fn steps_of_a_fetch() -> usize {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "old ").then("old ").then("old"));
    (0..3).for_each(|_| drop(lab.send("e1", Ask::get("/a"))));
    lab.run_steps(1_000)
}

#[test]
fn an_edge_that_knows_of_a_purge_asks_no_tier_that_does_not() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "old"));
    lab.get("e1", "/a").body();
    lab.log_purge("/a");
    lab.catch_up("e1");
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    assert_eq!(lab.get("e1", "/a").body(), "new");
    assert_eq!(lab.origin.askers(), ["s1", "e1"], "both tiers above were behind");
    lab.catch_up_all();
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn a_copy_fetched_before_a_purge_is_not_served_once_the_edge_learns_of_it() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "old").held_at(&gate));
    let before = lab.get("e1", "/a");
    lab.log_purge("/a");
    lab.catch_up("s1");
    gate.open();
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    lab.run();
    let body = before.body();
    assert!(body == "old" || body == "new", "the edge had not heard of it: {body}");
    lab.catch_up_all();
    assert_eq!(lab.get("e1", "/a").body(), "new");
}

#[test]
fn an_old_answer_from_a_peer_is_rejected_on_arrival_and_asked_again() {
    let lab = Lab::three_tiers();
    let old = lab.world("e1").ledger.state().applied();
    lab.purge("/a");
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    lab.wires.spoil("r1", Fault::Says(head(FRESH, old, 3), "old"));
    let viewer = lab.get("e1", "/a");
    assert_eq!(viewer.answer(), (200, "new".into()));
    assert_eq!(lab.wires.asked_by("e1").len(), 2);
    assert_eq!(lab.get("e1", "/a").body(), "new");
}

#[test]
fn a_mesh_that_only_has_old_answers_is_told_to_come_back_later() {
    let lab = Lab::three_tiers();
    let old = lab.world("e1").ledger.state().applied();
    lab.purge("/a");
    for _ in 0..100 {
        lab.wires.spoil("r1", Fault::Says(head(FRESH, old, 3), "old"));
    }
    let viewer = lab.get("e1", "/a");
    assert_eq!(viewer.status(), 503);
    assert!(lab.wires.asked().len() <= 2 * model::limits::RESTARTS_MAX, "it gives up");
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn the_position_of_a_copy_is_that_of_the_shield_before_it_asked_in_every_tier() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "hello").held_at(&gate));
    lab.log_purge("/other");
    lab.catch_up("s1");
    let viewer = lab.get("e1", "/a");
    let asked_at = lab.world("s1").ledger.state().applied();
    lab.purge("/another");
    gate.open();
    lab.run();
    assert_eq!(viewer.body(), "hello");
    assert_eq!(asked_at, LogPosition::new(0, 3));
    for name in ["e1", "r1", "s1"] {
        assert_eq!(lab.stored_as_of(name, "/a"), Some(asked_at), "{name}");
    }
}

#[test]
fn a_copy_that_is_confirmed_keeps_the_position_of_its_content() {
    let lab = Lab::three_tiers();
    let reply = || Reply::new("cache-control:max-age=10|etag:\"1\"", "hello");
    lab.origin.by("/a", move |seen| reply().or_not_modified(seen));
    lab.get("e1", "/a").body();
    let first = lab.stored_as_of("e1", "/a");
    lab.purge("/other");
    lab.wait(20);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "RefreshHit from shoal");
    for name in ["e1", "r1", "s1"] {
        assert_eq!(lab.stored_as_of(name, "/a"), first, "{name}");
    }
}

#[test]
fn what_a_purge_covers_is_fetched_without_conditions() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| {
        Reply::new("cache-control:max-age=60|etag:\"1\"", "hello").or_not_modified(seen)
    });
    lab.get("e1", "/a").body();
    lab.purge("/a");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
    let seen = lab.origin.seen();
    assert_eq!(seen.len(), 2);
    assert!(!seen[1].headers.contains_key("if-none-match"));
}

#[test]
fn a_copy_purged_while_the_origin_confirms_it_is_not_revived() {
    let lab = Lab::three_tiers();
    let reply = || Reply::new("cache-control:max-age=10|etag:\"1\"", "old");
    lab.origin.on("/a", reply());
    lab.get("e1", "/a").body();
    lab.wait(20);
    let gate = Gate::default();
    let held = gate.clone();
    lab.origin.by("/a", move |seen| reply().or_not_modified(seen).held_at(&held));
    let before = lab.get("e1", "/a");
    lab.purge("/a");
    lab.origin.by("/a", |seen| {
        Reply::new("cache-control:max-age=10|etag:\"2\"", "new").or_not_modified(seen)
    });
    gate.open();
    lab.run();
    assert_eq!(before.answer(), (200, "new".into()));
    assert_eq!(lab.get("e1", "/a").body(), "new");
}

#[test]
fn wherever_a_purge_by_tag_falls_nobody_gets_the_end_of_what_it_covers() {
    let tagged = "cache-control:max-age=600|surrogate-key:p1";
    for step in 0..=steps_of_a_fetch() {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", Reply::new(tagged, "old ").then("old ").then("old"));
        let before: Vec<Viewer> = (0..3).map(|_| lab.send("e1", Ask::get("/a"))).collect();
        lab.run_steps(step);
        let ended: Vec<bool> = before.iter().map(|viewer| viewer.end().is_some()).collect();
        lab.purge_tag("p1");
        lab.origin.on("/a", Reply::new(tagged, "new ").then("new"));
        let after = lab.get("e1", "/a");
        assert_eq!(after.answer(), (200, "new new".into()), "step {step}");
        for (viewer, had_ended) in before.iter().zip(ended) {
            let is_whole = viewer.end() == Some(Ok(()));
            let body = viewer.so_far();
            assert!(
                body == "new new" && is_whole || had_ended || viewer.is_broken(),
                "{step}: {body}"
            );
        }
        assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal", "step {step}");
    }
}

#[test]
fn a_refresh_in_the_background_that_a_purge_overtakes_is_not_kept() {
    let lab = Lab::three_tiers();
    let windowed = "cache-control:max-age=10, stale-while-revalidate=60";
    lab.origin.on("/a", Reply::new(windowed, "one"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(windowed, "two").held_at(&gate));
    assert_eq!(lab.get("e1", "/a").body(), "one");
    lab.purge("/a");
    lab.origin.on("/a", Reply::new(windowed, "three"));
    gate.open();
    lab.run();
    assert_eq!(lab.get("e1", "/a").body(), "three");
}
