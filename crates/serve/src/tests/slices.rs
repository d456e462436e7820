//! Large objects: fetched and kept slice by slice, of one version from end to end.
//!
//! The origin counts what is taken from it: a part of an object costs its slices and nothing more,
//! wherever in the mesh it is asked for.

use http::header::RANGE;
use model::limits::{SLICE_BYTES, SLICES_AHEAD_MAX};
use model::{Effect, Scope};

use super::large_origin::{Large, Ranges};
use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::wires::Fault;
use super::world::{Lab, attributes};
use crate::Entry;

const GIB: u64 = 1024 * 1024 * 1024;

fn serve(lab: &Lab, large: &Large) {
    let large = large.clone();
    lab.origin.by("/big", move |seen| large.reply(seen).or_not_modified(seen));
}

fn ask(lab: &Lab, node: &str, lines: &str) -> Viewer {
    lab.ask(node, Ask::get("/big").with(lines))
}

/// The ranges that the origin was asked for.
fn asked(lab: &Lab) -> Vec<String> {
    let range = |seen: super::origin::Seen| {
        seen.headers.get(RANGE).map_or("whole".into(), |range| range.to_str().unwrap().to_owned())
    };
    lab.origin.seen().into_iter().map(range).collect()
}

fn slice(number: u64) -> String {
    format!("bytes={}-{}", number * SLICE_BYTES, (number + 1) * SLICE_BYTES - 1)
}

/// Everything that the node called `name` keeps in slices goes.
fn evict_slices(lab: &Lab, name: &str) -> usize {
    let store = &lab.world(name).store;
    let entries = store.page(None, 10_000);
    let slices = entries.iter().filter(|(_, entry)| matches!(**entry, Entry::Slice(_)));
    slices.map(|(key, entry)| store.drop_if(key, entry)).count()
}

#[test]
fn a_range_of_a_cold_object_of_ten_gigabytes_costs_one_slice() {
    let lab = Lab::three_tiers();
    let large = Large { length: 10 * GIB, ..Large::of_slices(0) };
    serve(&lab, &large);
    let (first, last) = (5_000_000_000, 5_000_000_099);
    for verdict in ["Miss", "Hit"] {
        let viewer = ask(&lab, "e1", &format!("range:bytes={first}-{last}"));
        assert_eq!(viewer.answer(), (206, large.content(first, last)));
        assert_eq!(viewer.header("content-range"), format!("bytes {first}-{last}/{}", 10 * GIB));
        assert_eq!(viewer.header("content-length"), "100");
        assert_eq!(viewer.header("etag"), "\"1\"");
        assert_eq!(viewer.header("x-cache"), format!("{verdict} from shoal"));
        assert_eq!(lab.origin.sent_bytes(), SLICE_BYTES);
        assert_eq!(asked(&lab), [slice(first / SLICE_BYTES)]);
    }
}

#[test]
fn what_is_asked_for_in_other_ways_costs_no_more_than_it_must() {
    let large = Large::of_slices(99);
    let end = large.length - 1;
    for (lines, status, expect, slices) in [
        ("range:bytes=-10", 206, large.content(end - 9, end), vec![0, 99]),
        ("range:bytes=999999999-", 416, String::new(), vec![999_999_999 / SLICE_BYTES]),
        ("range:bytes=5-6|if-none-match:\"1\"", 304, String::new(), vec![0]),
        ("range:bytes=1048570-1048580", 206, large.content(1_048_570, 1_048_580), vec![0, 1]),
    ] {
        let lab = Lab::three_tiers();
        serve(&lab, &large);
        let viewer = ask(&lab, "e1", lines);
        assert_eq!(viewer.answer(), (status, expect), "{lines}");
        let ranges: Vec<String> = slices.into_iter().map(slice).collect();
        let mut asked = asked(&lab);
        asked.retain(|range| range != "whole");
        assert_eq!(asked, ranges, "{lines}");
    }
    let lab = Lab::three_tiers();
    serve(&lab, &large);
    let head = lab.ask("e1", Ask::head("/big").with("range:bytes=5-6"));
    assert_eq!(head.answer(), (200, String::new()));
    assert_eq!(head.header("content-length"), large.length.to_string());
    let unsatisfied = ask(&lab, "e1", "range:bytes=999999999-");
    assert_eq!(unsatisfied.header("content-range"), format!("bytes */{}", large.length));
    assert!(lab.origin.sent_bytes() <= SLICE_BYTES + 100_000, "the head is enough");
}

