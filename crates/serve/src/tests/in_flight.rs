//! Responses under way: a purge cuts them off, and so does too long a silence.
//!
//! What is cut off never looks whole.
//! Only what a purge can overtake is watched: small copies go out at once.

use bytes::Bytes;
use model::{Purging, WhenFenced};

use super::origin::{Gate, Reply};
use super::ports::Granted;
use super::viewer::{Ask, Viewer};
use super::world::Lab;

const TAGGED: &str = "cache-control:max-age=600|surrogate-key:p1";
const LARGE_BYTES: usize = 1024 * 1024;

/// A viewer in the middle of a body.
fn under_way(lab: &Lab, target: &str, gate: &Gate) -> Viewer {
    lab.origin.on(target, Reply::new(TAGGED, "old ").then_wait(gate).then("old"));
    let viewer = lab.get("e1", target);
    assert_eq!(viewer.so_far(), "old ");
    viewer
}

/// A viewer of a large copy in the cache, who has not read any of it.
fn reading(lab: &Lab, gate: &Gate) -> Viewer {
    let content = Bytes::from(vec![b'x'; LARGE_BYTES]);
    lab.origin.on("/a", Reply::new(TAGGED, "").then_bytes(content));
    lab.get("e1", "/a").body();
    let viewer = lab.ask("e1", Ask::get("/a").reading_after(gate));
    assert_eq!(viewer.header("x-cache"), "Hit from shoal");
    viewer
}

#[test]
fn a_purge_by_tag_cuts_off_what_is_under_way_and_spares_the_rest() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let covered = under_way(&lab, "/a", &gate);
    lab.origin.on("/b", Reply::new("cache-control:max-age=600", "b ").then_wait(&gate).then("b"));
    let spared = lab.get("e1", "/b");
    lab.purge_tag("p1");
    assert_eq!(lab.cut(), 1);
    lab.run();
    assert!(covered.is_broken(), "at once, not with the next byte");
    gate.open();
    lab.run();
    assert_eq!(covered.so_far(), "old ");
    assert_eq!(spared.body(), "b b");
    assert_eq!(lab.world("e1").flights.running(), 0);
}

#[test]
fn a_large_copy_on_its_way_out_is_cut_off_too() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let viewer = reading(&lab, &gate);
    lab.purge("/a");
    assert_eq!(lab.cut(), 1);
    gate.open();
    lab.run();
    assert!(viewer.is_broken());
    assert_eq!(viewer.bytes_so_far(), 0);
}

#[test]
fn what_is_counted_as_cut_off_is_counted_once() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let viewer = under_way(&lab, "/a", &gate);
    lab.purge_tag("p1");
    lab.purge_tag("p1");
    lab.purge("/a");
    assert_eq!(lab.cut(), 1);
    lab.run();
    assert!(viewer.is_broken());
}

#[test]
fn a_soft_purge_cuts_nothing_off() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let viewer = under_way(&lab, "/a", &gate);
    lab.soften("/a");
    gate.open();
    lab.run();
    assert_eq!(viewer.body(), "old old");
}

#[test]
fn a_distribution_may_let_responses_under_way_go_on() {
    let lab = Lab::three_tiers();
    lab.purging(Purging { stop_in_flight: false, ..Purging::default() });
    let gate = Gate::default();
    let viewer = under_way(&lab, "/a", &gate);
    lab.purge_tag("p1");
    lab.cut_off("e1");
    lab.wait(30);
    gate.open();
    lab.run();
    assert_eq!((lab.cut(), viewer.body()), (0, "old old".into()));
}

#[test]
fn without_a_lease_what_was_proven_too_long_ago_is_cut_off() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let viewer = reading(&lab, &gate);
    lab.cut_off("e1");
    lab.wait(11);
    gate.open();
    lab.run();
    assert!(viewer.is_broken());
    assert_eq!(viewer.bytes_so_far(), 0);
}

#[test]
fn with_a_lease_a_response_may_take_as_long_as_it_takes() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let viewer = under_way(&lab, "/a", &gate);
    lab.cut_off("e1");
    lab.wait(11);
    lab.lease("e1", Granted::Always);
    lab.wait(3_600);
    gate.open();
    lab.run();
    assert_eq!(viewer.body(), "old old");
}

#[test]
fn where_stale_answers_are_preferred_to_none_nothing_is_cut_off_for_silence() {
    let lab = Lab::three_tiers();
    lab.purging(Purging { when_fenced: WhenFenced::StaleOk, ..Purging::default() });
    let gate = Gate::default();
    let viewer = under_way(&lab, "/a", &gate);
    lab.cut_off("e1");
    lab.wait(60);
    gate.open();
    lab.run();
    assert_eq!(viewer.body(), "old old");
}

#[test]
fn a_part_of_a_large_copy_is_cut_off_like_the_whole() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    reading(&lab, &gate);
    let asks = Ask::get("/a").with("range:bytes=10-900000").reading_after(&gate);
    let viewer = lab.ask("e1", asks);
    assert_eq!(viewer.status(), 206);
    lab.purge("/a");
    gate.open();
    lab.run();
    assert!(viewer.is_broken());
}

#[test]
fn small_copies_go_out_at_once_and_are_not_counted() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(TAGGED, "small"));
    lab.get("e1", "/a").body();
    let gate = Gate::default();
    let viewer = lab.ask("e1", Ask::get("/a").reading_after(&gate));
    assert_eq!(lab.world("e1").flights.running(), 0);
    gate.open();
    lab.run();
    assert_eq!(viewer.body(), "small");
}

#[test]
fn a_large_body_goes_out_in_pieces_of_at_most_one_check() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let viewer = reading(&lab, &gate);
    gate.open();
    lab.run();
    assert_eq!(viewer.bytes_so_far(), LARGE_BYTES as u64);
    assert!(viewer.largest_chunk() <= model::limits::CHUNK_BYTES_MAX);
}
