//! Nodes that have lost touch with the log: no copy is served on the strength of what they knew.
//!
//! A lease of the lab lasts ten seconds, and a copy's proof eight to ten without one.

use std::time::Duration;

use model::{Moment, Purging, Tier, WhenFenced};
use wire::exchange::Answer;

use super::origin::{Gate, Reply};
use super::ports::Granted;
use super::viewer::{Ask, Viewer};
use super::world::{Lab, attributes};
use crate::OriginError;

const FRESH: &str = "cache-control:max-age=600|etag:\"1\"";

fn down() -> Reply {
    Reply::failure(OriginError::Unreachable("down".into()))
}

/// One node whose lease has run out, and which has a copy from before.
fn fenced(when_fenced: WhenFenced, lines: &str) -> Lab {
    let lab = Lab::alone();
    lab.purging(Purging { when_fenced, ..Purging::default() });
    lab.origin.on("/a", Reply::new(lines, "old"));
    lab.get("n1", "/a").body();
    lab.cut_off("n1");
    lab.wait(11);
    lab
}

#[test]
fn without_a_lease_a_copy_is_asked_about_once_per_lease_and_by_one_for_all() {
    let lab = fenced(WhenFenced::Revalidate, FRESH);
    let gate = Gate::default();
    let held = gate.clone();
    lab.origin.by("/a", move |seen| Reply::new(FRESH, "old").or_not_modified(seen).held_at(&held));
    let viewers: Vec<Viewer> = (0..100).map(|_| lab.send("n1", Ask::get("/a"))).collect();
    lab.run();
    gate.open();
    lab.run();
    for viewer in &viewers {
        assert_eq!(viewer.answer(), (200, "old".into()));
    }
    assert_eq!(lab.origin.count(), 2, "one fetch for a hundred");
    assert!(viewers[0].header("cache-status").contains("detail=unproven"));
    for _ in 0..7 {
        lab.wait(1);
        assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
    }
    lab.wait(4);
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "RefreshHit from shoal");
    assert_eq!(lab.origin.count(), 3);
}

#[test]
fn without_a_lease_what_was_purged_elsewhere_is_not_served() {
    for lines in
        [FRESH, "cache-control:max-age=600, stale-while-revalidate=600, stale-if-error=600"]
    {
        let lab = fenced(WhenFenced::Revalidate, lines);
        lab.log_purge("/a");
        lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"2\"", "new"));
        assert_eq!(lab.get("n1", "/a").answer(), (200, "new".into()), "{lines}");
    }
}

#[test]
fn without_a_lease_a_softened_copy_is_renewed_by_the_304_of_a_peer() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| Reply::new(FRESH, "old").or_not_modified(seen));
    lab.get("e1", "/a").body();
    lab.soften("/a");
    lab.cut_off("r1");
    lab.wait(11);
    assert_eq!(lab.get("e1", "/a").answer(), (200, "old".into()));
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn without_a_lease_nothing_weaker_than_a_strong_etag_confirms_a_copy() {
    let lab = fenced(WhenFenced::Revalidate, "cache-control:max-age=600|etag:W/\"1\"");
    lab.origin.by("/a", |seen| {
        Reply::new("cache-control:max-age=600|etag:W/\"1\"", "new").or_not_modified(seen)
    });
    assert_eq!(lab.get("n1", "/a").body(), "new");
}

#[test]
fn nothing_weaker_than_a_strong_etag_proves_a_copy_anew() {
    let weak = ["etag:W/\"1\"", "last-modified:Sun, 06 Nov 1994 08:00:00 GMT"];
    for validator in weak {
        let lab = Lab::alone();
        let lines = format!("cache-control:max-age=5|{validator}");
        lab.origin.on("/a", Reply::new(&lines, "old"));
        lab.get("n1", "/a").body();
        lab.cut_off("n1");
        lab.log_purge("/a");
        lab.origin.by("/a", move |seen| {
            let asks = ["if-none-match", "if-modified-since"];
            match asks.iter().any(|field| seen.headers.contains_key(*field)) {
                true => Reply::status(304, validator, ""),
                false => Reply::new(&lines, "new"),
            }
        });
        lab.wait(7);
        assert_eq!(lab.get("n1", "/a").body(), "old", "{validator}: within a lease that may be");
        lab.wait(4);
        assert_eq!(lab.get("n1", "/a").body(), "new", "{validator}: after it may not");
    }
}

#[test]
fn without_a_lease_and_without_the_origin_there_is_no_answer() {
    let windows = "cache-control:max-age=10, stale-while-revalidate=600, stale-if-error=600";
    for lines in [FRESH, windows] {
        let lab = fenced(WhenFenced::Revalidate, lines);
        lab.origin.on("/a", down());
        assert_eq!(lab.get("n1", "/a").status(), 502, "{lines}");
        assert_eq!(lab.ask("n1", Ask::get("/a").with("cache-control:max-stale")).status(), 502);
    }
}

#[test]
fn a_distribution_may_prefer_stale_answers_to_none() {
    let lab = fenced(WhenFenced::StaleOk, FRESH);
    lab.origin.on("/a", down());
    let viewer = lab.get("n1", "/a");
    assert_eq!(viewer.answer(), (200, "old".into()));
    assert!(viewer.header("cache-status").ends_with("detail=fenced"));
}