#[test]
fn parts_that_lie_far_apart_cost_their_slices() {
    let lab = Lab::three_tiers();
    let large = Large { length: 10 * GIB, ..Large::of_slices(0) };
    serve(&lab, &large);
    let viewer = ask(&lab, "e1", "range:bytes=9000000000-9000000009,5-9");
    let body = viewer.body();
    assert_eq!(viewer.header("content-length"), body.len().to_string());
    let far = body.find(&large.content(9_000_000_000, 9_000_000_009)).unwrap();
    assert!(far < body.find(&format!("\r\n\r\n{}", large.content(5, 9))).unwrap());
    assert_eq!(asked(&lab), [slice(9_000_000_000 / SLICE_BYTES), slice(0)]);
}

#[test]
fn the_whole_is_fetched_slice_by_slice_once_for_the_mesh() {
    let lab = Lab::of(&["e1 eu edge", "e2 eu edge", "r1 eu regional", "s1 us shield"]);
    let large = Large::of_slices(20);
    serve(&lab, &large);
    let both = ["e1", "e2"].map(|edge| lab.send(edge, Ask::get("/big")));
    lab.run();
    for viewer in &both {
        assert_eq!(viewer.status(), 200);
        assert_eq!(viewer.header("content-length"), large.length.to_string());
        assert!(viewer.body() == large.content(0, large.length - 1));
    }
    let mut once = asked(&lab);
    once.sort_unstable();
    once.dedup();
    assert_eq!((once.len(), lab.origin.count()), (21, 21));
    assert!(lab.origin.sent_bytes() < large.length + 100_000, "{}", lab.origin.sent_bytes());
    let again = ask(&lab, "e1", "");
    assert_eq!(again.header("x-cache"), "Hit from shoal");
    assert!(again.body() == large.content(0, large.length - 1));
    assert_eq!(lab.origin.count(), 21);
}

#[test]
fn a_reader_in_the_middle_of_a_download_joins_it_slice_by_slice() {
    let lab = Lab::three_tiers();
    let (large, gate) = (Large::of_slices(12), Gate::default());
    serve(&lab, &large);
    let slow = lab.ask("e1", Ask::get("/big").reading_after(&gate));
    let ahead = lab.origin.sent_bytes();
    assert!(ahead <= (SLICES_AHEAD_MAX + 1) * SLICE_BYTES, "{ahead} bytes ahead of the reader");
    let quick = lab.ask("e1", Ask::get("/big").with("range:bytes=3000000-"));
    assert!(quick.body() == large.content(3_000_000, large.length - 1), "nobody waits for him");
    gate.open();
    lab.run();
    assert!(slow.body() == large.content(0, large.length - 1));
    assert_eq!(lab.origin.count(), 13);
}

#[test]
fn a_download_that_nobody_reads_any_more_fetches_no_further() {
    let lab = Lab::three_tiers();
    let (large, gate) = (Large::of_slices(60), Gate::default());
    serve(&lab, &large);
    let viewer = lab.ask("e1", Ask::get("/big").reading_after(&gate));
    viewer.hang_up();
    gate.open();
    lab.run();
    assert!(lab.origin.count() <= 1 + SLICES_AHEAD_MAX as usize);
    assert_eq!(lab.world("e1").fills.running() + lab.world("s1").fills.running(), 0);
}

#[test]
fn a_reader_who_goes_from_part_to_part_finds_the_next_ones_fetched() {
    let lab = Lab::three_tiers();
    serve(&lab, &Large::of_slices(40));
    for number in [7, 8] {
        let first = number * SLICE_BYTES;
        ask(&lab, "e1", &format!("range:bytes={first}-{}", first + SLICE_BYTES - 1)).body();
    }
    assert_eq!(asked(&lab), [7, 8, 9].map(slice), "one further, as it has read on once");
    let first = 30 * SLICE_BYTES;
    ask(&lab, "e1", &format!("range:bytes={first}-{}", first + 9)).body();
    assert_eq!(lab.origin.count(), 4, "a reader who jumps has nothing fetched ahead");
}

