//! Knowledge that is confirmed for every request (R22), and purges not yet in the log (R24).
//!
//! The voters of the lab answer when a gate opens.
//! What is heard of early covers copies at once, and is never counted as applied.

use model::{Effect, Freshness, Purging, Scope, Tag, WhenFenced};

use super::origin::{Gate, Reply};
use super::world::Lab;

const FRESH: &str = "cache-control:max-age=600|etag:\"1\"";

fn confirming(when_fenced: WhenFenced) -> Lab {
    let lab = Lab::three_tiers();
    lab.purging(Purging { freshness: Freshness::Confirm, when_fenced, ..Purging::default() });
    lab.origin.on("/a", Reply::new(FRESH, "old"));
    lab.get("e1", "/a").body();
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"2\"", "new"));
    lab
}

#[test]
fn a_request_waits_until_everything_committed_before_it_is_applied() {
    let lab = confirming(WhenFenced::Revalidate);
    let gate = Gate::default();
    lab.voters("e1", true, &gate);
    lab.log_purge("/a");
    let viewer = lab.get("e1", "/a");
    assert!(viewer.waits());
    lab.catch_up_all();
    gate.open();
    lab.run();
    assert_eq!(viewer.answer(), (200, "new".into()));
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn confirmed_knowledge_needs_no_lease() {
    let lab = confirming(WhenFenced::Revalidate);
    lab.cut_off("e1");
    lab.wait(60);
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn without_an_answer_of_the_voters_only_the_origin_s_word_counts() {
    let lab = confirming(WhenFenced::Revalidate);
    let gate = Gate::default();
    gate.open();
    lab.voters("e1", false, &gate);
    for round in 2..5 {
        lab.wait(1);
        assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
        assert_eq!(lab.origin.count(), round);
    }
}

#[test]
fn without_an_answer_of_the_voters_a_distribution_may_refuse_or_be_lenient() {
    let gate = Gate::default();
    gate.open();
    for (when_fenced, status) in [(WhenFenced::Refuse, 503), (WhenFenced::StaleOk, 200)] {
        let lab = confirming(when_fenced);
        lab.voters("e1", false, &gate);
        lab.wait(1);
        assert_eq!(lab.get("e1", "/a").status(), status);
        assert_eq!(lab.origin.count(), 1);
    }
}

#[test]
fn a_purge_covers_a_copy_as_soon_as_it_is_heard_of() {
    let lab = Lab::alone();
    lab.wait(100);
    for target in ["/a", "/b"] {
        lab.origin.on(target, Reply::new(FRESH, "old"));
        lab.get("n1", target).body();
        lab.origin.on(target, Reply::new("cache-control:max-age=600|etag:\"2\"", "new"));
    }
    lab.wait(5);
    lab.hear("n1", Scope::parse("/a").unwrap(), Effect::Hard);
    assert_eq!(lab.get("n1", "/a").body(), "new");
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal", "it was made afterwards");
    assert_eq!(lab.get("n1", "/b").body(), "old");
}

#[test]
fn what_was_made_before_a_purge_was_heard_of_is_given_to_those_who_wait_and_not_kept() {
    let lab = Lab::alone();
    lab.wait(100);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "old").held_at(&gate));
    let waiting = lab.get("n1", "/a");
    lab.wait(1);
    lab.hear("n1", Scope::parse("/a").unwrap(), Effect::Hard);
    lab.origin.on("/a", Reply::new("cache-control:max-age=600|etag:\"2\"", "new"));
    let later = lab.get("n1", "/a");
    assert_eq!(later.body(), "new", "it does not wait for the old fetch");
    gate.open();
    lab.run();
    assert_eq!(waiting.body(), "old");
    assert_eq!(
        lab.get("n1", "/a").header("x-cache"),
        "Hit from shoal",
        "the new one is still there"
    );
    assert_eq!(lab.get("n1", "/a").body(), "new");
}

#[test]
fn a_soft_purge_counts_as_soon_as_it_is_heard_of_too() {
    let lab = Lab::alone();
    lab.wait(100);
    lab.origin.by("/a", |seen| Reply::new(FRESH, "hello").or_not_modified(seen));
    lab.get("n1", "/a").body();
    lab.wait(5);
    lab.hear("n1", Scope::parse("/a").unwrap(), Effect::Soft);
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "RefreshHit from shoal");
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn a_purge_by_tag_that_was_heard_of_before_a_request_counts_although_the_tags_come_later() {
    let lab = Lab::alone();
    lab.wait(100);
    let gate = Gate::default();
    let tagged = "cache-control:max-age=600|cache-tag:p1";
    lab.origin.on("/a", Reply::new(tagged, "old").held_at(&gate));
    let before = lab.get("n1", "/a");
    lab.wait(1);
    lab.hear("n1", Scope::Tag(Tag::parse("p1").unwrap()), Effect::Hard);
    lab.wait(1);
    let after = lab.get("n1", "/a");
    lab.origin.on("/a", Reply::new(tagged, "new"));
    gate.open();
    lab.run();
    assert_eq!((before.body(), after.body()), ("old".into(), "new".into()));
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
}
