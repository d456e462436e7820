//! The way of a request through the tiers, and what each of them says of it.
//!
//! Beside the path itself: ages, accounts, and the request directives that force it.

use model::Tier;
use wire::exchange::{Answer, Failure};

use super::origin::Reply;
use super::viewer::Ask;
use super::world::{Lab, attributes};
use crate::account::{Source, Verdict};

const FRESH: &str = "cache-control:max-age=60|etag:\"1\"|content-type:text/plain";

#[test]
fn a_cold_object_costs_one_origin_request_and_every_tier_says_what_it_did() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    let first = lab.get("e1", "/a");
    assert_eq!(first.answer(), (200, "hello".into()));
    assert_eq!(first.header("x-cache"), "Miss from shoal");
    assert_eq!(first.header("age"), "0");
    assert_eq!(first.header("content-length"), "5");
    assert_eq!(first.header("content-type"), "text/plain");
    assert_eq!(first.header("via"), "1.1 e1.shoal");
    assert_eq!(
        first.header("cache-status"),
        "\"s1\"; fwd=uri-miss; stored; detail=shield, \
         \"r1\"; fwd=uri-miss; stored; detail=regional, \
         \"e1\"; fwd=uri-miss; stored; detail=edge",
    );
    assert_eq!(lab.origin.askers(), ["s1"]);
    assert_eq!(lab.world("e1").fills.running(), 0);

    lab.wait(7);
    let second = lab.get("e1", "/a");
    assert_eq!(second.answer(), (200, "hello".into()));
    assert_eq!(second.header("x-cache"), "Hit from shoal");
    assert_eq!(second.header("age"), "7");
    assert_eq!(second.header("cache-status"), "\"e1\"; hit; ttl=53; detail=edge");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn an_edge_that_misses_hits_one_tier_up_and_the_age_goes_on() {
    let lab = Lab::of(&["e1 eu edge", "e2 eu edge", "r1 eu regional", "s1 us shield"]);
    lab.origin.on("/a", Reply::new(FRESH, "hello").then("!"));
    lab.get("e1", "/a").body();
    lab.wait(10);
    let other = lab.get("e2", "/a");
    assert_eq!(other.body(), "hello!");
    assert_eq!(other.header("age"), "10");
    let said = other.header("cache-status");
    assert!(said.starts_with("\"r1\"; hit; ttl=50; detail=regional, \"e2\"; fwd=uri-miss"));
    lab.wait(10);
    assert_eq!(lab.get("e2", "/a").header("age"), "20");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn an_age_that_the_origin_names_counts() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(&format!("{FRESH}|age:20"), "hello"));
    assert_eq!(lab.get("e1", "/a").header("age"), "20");
    lab.wait(5);
    assert_eq!(lab.get("e1", "/a").header("age"), "25");
}

#[test]
fn the_origin_sees_one_via_and_the_viewer_but_no_field_of_the_connection() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a?b=~", Reply::new("connection:x-hop|x-hop:1|cache-control:max-age=9", ""));
    let ask = "connection:x-secret|x-secret:1|x-forwarded-for:10.0.0.1|x-kept:1|host:other";
    let viewer = lab.ask("e1", Ask::get("/x/../a?b=~").with(ask));
    assert_eq!((viewer.status(), viewer.header("x-hop")), (200, String::new()));
    let [seen] = &lab.origin.seen()[..] else { panic!("one request") };
    let named = |name| seen.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(seen.target, "/a?b=~");
    assert_eq!(named("via"), Some("1.1 s1.shoal"));
    assert_eq!(named("x-forwarded-for"), Some("10.0.0.1, 192.0.2.1"));
    assert_eq!(named("x-kept"), Some("1"));
    assert_eq!((named("x-secret"), named("connection"), named("host")), (None, None, None));
}

#[test]
fn a_node_that_is_every_owner_asks_the_origin_itself() {
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    let viewer = lab.get("n1", "/a");
    assert_eq!(viewer.body(), "hello");
    assert_eq!(viewer.header("cache-status"), "\"n1\"; fwd=uri-miss; stored; detail=edge");
    assert_eq!(lab.wires.asked(), []);
    assert_eq!(lab.origin.askers(), ["n1"]);
}