#[test]
fn a_distribution_may_prefer_no_answers_to_slow_ones() {
    let lab = fenced(WhenFenced::Refuse, FRESH);
    for ask in [Ask::get("/a"), Ask::head("/a"), Ask::get("/never-seen")] {
        let viewer = lab.ask("n1", ask);
        assert_eq!((viewer.status(), viewer.header("retry-after")), (503, "1".into()));
        assert!(viewer.header("cache-status").ends_with("detail=fenced"));
    }
    assert_eq!(lab.origin.count(), 1);
    lab.lease("n1", Granted::Always);
    assert_eq!(lab.get("n1", "/a").answer(), (200, "old".into()));
}

#[test]
fn what_took_longer_than_a_lease_to_come_is_held_against_what_the_voters_know() {
    for (voters_answer, told) in [(true, "new"), (false, "old")] {
        let lab = Lab::alone();
        let [origin, voters] = [(); 2].map(|()| Gate::default());
        lab.voters("n1", voters_answer, &voters);
        lab.origin.on("/a", Reply::new("cache-control:no-store", "old").held_at(&origin));
        let viewer = lab.send("n1", Ask::get("/a"));
        lab.run();
        lab.cut_off("n1");
        lab.wait(11);
        lab.log_purge("/a");
        lab.origin.on("/a", Reply::new("cache-control:no-store", "new"));
        origin.open();
        lab.run();
        assert!(viewer.waits(), "for the voters");
        if voters_answer {
            lab.catch_up_all();
        }
        voters.open();
        lab.run();
        assert_eq!(viewer.answer(), (200, told.into()));
    }
}

#[test]
fn a_new_lease_makes_the_copies_good_again_that_no_purge_covers() {
    let lab = fenced(WhenFenced::Revalidate, FRESH);
    lab.lease("n1", Granted::Always);
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn a_pause_between_two_requests_uses_the_lease_up() {
    let lab = Lab::alone();
    lab.origin.by("/a", |seen| Reply::new(FRESH, "hello").or_not_modified(seen));
    lab.get("n1", "/a").body();
    lab.cut_off("n1");
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
    lab.wait(3_600 / 10);
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "RefreshHit from shoal");
}

#[test]
fn a_process_that_never_had_a_lease_serves_what_it_fetched_for_a_lease_s_length() {
    let lab = Lab::alone();
    lab.lease("n1", Granted::Never);
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Miss from shoal");
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
    lab.wait(11);
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Miss from shoal");
}

#[test]
fn an_edge_without_a_lease_trusts_the_tier_above_that_has_one() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    lab.get("e1", "/a").body();
    lab.cut_off("e1");
    lab.wait(11);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "RefreshHit from shoal");
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn a_mesh_that_has_lost_its_leases_asks_the_origin_once_per_lease() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| Reply::new(FRESH, "hello").or_not_modified(seen));
    lab.get("e1", "/a").body();
    ["e1", "r1", "s1"].iter().for_each(|name| lab.cut_off(name));
    for round in 2..6 {
        lab.wait(11);
        for _ in 0..3 {
            assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
        }
        assert_eq!(lab.origin.count(), round);
    }
}

#[test]
fn a_proof_does_not_grow_younger_on_its_way_down() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| Reply::new(FRESH, "hello").or_not_modified(seen));
    lab.get("e1", "/a").body();
    ["e1", "r1", "s1"].iter().for_each(|name| lab.cut_off(name));
    lab.wait(11);
    lab.get("r1", "/a");
    lab.inquire("r1", Tier::Regional, attributes("/a"));
    lab.wait(7);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "RefreshHit from shoal");
    lab.wait(7);
    lab.origin.on("/a", down());
    assert_eq!(lab.get("e1", "/a").status(), 502, "the regional's proof is fourteen seconds old");
}

#[test]
fn a_peer_is_told_how_long_ago_an_answer_was_proven() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    lab.get("e1", "/a").body();
    let proven = |seconds: u64, granted: Granted| {
        lab.lease("r1", granted);
        let answer = lab.inquire("r1", Tier::Regional, attributes("/a"));
        let Answer::Response(head) = answer else { panic!("it has a copy: {answer:?}") };
        assert_eq!(head.proof_age, Duration::from_secs(seconds));
    };
    let at = |seconds| Granted::Until(Moment::at(Duration::from_secs(seconds)));
    lab.wait(20);
    proven(0, Granted::Always);
    proven(4, at(26));
    proven(10, at(20));
    lab.origin.by("/a", |seen| Reply::new(FRESH, "hello").or_not_modified(seen));
    lab.lease("s1", Granted::Never);
    proven(0, at(19));
    lab.wait(3);
    proven(3, at(19));
    proven(1, at(32));
}

#[test]
fn a_fetch_that_began_more_than_a_lease_ago_is_not_joined_without_one() {
    let lab = fenced(WhenFenced::Revalidate, FRESH);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "slow").held_at(&gate));
    let first = lab.get("n1", "/a");
    lab.wait(11);
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    assert_eq!(lab.get("n1", "/a").answer(), (200, "new".into()));
    gate.open();
    lab.run();
    assert_eq!(first.answer(), (200, "slow".into()), "the origin was asked after it came");
}