#[test]
fn what_was_evicted_is_fetched_again_and_nothing_else() {
    let lab = Lab::alone();
    let large = Large::of_slices(9);
    serve(&lab, &large);
    ask(&lab, "n1", "").body();
    let count = lab.origin.count();
    assert_eq!(evict_slices(&lab, "n1"), 10);
    let viewer = ask(&lab, "n1", "range:bytes=1048576-1048579");
    assert_eq!(viewer.answer(), (206, large.content(1_048_576, 1_048_579)));
    assert!(viewer.header("cache-status").contains("fwd=partial"));
    assert_eq!(asked(&lab)[count..], [slice(1)]);
    ask(&lab, "n1", "").body();
    assert_eq!(lab.origin.count(), count + 10);
}

#[test]
fn a_manifest_is_revalidated_as_one() {
    let lab = Lab::three_tiers();
    let large = Large::of_slices(9);
    serve(&lab, &large);
    ask(&lab, "e1", "").body();
    let (count, bytes) = (lab.origin.count(), lab.origin.sent_bytes());
    lab.wait(61);
    let viewer = ask(&lab, "e1", "");
    assert_eq!(viewer.header("x-cache"), "RefreshHit from shoal");
    assert!(viewer.body() == large.content(0, large.length - 1));
    assert_eq!((lab.origin.count(), lab.origin.sent_bytes()), (count + 1, bytes));
}

#[test]
fn another_version_before_the_first_byte_means_to_start_over() {
    for tiers in
        [&["n1 eu edge,regional,shield"][..], &["n1 eu edge", "r1 eu regional", "s1 us shield"]]
    {
        let lab = Lab::of(tiers);
        let large = Large::of_slices(9);
        serve(&lab, &large);
        ask(&lab, "n1", "range:bytes=0-9").body();
        let new = large.version(1);
        serve(&lab, &new);
        let viewer = ask(&lab, "n1", "range:bytes=4000000-4000009");
        assert_eq!(viewer.answer(), (206, new.content(4_000_000, 4_000_009)));
        assert_eq!(viewer.header("etag"), "\"2\"");
        assert!(ask(&lab, "n1", "").body() == new.content(0, new.length - 1));
    }
}

#[test]
fn two_versions_are_never_mixed_in_one_body() {
    let lab = Lab::three_tiers();
    let (large, gate) = (Large::of_slices(30), Gate::default());
    serve(&lab, &large);
    let viewer = lab.ask("e1", Ask::get("/big").reading_after(&gate));
    let new = large.version(1);
    serve(&lab, &new);
    gate.open();
    lab.run();
    assert!(viewer.is_broken(), "the old version cannot be had any more");
    let so_far = viewer.so_far();
    assert!(so_far == large.content(0, so_far.len() as u64 - 1), "and what came is of one version");
    assert!((so_far.len() as u64).is_multiple_of(SLICE_BYTES) && !so_far.is_empty());
    let again = ask(&lab, "e1", "");
    assert!(again.body() == new.content(0, new.length - 1));
    assert_eq!(again.header("etag"), "\"2\"");
}

#[test]
fn a_purge_covers_the_manifest_and_every_slice() {
    // Rule R16: by URL, by tag, by host; the validator is no excuse.
    for scope in ["/big", "tag"] {
        let lab = Lab::three_tiers();
        let large = Large::of_slices(9);
        serve(&lab, &large);
        ask(&lab, "e1", "").body();
        let count = lab.origin.count();
        match scope {
            "tag" => lab.purge_tag("film"),
            path => lab.purge(path),
        };
        // The same ETag, as from an origin that names content by what it should be.
        let new = Large { version: 1, ..large.clone() };
        serve(&lab, &new);
        assert!(ask(&lab, "e1", "").body() == new.content(0, new.length - 1), "{scope}");
        assert_eq!(lab.origin.count(), 2 * count);
        let seen = lab.origin.seen();
        let past_caches = seen[count..].iter().filter(|seen| {
            seen.headers.get("cache-control").is_some_and(|value| value == "no-cache")
        });
        assert_eq!(past_caches.count(), count, "caches on the way are asked to step aside");
    }
}

