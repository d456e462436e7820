//! Stale copies: confirmed, replaced, served while they are refreshed or when the origin fails.
//!
//! Only a viewer's own edge may choose stale content; tiers above it tell the truth.

use model::Tier;
use wire::exchange::{Answer, Failure};

use super::origin::{Gate, Reply};
use super::viewer::Ask;
use super::world::{Lab, attributes};
use crate::OriginError;

#[test]
fn a_stale_copy_that_the_origin_confirms_is_served_again_and_not_sent_again() {
    let lab = Lab::three_tiers();
    let reply = || Reply::new("cache-control:max-age=10|etag:\"1\"", "hello");
    lab.origin.by("/a", move |seen| reply().or_not_modified(seen));
    lab.get("e1", "/a").body();
    lab.wait(20);
    let stale = lab.get("e1", "/a");
    assert_eq!(stale.answer(), (200, "hello".into()));
    assert_eq!(stale.header("x-cache"), "RefreshHit from shoal");
    assert_eq!(stale.header("age"), "0");
    assert_eq!(stale.header("content-length"), "5");
    assert_eq!(stale.header("cache-status").matches("fwd=stale").count(), 3);
    assert_eq!(lab.origin.sent_bytes(), 5, "the body came once");
    let again = lab.get("e1", "/a");
    assert_eq!((again.body(), again.header("x-cache")), ("hello".into(), "Hit from shoal".into()));
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn a_stale_copy_that_has_changed_is_replaced_in_every_tier() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=10|etag:\"1\"", "old"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    lab.origin.by("/a", |seen| {
        Reply::new("cache-control:max-age=10|etag:\"2\"", "new").or_not_modified(seen)
    });
    let changed = lab.get("e1", "/a");
    assert_eq!(changed.answer(), (200, "new".into()));
    assert_eq!(changed.header("x-cache"), "Miss from shoal");
    let seen = lab.origin.seen();
    assert_eq!(seen[1].headers.get("if-none-match").unwrap(), "\"1\"");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn a_304_that_speaks_of_another_copy_is_asked_again_without_conditions() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=10|etag:\"1\"", "old"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    lab.origin.by("/a", |seen| match seen.headers.contains_key("if-none-match") {
        true => Reply::status(304, "etag:\"2\"", ""),
        false => Reply::new("cache-control:max-age=10|etag:\"2\"", "new"),
    });
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
}

#[test]
fn a_304_that_nobody_asked_for_is_an_origin_that_does_not_speak_http() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::status(304, "etag:\"1\"", ""));
    assert_eq!(lab.get("e1", "/a").status(), 502);
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn a_copy_whose_304_takes_it_out_of_the_cache_still_answers_a_crowd() {
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::new("cache-control:max-age=10|etag:\"1\"", "hello"));
    lab.get("n1", "/a").body();
    lab.wait(20);
    let gate = Gate::default();
    let reply = Reply::status(304, "cache-control:private|etag:\"1\"", "").held_at(&gate);
    lab.origin.on("/a", reply);
    let viewers: Vec<_> = (0..20).map(|_| lab.send("n1", Ask::get("/a"))).collect();
    lab.run();
    gate.open();
    lab.run();
    for viewer in viewers {
        assert_eq!(viewer.answer(), (200, "hello".into()));
    }
}

#[test]
fn while_it_is_refreshed_a_stale_copy_is_served_at_once_and_refreshed_once() {
    let lab = Lab::three_tiers();
    let fresh = "cache-control:max-age=10, stale-while-revalidate=60";
    lab.origin.on("/a", Reply::new(fresh, "old"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(fresh, "new").held_at(&gate));
    for _ in 0..3 {
        let stale = lab.get("e1", "/a");
        assert_eq!(stale.answer(), (200, "old".into()));
        assert_eq!(stale.header("x-cache"), "Hit from shoal");
        assert_eq!(stale.header("age"), "20");
        assert_eq!(stale.header("cache-status"), "\"e1\"; hit; ttl=-10; detail=edge");
    }
    assert_eq!(lab.origin.count(), 2);
    gate.open();
    lab.run();
    let fresh = lab.get("e1", "/a");
    assert_eq!((fresh.body(), fresh.header("age")), ("new".into(), "0".into()));
    assert_eq!(lab.origin.count(), 2);
    lab.wait(80);
    assert_eq!(lab.origin.count(), 2, "nobody refreshes what nobody asks for");
}

#[test]
fn a_purged_copy_is_not_served_while_it_is_refreshed() {
    let lab = Lab::three_tiers();
    let windows = "cache-control:max-age=10, stale-while-revalidate=60, stale-if-error=60";
    lab.origin.on("/a", Reply::new(windows, "old"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    lab.purge("/a");
    lab.origin.on("/a", Reply::failure(OriginError::Unreachable("down".into())));
    assert_eq!(lab.get("e1", "/a").status(), 502);
}

fn failures() -> [(Reply, u16, Result<u16, Failure>); 4] {
    [
        (Reply::failure(OriginError::Unreachable("down".into())), 502, Err(Failure::Unreachable)),
        (Reply::failure(OriginError::TimedOut("slow".into())), 504, Err(Failure::TimedOut)),
        (Reply::status(500, "", "oops"), 500, Ok(500)),
        (Reply::status(503, "", "oops"), 503, Ok(503)),
    ]
}

#[test]
fn when_the_origin_fails_an_edge_serves_the_stale_copy_within_its_window() {
    for (failure, status, _) in failures() {
        let lab = Lab::three_tiers();
        let window = "cache-control:max-age=10, stale-if-error=100|etag:\"1\"";
        lab.origin.on("/a", Reply::new(window, "old"));
        lab.get("e1", "/a").body();
        lab.origin.on("/a", failure);
        lab.wait(50);
        let stale = lab.get("e1", "/a");
        assert_eq!(stale.answer(), (200, "old".into()), "{status}");
        assert_eq!(stale.header("x-cache"), "Hit from shoal");
        assert_eq!(stale.header("age"), "50");
        lab.wait(61);
        assert_eq!(lab.get("e1", "/a").status(), status, "the window is over");
    }
}

#[test]
fn when_the_origin_fails_a_peer_is_told_the_truth() {
    for (failure, status, expect) in failures() {
        let lab = Lab::three_tiers();
        let window = "cache-control:max-age=10, stale-if-error=100|etag:\"1\"";
        lab.origin.on("/a", Reply::new(window, "old"));
        lab.get("e1", "/a").body();
        lab.origin.on("/a", failure);
        lab.wait(50);
        let found = match lab.inquire("r1", Tier::Regional, attributes("/a")) {
            Answer::Response(head) => Ok(head.status.as_u16()),
            Answer::Failed(failure) => Err(failure),
            Answer::Behind(_) => panic!("nobody is behind"),
        };
        assert_eq!(found, expect, "{status}");
    }
}
