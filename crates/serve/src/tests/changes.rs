//! Requests that change something: what the origin's answer does away with goes everywhere.
//!
//! The lab's log takes purges only when the test says so: what was asked of it is looked at, and
//! then applied.

use control::Command;
use http::Method;
use model::{Effect, Invalidation, Purging, UnsafeMethods};

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::world::Lab;
use crate::OriginError;

const FRESH: &str = "cache-control:max-age=60";

fn change(lab: &Lab, method: &str, target: &str) -> Viewer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    lab.ask("e1", Ask::with_method(method, target))
}

fn scopes(lab: &Lab) -> Vec<String> {
    let purged = lab.purged("e1");
    assert!(purged.iter().all(|purge| purge.effect == Effect::Hard));
    purged.iter().flat_map(|purge| &purge.scopes).map(ToString::to_string).collect()
}

/// Everything that viewers have purged through `e1` enters the log, and `e1` alone applies it.
fn commit(lab: &Lab) {
    for Invalidation { distribution, scopes, effect } in lab.purged("e1") {
        lab.log(Command::Invalidate(Invalidation { distribution, scopes, effect }));
    }
    lab.catch_up("e1");
}

#[test]
fn a_change_purges_its_url_and_what_its_answer_names() {
    // RFC 9111 §4.4.
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"] {
        let lab = Lab::three_tiers();
        let named = "location:/new|content-location:https://shop.example/a/1";
        lab.origin.on("/a?b", Reply::status(201, named, "made"));
        assert_eq!(change(&lab, method, "/a?b").answer(), (201, "made".into()));
        let expect = ["/a/1", "/a?b", "/new"].map(|path| format!("https://shop.example{path}"));
        assert_eq!(scopes(&lab), expect, "{method}");
    }
}

#[test]
fn who_has_the_answer_finds_nothing_old_through_the_same_node() {
    // RFC 9111 §4.4: mesh-wide, although the other tiers have not heard of it yet.
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "old"));
    assert_eq!(lab.get("e1", "/a").body(), "old");
    lab.origin.on("/a", Reply::status(204, "", ""));
    assert_eq!(change(&lab, "DELETE", "/a").status(), 204);
    commit(&lab);
    lab.origin.on("/a", Reply::new(FRESH, "new"));
    let next = lab.get("e1", "/a");
    assert_eq!((next.body(), next.header("x-cache")), ("new".into(), "Miss from shoal".into()));
    lab.catch_up_all();
    for name in ["r1", "s1"] {
        let tier = if name == "r1" { model::Tier::Regional } else { model::Tier::Shield };
        let answer = lab.inquire(name, tier, super::world::attributes("/a"));
        let wire::exchange::Answer::Response(head) = answer else { panic!("{answer:?}") };
        assert_eq!(head.body_bytes, Some(3));
    }
    assert_eq!(lab.get("e1", "/a").body(), "new");
}

#[test]
fn a_change_counts_even_if_its_viewer_left_before_the_answer() {
    // RFC 9111 §4.4.
    for method in ["POST", "PUT", "DELETE", "M-SEARCH"] {
        let lab = Lab::three_tiers();
        let gate = Gate::default();
        let answer = Reply::status(201, "location:/new", "made").then_wait(&Gate::default());
        lab.origin.on("/a", answer.held_at(&gate));
        let viewer = change(&lab, method, "/a");
        assert_eq!((viewer.waits(), lab.world("e1").changes.running()), (true, 1), "{method}");
        viewer.hang_up();
        lab.run();
        assert_eq!((lab.origin.count(), scopes(&lab).len()), (1, 0), "{method}");
        gate.open();
        lab.run();
        let expect = ["/a", "/new"].map(|path| format!("https://shop.example{path}"));
        assert_eq!(scopes(&lab), expect, "{method}");
        assert_eq!(lab.world("e1").changes.running(), 0, "{method}");
    }
}

#[test]
fn what_changes_nothing_ends_with_its_viewer() {
    for (method, unsafe_methods) in
        [("OPTIONS", UnsafeMethods::Invalidate), ("POST", UnsafeMethods::Ignore)]
    {
        let lab = Lab::three_tiers();
        lab.purging(Purging { unsafe_methods, ..Purging::default() });
        let gate = Gate::default();
        lab.origin.on("/a", Reply::new("", "fine").held_at(&gate));
        change(&lab, method, "/a").hang_up();
        gate.open();
        lab.run();
        assert_eq!(scopes(&lab), [""; 0], "{method}");
        assert_eq!(lab.world("e1").changes.running(), 0, "{method}");
    }
}