#[test]
fn a_purge_stops_a_large_body_on_its_way_and_what_it_would_have_been_made_of() {
    let lab = Lab::three_tiers();
    let (large, gate) = (Large::of_slices(30), Gate::default());
    serve(&lab, &large);
    let viewer = lab.ask("e1", Ask::get("/big").reading_after(&gate));
    lab.purge("/big");
    let new = Large { version: 1, ..large.clone() };
    serve(&lab, &new);
    gate.open();
    lab.run();
    assert!(viewer.is_broken());
    assert_eq!(viewer.bytes_so_far(), 0, "not one byte of it after the purge");
    assert!(ask(&lab, "e1", "").body() == new.content(0, new.length - 1));
}

#[test]
fn a_soft_purge_renews_manifest_and_slices_by_one_304() {
    let lab = Lab::three_tiers();
    let large = Large::of_slices(9);
    serve(&lab, &large);
    ask(&lab, "e1", "").body();
    let (count, bytes) = (lab.origin.count(), lab.origin.sent_bytes());
    let softened_at = lab.soften("/big");
    evict_slices(&lab, "e1");
    let viewer = ask(&lab, "e1", "");
    assert_eq!(viewer.header("x-cache"), "RefreshHit from shoal");
    assert!(viewer.body() == large.content(0, large.length - 1));
    assert_eq!((lab.origin.count(), lab.origin.sent_bytes()), (count + 1, bytes));
    assert_eq!(lab.stored_as_of("e1", "/big"), Some(softened_at));
}

#[test]
fn a_large_object_counts_once_in_the_plan_of_a_purge() {
    let lab = Lab::alone();
    let large = Large::of_slices(9);
    serve(&lab, &large);
    ask(&lab, "n1", "").body();
    let purge = model::Invalidation {
        distribution: attributes("/big").distribution,
        scopes: vec![Scope::parse("/big").unwrap()],
        effect: Effect::Hard,
    };
    assert_eq!(crate::plan_purge(lab.world("n1"), &purge), (1, large.length));
    lab.purge("/big");
    let swept = crate::sweep(lab.world("n1"), None);
    assert_eq!((swept.copies, swept.bytes), (1, large.length));
}

#[test]
fn an_origin_without_ranges_is_streamed_from_and_kept_if_it_may_be() {
    for slices in [1, 20] {
        let lab = Lab::three_tiers();
        let plain = "cache-control:max-age=60|etag:\"1\"";
        let whole = Large::of_slices(slices);
        let large = Large { lines: plain.into(), ranges: Ranges::Ignored, ..whole };
        serve(&lab, &large);
        let viewer = ask(&lab, "e1", "range:bytes=900000-900009");
        assert_eq!(viewer.answer(), (206, large.content(900_000, 900_009)));
        let again = ask(&lab, "e1", "range:bytes=1000000-");
        assert!(again.body() == large.content(1_000_000, large.length - 1));
        assert_eq!(again.header("x-cache"), "Hit from shoal");
        assert_eq!(lab.origin.count(), 1);
    }
}

#[test]
fn an_origin_that_promises_ranges_and_sends_the_whole_is_found_out() {
    let lab = Lab::three_tiers();
    let large = Large { ranges: Ranges::Ignored, ..Large::of_slices(20) };
    serve(&lab, &large);
    let first = ask(&lab, "e1", "");
    assert!(first.is_broken(), "it cannot be gone on with");
    assert!(first.so_far() == large.content(0, SLICE_BYTES - 1));
    assert!(ask(&lab, "e1", "").body() == large.content(0, large.length - 1));
    let (count, bytes) = (lab.origin.count(), lab.origin.sent_bytes());
    assert!(bytes < 2 * large.length, "{bytes} bytes in {count} answers");
    assert_eq!(ask(&lab, "e1", "range:bytes=5-9").answer(), (206, large.content(5, 9)));
    assert_eq!(lab.origin.count(), count);
}

