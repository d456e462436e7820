//! Many requests, one fetch; and a fetch that belongs to nobody.
//!
//! Every promise here counts what reached the origin: a crowd must look like one viewer to it.

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::world::Lab;

const FRESH: &str = "cache-control:max-age=60";

#[test]
fn a_hundred_requests_at_three_edges_are_one_origin_request() {
    let lab = Lab::of(&[
        "e1 eu edge",
        "e2 eu edge",
        "e3 us edge",
        "r1 eu regional",
        "r2 eu regional",
        "s1 us shield",
        "s2 us shield",
    ]);
    let (head, rest) = (Gate::default(), Gate::default());
    let reply = Reply::new(FRESH, "first ").then_wait(&rest).then("last").held_at(&head);
    lab.origin.on("/a", reply);
    let edges = ["e1", "e2", "e3"].into_iter().cycle().take(100);
    let viewers: Vec<Viewer> = edges.map(|name| lab.send(name, Ask::get("/a"))).collect();
    lab.run();
    assert!(viewers.iter().all(Viewer::waits));
    head.open();
    lab.run();
    for viewer in &viewers {
        assert_eq!((viewer.so_far().as_str(), viewer.end()), ("first ", None), "it streams");
    }
    let late = lab.get("e1", "/a");
    assert_eq!(late.so_far(), "first ", "who joins late starts at the first byte");
    rest.open();
    lab.run();
    for viewer in viewers.iter().chain([&late]) {
        assert_eq!(viewer.answer(), (200, "first last".into()));
    }
    assert_eq!(lab.origin.count(), 1);
    let collapsed = viewers.iter().filter(|v| v.header("cache-status").contains("collapsed"));
    assert!(collapsed.count() >= 97, "three may have led, one at each edge");
}

#[test]
fn nodes_of_every_tier_meet_at_their_owner_whichever_way_they_come() {
    let lab = Lab::of(&[
        "a eu edge,regional,shield",
        "b eu edge,regional,shield",
        "c us edge,regional,shield",
        "d us edge,regional,shield",
    ]);
    let head = Gate::default();
    for path in 0..32 {
        lab.origin.on(&format!("/{path}"), Reply::new(FRESH, "one").held_at(&head));
    }
    let everywhere =
        |path| ["a", "b", "c", "d"].map(|n| lab.send(n, Ask::get(&format!("/{path}"))));
    let viewers: Vec<Viewer> = (0..32).flat_map(everywhere).collect();
    lab.run();
    head.open();
    lab.run();
    assert!(viewers.iter().all(|viewer| viewer.body() == "one"));
    assert_eq!(lab.origin.count(), 32);
}

#[test]
fn who_has_the_whole_body_finds_it_in_the_cache() {
    let lab = Lab::three_tiers();
    let end = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "one").then("two").then_wait(&end));
    let first = lab.get("e1", "/a");
    assert_eq!((first.so_far().as_str(), first.end()), ("onetwo", None), "no end was said yet");
    let second = lab.get("e1", "/a");
    assert_eq!(second.answer(), (200, "onetwo".into()));
    assert_eq!(second.header("x-cache"), "Hit from shoal");
    end.open();
    lab.run();
    assert_eq!(first.answer(), (200, "onetwo".into()));
}

#[test]
fn a_body_of_no_bytes_is_kept_like_any_other() {
    for reply in [Reply::new(FRESH, ""), Reply::new(FRESH, "").unannounced()] {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", reply);
        assert_eq!(lab.get("e1", "/a").answer(), (200, String::new()));
        assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
        assert_eq!(lab.origin.count(), 1);
    }
}

#[test]
fn a_fill_outlives_the_viewer_who_started_it() {
    for hangs_up_before_the_head in [true, false] {
        let lab = Lab::three_tiers();
        let gate = Gate::default();
        lab.origin.on(
            "/a",
            match hangs_up_before_the_head {
                true => Reply::new(FRESH, "onetwo").held_at(&gate),
                false => Reply::new(FRESH, "one").then_wait(&gate).then("two"),
            },
        );
        let viewer = lab.get("e1", "/a");
        viewer.hang_up();
        lab.run();
        gate.open();
        lab.run();
        assert_eq!(viewer.end(), None);
        let next = lab.get("e1", "/a");
        assert_eq!(next.body(), "onetwo");
        assert_eq!(next.header("x-cache"), "Hit from shoal");
        assert_eq!(lab.origin.count(), 1);
    }
}

#[test]
fn a_viewer_who_reads_slowly_holds_up_nobody_else() {
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::new(FRESH, "one").then("two"));
    let gate = Gate::default();
    let slow = lab.send("n1", Ask::get("/a").reading_after(&gate));
    assert_eq!(lab.get("n1", "/a").body(), "onetwo");
    gate.open();
    lab.run();
    assert_eq!(slow.body(), "onetwo");
}

#[test]
fn a_failure_is_everyone_s_and_nobody_tries_again_behind_it() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let down = crate::OriginError::Unreachable("refused".into());
    lab.origin.on("/a", Reply::failure(down).held_at(&gate));
    let viewers: Vec<Viewer> = (0..10).map(|_| lab.send("e1", Ask::get("/a"))).collect();
    lab.run();
    gate.open();
    lab.run();
    assert!(viewers.iter().all(|viewer| viewer.status() == 502));
    assert_eq!(lab.origin.count(), 1);
    assert_eq!(lab.world("e1").fills.running(), 0);
}

#[test]
fn one_key_in_two_tiers_of_one_node_never_waits_for_itself() {
    let lab = Lab::of(&["a eu edge,regional", "s eu edge,shield"]);
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    let both = [lab.send("a", Ask::get("/a")), lab.send("s", Ask::get("/a"))];
    lab.run();
    for viewer in both {
        assert_eq!(viewer.answer(), (200, "hello".into()));
    }
    assert!(lab.origin.askers().iter().all(|asker| asker == "s"));
}
