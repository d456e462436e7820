//! Soft purges: what they cover is stale, no matter how long it would have been fresh, and only a
//! strong validator may renew it.
//!
//! What a hard purge covers is gone for good, stale windows or not.

use super::origin::{Gate, Reply};
use super::viewer::Ask;
use super::world::Lab;
use crate::OriginError;

const STRONG: &str = "cache-control:max-age=600|etag:\"1\"";

#[test]
fn a_softened_copy_with_a_strong_etag_is_renewed_and_not_sent_again() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| Reply::new(STRONG, "hello").or_not_modified(seen));
    lab.get("e1", "/a").body();
    let softened_at = lab.soften("/a");
    let viewer = lab.get("e1", "/a");
    assert_eq!(viewer.answer(), (200, "hello".into()));
    assert_eq!(viewer.header("x-cache"), "RefreshHit from shoal");
    assert!(viewer.header("cache-status").ends_with("detail=softened"));
    assert_eq!(lab.origin.sent_bytes(), 5, "the body came once");
    for name in ["e1", "r1", "s1"] {
        assert_eq!(lab.stored_as_of(name, "/a"), Some(softened_at), "{name}");
    }
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn a_softened_copy_without_a_strong_etag_is_fetched_whole() {
    for lines in [
        "cache-control:max-age=600|etag:W/\"1\"",
        "cache-control:max-age=600|last-modified:Sun, 06 Nov 1994 08:00:00 GMT",
        "cache-control:max-age=600",
    ] {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", Reply::new(lines, "old"));
        lab.get("e1", "/a").body();
        lab.soften("/a");
        lab.origin.on("/a", Reply::new(lines, "new"));
        assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()), "{lines}");
        let seen = &lab.origin.seen()[1].headers;
        assert!(!seen.contains_key("if-none-match") && !seen.contains_key("if-modified-since"));
        assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
    }
}

#[test]
fn a_304_that_only_knows_a_weak_tag_renews_no_softened_copy() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(STRONG, "old"));
    lab.get("e1", "/a").body();
    lab.soften("/a");
    lab.origin.by("/a", |seen| match seen.headers.contains_key("if-none-match") {
        true => Reply::status(304, "etag:W/\"1\"", ""),
        false => Reply::new("cache-control:max-age=600|etag:\"2\"", "new"),
    });
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
}

#[test]
fn a_softened_copy_is_served_while_it_is_refreshed_within_its_window() {
    let lab = Lab::three_tiers();
    let windowed = "cache-control:max-age=600, stale-while-revalidate=30";
    lab.origin.on("/a", Reply::new(windowed, "old"));
    lab.get("e1", "/a").body();
    lab.soften("/a");
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(windowed, "new").held_at(&gate));
    for _ in 0..3 {
        let viewer = lab.get("e1", "/a");
        assert_eq!(
            (viewer.body(), viewer.header("x-cache")),
            ("old".into(), "Hit from shoal".into())
        );
        assert!(viewer.header("cache-status").ends_with("detail=softened"));
    }
    lab.wait(31);
    let late = lab.get("e1", "/a");
    assert!(late.waits(), "the window began when the purge was noticed");
    gate.open();
    lab.run();
    assert_eq!(late.body(), "new");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn when_the_origin_fails_a_softened_copy_is_served_and_an_old_one_never() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=600, stale-if-error=600", "old"));
    lab.get("e1", "/a").body();
    lab.origin.on("/a", Reply::failure(OriginError::Unreachable("down".into())));
    lab.soften("/a");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "old".into()));
    lab.purge("/a");
    assert_eq!(lab.get("e1", "/a").status(), 502);
}

#[test]
fn a_copy_purged_while_the_origin_fails_is_no_answer_to_those_who_waited() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=10, stale-if-error=600", "old"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    let gate = Gate::default();
    let down = || Reply::failure(OriginError::Unreachable("down".into()));
    lab.origin.on("/a", down().held_at(&gate));
    let waiting = lab.get("e1", "/a");
    lab.purge("/a");
    gate.open();
    lab.run();
    assert_eq!(waiting.status(), 502);
}

#[test]
fn a_hard_purge_while_a_softened_copy_is_confirmed_does_away_with_it() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(STRONG, "old"));
    lab.get("e1", "/a").body();
    lab.soften("/a");
    let gate = Gate::default();
    let held = gate.clone();
    lab.origin.by("/a", move |seen| Reply::new(STRONG, "old").or_not_modified(seen).held_at(&held));
    let waiting = lab.send("e1", Ask::get("/a"));
    lab.run();
    lab.purge("/a");
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"2\"", "new"));
    gate.open();
    lab.run();
    assert_eq!(waiting.answer(), (200, "new".into()));
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
}

#[test]
fn a_second_soft_purge_while_the_first_is_answered_is_not_lost() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(STRONG, "one"));
    lab.get("e1", "/a").body();
    lab.soften("/a");
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"2\"", "two").held_at(&gate));
    let waiting = lab.get("e1", "/a");
    lab.soften("/a");
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"3\"", "three"));
    gate.open();
    lab.run();
    waiting.body();
    assert_eq!(lab.get("e1", "/a").body(), "three");
}

#[test]
fn a_tier_that_is_ahead_renews_a_softened_copy_no_further_than_its_node_knows() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(STRONG, "old"));
    lab.get("e1", "/a").body();
    let known = lab.soften("/a");
    lab.log_purge("/a");
    ["r1", "s1"].iter().for_each(|name| lab.catch_up(name));
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "RefreshHit from shoal");
    assert_eq!(lab.stored_as_of("e1", "/a"), Some(known));
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"2\"", "new"));
    lab.catch_up("e1");
    assert_ne!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}
