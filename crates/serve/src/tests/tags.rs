//! Tags: what an origin names together is purged together.
//!
//! Viewers need not know the names; between tiers they travel.
//! A purge may come before anybody knows which names a response will have.

use http::Method;
use model::Purging;

use super::origin::{Gate, Reply};
use super::viewer::Ask;
use super::world::Lab;

const TAGGED: &str = "cache-control:max-age=600|surrogate-key:p1 all";

#[test]
fn a_purge_by_tag_reaches_every_tier_s_copies_and_spares_the_others() {
    let lab = Lab::three_tiers();
    let other = "cache-control:max-age=600|cache-tag:p2, all";
    for (target, lines) in [("/a", TAGGED), ("/b", TAGGED), ("/c", other)] {
        lab.origin.on(target, Reply::new(lines, "old"));
        lab.get("e1", target).body();
        lab.origin.on(target, Reply::new(lines, "new"));
    }
    lab.purge_tag("p1");
    assert_eq!(lab.get("e1", "/a").body(), "new");
    assert_eq!(lab.get("e1", "/b").body(), "new");
    assert_eq!(lab.get("e1", "/c").body(), "old");
    lab.purge_tag("all");
    assert_eq!(lab.get("e1", "/c").body(), "new");
}

#[test]
fn a_purge_by_tag_while_the_head_is_awaited_covers_what_then_comes() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(TAGGED, "old").held_at(&gate));
    let before = lab.get("e1", "/a");
    assert!(before.waits());
    lab.purge_tag("p1");
    lab.origin.on("/a", Reply::new(TAGGED, "new"));
    let after = lab.send("e1", Ask::get("/a"));
    lab.run();
    gate.open();
    lab.run();
    assert_eq!(before.answer(), (200, "new".into()), "its tags were only known on arrival");
    assert_eq!(after.answer(), (200, "new".into()));
    let later = lab.get("e1", "/a");
    assert_eq!((later.body(), later.header("x-cache")), ("new".into(), "Hit from shoal".into()));
}

#[test]
fn a_response_whose_tags_cannot_be_kept_is_not_kept_itself() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|surrogate-key:a,b", "hello"));
    let viewer = lab.get("e1", "/a");
    assert_eq!(viewer.body(), "hello");
    assert!(viewer.header("cache-status").contains("detail=tags"));
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn tags_travel_between_tiers_and_reach_viewers_only_if_they_may() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|cache-tag:x|surrogate-key:y", ""));
    for _ in 0..2 {
        let viewer = lab.get("e1", "/a");
        assert_eq!(
            (viewer.header("cache-tag"), viewer.header("surrogate-key")),
            Default::default()
        );
    }
    let posted = lab.ask("e1", Ask::with_method(Method::POST, "/a"));
    assert_eq!(posted.header("cache-tag"), "");
    lab.purging(Purging { expose_tags: true, ..Purging::default() });
    assert_eq!(lab.get("e1", "/a").header("cache-tag"), "x");
    assert_eq!(lab.get("e1", "/a").header("surrogate-key"), "y");
}

#[test]
fn a_copy_that_is_confirmed_under_other_tags_is_reached_by_both() {
    for tag in ["p1", "p2"] {
        let lab = Lab::three_tiers();
        lab.origin.by("/a", |seen| {
            let tag = if seen.earlier == 0 { "p1" } else { "p2" };
            let lines = format!("cache-control:max-age=10|etag:\"1\"|surrogate-key:{tag}");
            Reply::new(&lines, "old").or_not_modified(seen)
        });
        lab.get("e1", "/a").body();
        lab.wait(20);
        assert_eq!(lab.get("e1", "/a").header("x-cache"), "RefreshHit from shoal");
        lab.origin.on("/a", Reply::new(TAGGED, "new"));
        lab.purge_tag(tag);
        assert_eq!(lab.get("e1", "/a").body(), "new", "{tag}");
    }
}

#[test]
fn what_is_not_there_is_purged_like_what_is() {
    let lab = Lab::three_tiers();
    let gone = "cache-control:max-age=600|surrogate-key:p1";
    lab.origin.on("/a", Reply::status(404, gone, "nothing"));
    assert_eq!(lab.get("e1", "/a").status(), 404);
    lab.origin.on("/a", Reply::new(TAGGED, "new"));
    assert_eq!(lab.get("e1", "/a").status(), 404, "it is kept");
    lab.purge_tag("p1");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
}
