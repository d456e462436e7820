//! What may not be kept is not shared either, and those who ask for it do not queue.
//!
//! What is one viewer's own must not reach another, whoever waited for the same fetch.

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::world::Lab;

const PROHIBITIONS: [&str; 5] = [
    "cache-control:no-store",
    "cache-control:private, max-age=60",
    "set-cookie:a=b",
    "cache-control:max-age=0",
    "vary:*",
];

fn crowd(lab: &Lab, name: &str) -> Vec<Viewer> {
    (0..12).map(|_| lab.send(name, Ask::get("/a"))).collect()
}

#[test]
fn what_may_not_be_kept_is_everyone_s_own() {
    for lines in PROHIBITIONS {
        let lab = Lab::three_tiers();
        let gate = Gate::default();
        let held = gate.clone();
        lab.origin.by("/a", move |seen| {
            Reply::new(lines, &format!("for {}", seen.earlier)).held_at(&held)
        });
        let viewers = crowd(&lab, "e1");
        lab.run();
        assert_eq!(lab.origin.count(), 1, "{lines}: nobody knows yet");
        gate.open();
        lab.run();
        let mut bodies: Vec<String> = viewers.iter().map(Viewer::body).collect();
        bodies.sort_unstable();
        bodies.dedup();
        assert_eq!(bodies.len(), 12, "{lines}");
        assert_eq!(lab.origin.count(), 12, "{lines}");
        assert!(!lab.is_stored_anywhere("/a"), "{lines}");
    }
}

#[test]
fn those_who_ask_again_go_straight_to_the_origin_all_at_once() {
    for lines in PROHIBITIONS {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", Reply::new(lines, "hello"));
        lab.get("e1", "/a").body();
        let gate = Gate::default();
        lab.origin.on("/a", Reply::new(lines, "hello").held_at(&gate));
        let viewers = crowd(&lab, "e1");
        lab.run();
        assert_eq!(lab.origin.count(), 13, "{lines}: nobody queues");
        assert!(lab.origin.askers()[1..].iter().all(|asker| asker == "e1"), "{lines}");
        gate.open();
        lab.run();
        assert!(viewers.iter().all(|viewer| viewer.answer() == (200, "hello".into())));
    }
}

#[test]
fn what_becomes_cacheable_is_shared_again() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:no-store", "hello"));
    lab.get("e1", "/a").body();
    lab.origin.on("/a", Reply::new("cache-control:max-age=1", "hello"));
    lab.get("e1", "/a").body();
    lab.wait(2);
    let viewers = crowd(&lab, "e1");
    lab.run();
    assert!(viewers.iter().all(|viewer| viewer.answer() == (200, "hello".into())));
    assert_eq!(lab.origin.count(), 3);
}

#[test]
fn what_was_uncacheable_is_tried_through_the_tiers_again_after_a_while() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:no-store", "hello"));
    lab.get("e1", "/a").body();
    lab.wait(model::limits::HIT_FOR_MISS.as_secs() + 1);
    lab.get("e1", "/a").body();
    assert_eq!(lab.origin.askers(), ["s1", "s1"]);
}

#[test]
fn a_cookie_with_an_explicit_lifetime_is_shared() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("set-cookie:a=b|cache-control:max-age=60", "hello"));
    let viewers = crowd(&lab, "e1");
    lab.run();
    assert!(viewers.iter().all(|viewer| viewer.body() == "hello"));
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn a_variant_that_turns_uncacheable_still_answers_a_crowd() {
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::new("cache-control:max-age=60|vary:accept-language", "shared"));
    lab.ask("n1", Ask::get("/a").with("accept-language:en")).body();
    let gate = Gate::default();
    let reply = Reply::new("cache-control:private|vary:accept-language", "own").held_at(&gate);
    lab.origin.on("/a", reply);
    let ask = || Ask::get("/a").with("accept-language:de");
    let viewers: Vec<Viewer> = (0..20).map(|_| lab.send("n1", ask())).collect();
    lab.run();
    gate.open();
    lab.run();
    for viewer in &viewers {
        assert_eq!(viewer.answer(), (200, "own".into()));
    }
    let second = Gate::default();
    let reply = Reply::new("cache-control:private|vary:accept-language", "own").held_at(&second);
    lab.origin.on("/a", reply);
    let before = lab.origin.count();
    let viewers: Vec<Viewer> = (0..20).map(|_| lab.send("n1", ask())).collect();
    lab.run();
    assert_eq!(lab.origin.count(), before + 20, "nobody queues");
    second.open();
    lab.run();
    assert!(viewers.iter().all(|viewer| viewer.status() == 200));
}

#[test]
fn a_viewer_who_wants_nothing_stored_undoes_the_sharing_of_nobody_else() {
    for own in ["cache-control:no-store", "authorization:Basic eDp5"] {
        let lab = Lab::alone();
        let gate = Gate::default();
        lab.origin.on("/a", Reply::new("cache-control:max-age=60", "hello").held_at(&gate));
        let careful = lab.send("n1", Ask::get("/a").with(own));
        let others = crowd(&lab, "n1");
        lab.run();
        gate.open();
        lab.run();
        assert_eq!(careful.body(), "hello");
        assert!(others.iter().all(|viewer| viewer.body() == "hello"));
        assert_eq!(lab.origin.count(), 2, "{own}: one for it, one for all others");
    }
}