#[test]
fn without_a_strong_etag_nothing_is_put_together() {
    for etag in ["W/\"1\"", "1"] {
        let lab = Lab::three_tiers();
        let large = Large::of_slices(9);
        let large = Large { lines: large.lines.replace("\"1\"", etag), ..large };
        serve(&lab, &large);
        let viewer = ask(&lab, "e1", "range:bytes=3000000-3000009");
        assert_eq!(viewer.answer(), (206, large.content(3_000_000, 3_000_009)), "{etag}");
        assert_eq!(asked(&lab), [slice(2), "whole".into()], "{etag}");
        assert!(ask(&lab, "e1", "").body() == large.content(0, large.length - 1));
        assert_eq!(lab.origin.count(), 2, "{etag}");
    }
}

#[test]
fn what_fits_into_one_slice_is_kept_whole() {
    let lab = Lab::three_tiers();
    let large = Large { lines: "cache-control:max-age=60".into(), ..Large::of_slices(0) };
    serve(&lab, &large);
    let part = ask(&lab, "e1", "range:bytes=5-9");
    assert_eq!(part.answer(), (206, large.content(5, 9)));
    let whole = ask(&lab, "e1", "");
    assert_eq!(whole.answer(), (200, large.content(0, 98)));
    assert_eq!(
        (whole.header("content-range"), whole.header("content-length").as_str()),
        (String::new(), "99")
    );
    assert_eq!(whole.header("x-cache"), "Hit from shoal");
    assert_eq!(asked(&lab), [slice(0)]);
}

#[test]
fn what_may_not_be_kept_is_never_kept_in_slices() {
    let lab = Lab::three_tiers();
    let large = Large::of_slices(9);
    let large = Large { lines: large.lines.replace("max-age=60", "no-store"), ..large };
    serve(&lab, &large);
    for _ in 0..2 {
        let viewer = ask(&lab, "e1", "range:bytes=3000000-3000009");
        assert_eq!(viewer.answer(), (206, large.content(3_000_000, 3_000_009)));
    }
    for name in ["e1", "r1", "s1"] {
        assert!(lab.world(name).store.page(None, 9).is_empty(), "{name}");
    }
}

#[test]
fn a_slice_that_breaks_off_is_opened_again() {
    let lab = Lab::three_tiers();
    let large = Large::of_slices(9);
    let broken = large.clone();
    lab.origin.by("/big", move |seen| match seen.earlier {
        3 => Reply::status(
            206,
            &format!("{}|content-range:bytes 3145728-4194303/9437283", broken.lines),
            &broken.content(3_145_728, 3_145_999),
        )
        .then_break()
        .announced(SLICE_BYTES),
        _ => broken.reply(seen),
    });
    assert!(ask(&lab, "e1", "").body() == large.content(0, large.length - 1));
    assert_eq!(lab.origin.count(), 11);
}

#[test]
fn a_peer_that_dies_in_the_middle_costs_no_byte() {
    let lab = Lab::of(&["e1 eu edge", "r1 eu regional", "r2 eu regional", "s1 us shield"]);
    let large = Large::of_slices(9);
    serve(&lab, &large);
    let owner = lab.owner(model::Tier::Regional, "/big", 0);
    lab.wires.spoil(&owner, Fault::BreaksAfter(2));
    for _ in 0..3 {
        lab.wires.spoil(&owner, Fault::Unreachable);
    }
    assert!(ask(&lab, "e1", "").body() == large.content(0, large.length - 1));
    assert_eq!(lab.origin.count(), 10);
}

#[test]
fn an_origin_that_fails_in_the_middle_breaks_the_body_and_not_the_cache() {
    let lab = Lab::three_tiers();
    let large = Large::of_slices(9);
    let failing = large.clone();
    lab.origin.by("/big", move |seen| match seen.headers.get(RANGE) {
        Some(range) if *range == slice(5) => Reply::status(503, "", "no"),
        _ => failing.reply(seen),
    });
    let viewer = ask(&lab, "e1", "");
    assert!(viewer.is_broken());
    assert!(viewer.so_far() == large.content(0, 5 * SLICE_BYTES - 1));
    assert_eq!(ask(&lab, "e1", "range:bytes=5242880-5242889").status(), 502);
    serve(&lab, &large);
    assert!(ask(&lab, "e1", "").body() == large.content(0, large.length - 1));
}