#[test]
fn in_a_mesh_of_equals_every_path_ends_at_one_owner_and_rank_only_rises() {
    let lab = Lab::of(&[
        "a eu edge,regional,shield",
        "b eu edge,regional,shield",
        "c eu edge,regional,shield",
        "d eu edge,regional,shield",
    ]);
    for target in ["/1", "/2", "/3", "/4", "/5"] {
        lab.origin.on(target, Reply::new(FRESH, target));
        for name in ["a", "b", "c", "d"] {
            assert_eq!(lab.get(name, target).body(), target);
        }
        let owner = lab.owner(Tier::Regional, target, 0);
        assert_eq!(lab.origin.askers().pop(), Some(owner.clone()));
        assert!(lab.wires.asked().iter().all(|asked| asked.from != asked.to));
    }
    assert_eq!(lab.origin.count(), 5);
    assert!(lab.wires.asked().iter().all(|asked| asked.tier > Tier::Edge));
}

#[test]
fn a_question_for_another_tier_or_an_unknown_distribution_is_misdirected() {
    let lab = Lab::three_tiers();
    for (name, tier, distribution) in [
        ("e1", Tier::Regional, "shop"),
        ("r1", Tier::Shield, "shop"),
        ("s1", Tier::Edge, "shop"),
        ("r1", Tier::Regional, "blog"),
    ] {
        let distribution = distribution.parse().unwrap();
        let attributes = model::Attributes { distribution, ..attributes("/a") };
        let answer = lab.inquire(name, tier, attributes);
        assert_eq!(answer, Answer::Failed(Failure::Misdirected), "{name} {tier}");
    }
    assert_eq!(lab.origin.count(), 0);
}

#[test]
fn every_request_leaves_one_account_on_every_node_it_touched() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    lab.get("e1", "/a").body();
    lab.get("e1", "/a").body();
    let [miss, hit] = &lab.accounts("e1")[..] else { panic!("two accounts") };
    assert_eq!(miss.verdict, Verdict::Forwarded(caching::Why::Missing));
    assert_eq!(miss.source, Source::Peer("r1".parse().unwrap(), Tier::Regional));
    assert!(miss.stored && !miss.collapsed && !miss.is_hit());
    assert_eq!((hit.verdict, hit.source.clone()), (Verdict::Hit, Source::Here));
    assert_eq!((hit.status.as_u16(), hit.body_bytes), (200, Some(5)));
    let [shield] = &lab.accounts("s1")[..] else { panic!("one account") };
    assert_eq!((shield.tier, shield.source.clone()), (Tier::Shield, Source::Origin));
}

#[test]
fn a_request_for_no_cache_is_answered_by_the_origin_through_every_tier() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| Reply::new(FRESH, "hello").or_not_modified(seen));
    lab.get("e1", "/a").body();
    let again = lab.ask("e1", Ask::get("/a").with("cache-control:no-cache"));
    assert_eq!(again.answer(), (200, "hello".into()));
    assert_eq!(again.header("x-cache"), "RefreshHit from shoal");
    assert_eq!(again.header("cache-status").matches("fwd=request").count(), 3);
    assert_eq!(lab.origin.askers(), ["s1", "s1"]);

    lab.origin.on("/a", Reply::new("cache-control:max-age=60|etag:\"2\"", "bye"));
    let changed = lab.ask("e1", Ask::get("/a").with("cache-control:no-cache"));
    assert_eq!(changed.answer(), (200, "bye".into()));
    assert_eq!(lab.get("e1", "/a").answer(), (200, "bye".into()));
    assert_eq!(lab.origin.count(), 3);
}

#[test]
fn only_if_cached_asks_nobody() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    let cold = lab.ask("e1", Ask::get("/a").with("cache-control:only-if-cached"));
    assert_eq!(cold.status(), 504);
    assert_eq!((lab.origin.count(), lab.wires.asked().len()), (0, 0));
    lab.get("e1", "/a").body();
    let warm = lab.ask("e1", Ask::get("/a").with("cache-control:only-if-cached"));
    assert_eq!(warm.answer(), (200, "hello".into()));
}