#[test]
fn what_fails_or_changes_nothing_purges_nothing() {
    // RFC 9111 §4.4.
    let lab = Lab::three_tiers();
    for status in [400, 404, 500, 503] {
        lab.origin.on("/a", Reply::status(status, "location:/x", "no"));
        assert_eq!(change(&lab, "POST", "/a").status(), status);
    }
    lab.origin.on("/a", Reply::failure(OriginError::Unreachable("reset".into())));
    assert_eq!(change(&lab, "POST", "/a").status(), 502);
    lab.origin.on("/a", Reply::new("cache-group-invalidation:\"g\"|location:/x", "fine"));
    for method in ["GET", "HEAD", "OPTIONS", "PROPFIND"] {
        assert_eq!(change(&lab, method, "/a").status(), 200);
    }
    assert_eq!(scopes(&lab), [""; 0]);
}

#[test]
fn a_group_goes_with_everything_in_it() {
    // RFC 9875 §2 and §3.
    let lab = Lab::three_tiers();
    for (target, groups) in [("/1", "\"a\", \"b c\""), ("/2", "\"b c\""), ("/3", "\"c\"")] {
        lab.origin.on(target, Reply::new(&format!("{FRESH}|cache-groups:{groups}"), "old"));
        assert_eq!(lab.get("e1", target).header("cache-groups"), groups, "viewers see it too");
        lab.origin.on(target, Reply::new(FRESH, "new"));
    }
    lab.origin.on("/form", Reply::new("cache-group-invalidation:\"b c\"", "done"));
    change(&lab, "POST", "/form").body();
    assert_eq!(scopes(&lab)[1], "tag cache-group:shop.example:b%20c");
    commit(&lab);
    for (target, expect) in [("/1", "new"), ("/2", "new"), ("/3", "old")] {
        assert_eq!(lab.get("e1", target).body(), expect, "{target}");
    }
}

/// A POST whose answer says that it is what lies at its URL, with purges that nobody waits for.
fn posted(lab: &Lab, reply: Reply) {
    let unsafe_methods = UnsafeMethods::Ignore;
    lab.purging(Purging { unsafe_methods, ..Purging::default() });
    lab.origin.on("/a", reply);
    assert_eq!(change(lab, "POST", "/a").status(), 200);
    lab.origin.on("/a", Reply::new(FRESH, "gotten"));
}

#[test]
fn what_a_post_brings_answers_later_gets_when_it_says_so() {
    // RFC 9110 §9.3.3.
    let lab = Lab::three_tiers();
    let fresh = format!("{FRESH}|content-location:/a|etag:\"1\"");
    posted(&lab, Reply::new(&fresh, "pos").then("ted"));
    let again = lab.get("e1", "/a");
    assert_eq!((again.body(), again.header("x-cache")), ("posted".into(), "Hit from shoal".into()));
    assert_eq!(again.header("etag"), "\"1\"");
    lab.wait(60);
    assert_eq!(lab.get("e1", "/a").body(), "gotten");
    for reply in [
        Reply::new(FRESH, "posted"),
        Reply::new("content-location:/a", "posted"),
        Reply::new(&format!("{fresh}|age:5"), "posted"),
        Reply::new(&fresh, "posted").then_break().announced(9),
    ] {
        let lab = Lab::three_tiers();
        posted(&lab, reply);
        assert_eq!(lab.get("e1", "/a").body(), "gotten");
    }
}

#[test]
fn what_a_post_brings_is_purged_like_anything_else() {
    let lab = Lab::three_tiers();
    posted(&lab, Reply::new(&format!("{FRESH}|content-location:/a"), "posted"));
    lab.purge("/a");
    assert_eq!(lab.get("e1", "/a").body(), "gotten");
}

#[test]
fn a_response_reflects_its_own_purge_when_nothing_else_came_between() {
    // Rule R1: it is kept as of the entry that invalidates what it replaces, or not at all.
    let lab = Lab::alone();
    let purge = || {
        let shop = "shop".parse().unwrap();
        let scopes = vec![model::Scope::All];
        lab.log(Command::Invalidate(Invalidation {
            distribution: shop,
            scopes,
            effect: Effect::Hard,
        }))
    };
    let before = lab.world("n1").ledger.state().applied();
    let (first, second) = (purge(), purge());
    let after = |as_of, position: model::LogPosition| {
        let state = lab.world("n1").ledger.state();
        let id = control::CommandId(u128::from(position.index()) - 1).to_string();
        crate::post::after(&state, &"shop".parse().unwrap(), as_of, &id)
    };
    assert_eq!(after(before, first), None, "it is not applied here");
    lab.catch_up("n1");
    assert_eq!(after(first, second), Some(second));
    assert_eq!(after(before, second), None, "another one came between");
    assert_eq!(after(before, first), None, "another one came after");
    assert_eq!(after(second, second), None, "it was there before");
}

#[test]
fn a_distribution_may_have_changes_purge_nothing() {
    let lab = Lab::three_tiers();
    let unsafe_methods = UnsafeMethods::Ignore;
    lab.purging(Purging { unsafe_methods, ..Purging::default() });
    lab.origin.on("/a", Reply::new("cache-group-invalidation:\"g\"", "done"));
    change(&lab, "POST", "/a").body();
    assert_eq!(scopes(&lab), [""; 0]);
}
