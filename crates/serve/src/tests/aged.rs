//! Caches on the origin's side: what they had before a purge does not count as fetched after it.
//!
//! Rule R13. They are asked to step aside; one that never does is served from and not kept.

use std::time::Duration;

use model::{LogPosition, Tier};
use wire::exchange::Answer;

use super::origin::{Gate, Reply};
use super::ports::Granted;
use super::viewer::{Ask, Viewer};
use super::world::{Lab, attributes};

const STUBBORN: &str = "cache-control:max-age=7200|age:3600";

#[test]
fn an_age_moves_the_position_of_a_copy_back() {
    let lab = Lab::alone();
    lab.wait(100);
    let before = lab.purge("/x");
    lab.wait(100);
    let after = lab.purge("/y");
    for (target, age, expect) in [
        ("/none", "", after),
        ("/0", "|age:0", before),
        // The cache's clock may be slow and this node's fast: 81 s may be 99 s here, and
        // 82 s 100 s.
        ("/79", "|age:79", before),
        ("/80", "|age:80", before),
        ("/81", "|age:81", LogPosition::new(0, 2)),
        ("/9999", "|age:9999", LogPosition::ZERO),
    ] {
        lab.origin.on(target, Reply::new(&format!("cache-control:max-age=99999{age}"), "a"));
        lab.get("n1", target).body();
        assert_eq!(lab.stored_as_of("n1", target), Some(expect), "{target}");
    }
}

#[test]
fn what_has_an_age_is_kept_where_no_purge_covers_it() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(STUBBORN, "hello"));
    lab.get("e1", "/a").body();
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
    assert!(!lab.origin.seen()[0].headers.contains_key("cache-control"));
}

#[test]
fn after_a_purge_a_cache_in_front_of_the_origin_is_asked_to_step_aside() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=600", "old"));
    lab.get("e1", "/a").body();
    lab.purge("/a");
    lab.origin.by("/a", |seen| match seen.headers.contains_key("cache-control") {
        true => Reply::new("cache-control:max-age=600", "new"),
        false => Reply::new("cache-control:max-age=600|age:10", "old"),
    });
    assert_eq!(lab.get("e1", "/a").body(), "new");
    assert_eq!(lab.origin.count(), 2);
    assert_eq!(lab.origin.seen()[1].headers["cache-control"], "no-cache");
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn an_answer_from_before_a_purge_is_asked_for_again_past_the_cache_that_had_it() {
    let lab = Lab::three_tiers();
    lab.wait(100);
    lab.purge("/*");
    lab.origin.by("/a", |seen| match seen.headers.contains_key("cache-control") {
        true => Reply::new("cache-control:max-age=600", "new"),
        false => Reply::new("cache-control:max-age=600|age:10", "old"),
    });
    assert_eq!(lab.get("e1", "/a").body(), "new");
    assert_eq!(lab.origin.count(), 2);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn an_origin_behind_a_cache_that_never_steps_aside_is_served_and_not_kept() {
    let lab = Lab::three_tiers();
    lab.wait(5_000);
    lab.purge("/*");
    lab.origin.on("/a", Reply::new(STUBBORN, "hello"));
    for round in 1..4 {
        assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
        assert!(!lab.is_stored_anywhere("/a"));
        assert!(lab.origin.count() <= round * 4, "{} fetches", lab.origin.count());
    }
    // An hour by a slow clock and a grain, by a fast clock here.
    lab.wait(4_402);
    lab.get("e1", "/a").body();
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn a_crowd_in_front_of_such_an_origin_shares_what_it_fetches() {
    let lab = Lab::alone();
    lab.wait(5_000);
    lab.purge("/*");
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(STUBBORN, "hello").held_at(&gate));
    let viewers: Vec<Viewer> = (0..100).map(|_| lab.send("n1", Ask::get("/a"))).collect();
    lab.run();
    gate.open();
    lab.run();
    for viewer in viewers {
        assert_eq!(viewer.answer(), (200, "hello".into()));
    }
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn age_zero_is_an_age_too() {
    let lab = Lab::three_tiers();
    lab.wait(100);
    lab.purge("/*");
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|age:0", "hello"));
    assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
    lab.wait(2);
    lab.get("e1", "/a").body();
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn without_a_lease_what_a_cache_of_the_origin_had_is_asked_for_again() {
    let lab = Lab::alone();
    lab.wait(1_000);
    lab.cut_off("n1");
    lab.wait(11);
    lab.log_purge("/*");
    lab.origin.by("/a", |seen| match seen.headers.contains_key("cache-control") {
        true => Reply::new("cache-control:max-age=600", "new"),
        false => Reply::new("cache-control:max-age=600|age:20", "old"),
    });
    assert_eq!(lab.get("n1", "/a").body(), "new");
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
    lab.origin.on("/b", Reply::new(STUBBORN, "hello"));
    assert_eq!(lab.get("n1", "/b").answer(), (200, "hello".into()), "it is all that can be had");
    assert_eq!(lab.get("n1", "/b").header("x-cache"), "Miss from shoal");
}

#[test]
fn without_a_lease_a_late_comer_does_not_take_what_was_old_when_it_came() {
    let lab = Lab::alone();
    lab.wait(5_000);
    lab.origin.on("/a", Reply::new(STUBBORN, "old"));
    lab.get("n1", "/a").body();
    lab.lease("n1", Granted::Never);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(STUBBORN, "old").held_at(&gate));
    let first = lab.get("n1", "/a");
    lab.wait(5);
    lab.log_purge("/a");
    lab.origin.on("/a", Reply::new("cache-control:max-age=600", "new"));
    let second = lab.send("n1", Ask::get("/a"));
    lab.run();
    gate.open();
    lab.run();
    assert_eq!(first.answer(), (200, "old".into()));
    assert_eq!(second.answer(), (200, "new".into()));
}

#[test]
fn a_peer_is_told_that_what_has_an_age_is_not_proven_by_the_fetch() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(STUBBORN, "hello"));
    lab.lease("s1", Granted::Never);
    let answer = lab.inquire("s1", Tier::Shield, attributes("/a"));
    let Answer::Response(head) = answer else { panic!("it asks the origin: {answer:?}") };
    assert_eq!(head.proof_age, Duration::from_secs(3_601) * 11 / 9);
}
