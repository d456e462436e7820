//! What other standards than caching ask of a node: loops, hop counts, expectations, fields that
//! are targeted or withheld.
//!
//! Decided in `caching`; here it is shown to reach viewers, peers and origins through three tiers.

use http::Method;

use super::origin::{Gate, Reply, Seen};
use super::viewer::Ask;
use super::world::Lab;

fn seen_field(seen: &Seen, name: &str) -> Vec<String> {
    let lines = seen.headers.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_request_that_comes_back_is_refused() {
    // RFC 8586 §2.
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("", "hello"));
    lab.ask("e1", Ask::get("/a").with("cdn-loop:other.cdn")).body();
    lab.ask("e1", Ask::with_method(Method::POST, "/a").with("cdn-loop:other.cdn")).body();
    let ours = "lab.shoal; distribution=shop";
    for seen in lab.origin.seen() {
        assert_eq!(seen_field(&seen, "cdn-loop"), ["other.cdn", ours], "{}", seen.method);
    }
    for method in [Method::GET, Method::POST] {
        let back = Ask::with_method(method, "/a").with(&format!("cdn-loop:other.cdn, {ours}"));
        let back = lab.ask("e1", back.with("connection:cdn-loop"));
        assert_eq!(back.status(), 508);
        assert!(back.header("cache-status").ends_with("detail=cdn-loop"));
    }
    assert_eq!(lab.origin.count(), 2, "it goes no further");
}

#[test]
fn max_forwards_ends_options_here_or_one_hop_on() {
    // RFC 9110 §7.6.2.
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("allow:GET", ""));
    let options = |field: &str| Ask::with_method(Method::OPTIONS, "/a").with(field);
    let here = lab.ask("e1", options("max-forwards:0"));
    assert_eq!(here.status(), 204);
    assert!(here.header("allow").contains("OPTIONS"));
    assert_eq!(lab.origin.count(), 0);
    assert_eq!(lab.ask("e1", options("max-forwards:1")).header("allow"), "GET");
    assert_eq!(seen_field(&lab.origin.seen()[0], "max-forwards"), ["0"]);
}

#[test]
fn what_nobody_can_expect_is_refused() {
    // RFC 9110 §10.1.1.
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("", "hello"));
    let refused = lab.ask("e1", Ask::get("/a").with("expect:miracles"));
    assert_eq!(refused.status(), 417);
    assert!(refused.header("cache-status").contains("detail=expectation"));
    assert_eq!(lab.origin.count(), 0);
    let post = Ask::with_method(Method::POST, "/a").with("expect:100-continue");
    assert_eq!(lab.ask("e1", post).status(), 200);
    assert!(!lab.origin.seen()[0].headers.contains_key("expect"), "it was met here");
}

#[test]
fn a_targeted_field_decides_in_every_tier_and_travels_on() {
    // RFC 9213 §2.2.
    let lab = Lab::three_tiers();
    let fields = "cdn-cache-control:max-age=60|cache-control:no-store|etag:\"1\"";
    lab.origin.by("/a", move |seen| Reply::new(fields, "hello").or_not_modified(seen));
    for (at, age) in [(0, "0"), (59, "59")] {
        lab.wait(at);
        let viewer = lab.get("e1", "/a");
        assert_eq!((viewer.body(), viewer.header("age")), ("hello".into(), age.into()));
        assert_eq!(viewer.header("cdn-cache-control"), "max-age=60");
        assert_eq!(viewer.header("cache-control"), "no-store");
    }
    assert_eq!(lab.origin.count(), 1);
    lab.wait(1);
    let viewer = lab.get("e1", "/a");
    assert_eq!((viewer.body(), viewer.header("age")), ("hello".into(), "0".into()));
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn a_withheld_field_is_for_the_request_that_brought_it() {
    // RFC 9111 §5.2.2.4 and §5.2.2.7.
    for directive in ["no-cache", "private"] {
        let lab = Lab::three_tiers();
        let fields = format!("cache-control:max-age=60, {directive}=\"X-One\"|x-one:1|x-two:2");
        let gate = Gate::default();
        lab.origin.on("/a", Reply::new(&fields, "hello").held_at(&gate));
        let viewers = [(); 3].map(|()| lab.send("e1", Ask::get("/a")));
        lab.run();
        gate.open();
        lab.run();
        assert_eq!(lab.origin.count(), 1, "they wait together");
        let told: Vec<String> = viewers.iter().map(|viewer| viewer.header("x-one")).collect();
        assert_eq!(told, ["1", "", ""], "{directive}");
        let again = lab.get("e1", "/a");
        assert_eq!((again.header("x-one"), again.header("x-two")), ("".into(), "2".into()));
        assert_eq!(again.header("x-cache"), "Hit from shoal");
    }
}

#[test]
fn what_a_304_says_reaches_the_viewer_through_every_tier() {
    // RFC 9111 §3.2 and §4.3.4.
    let lab = Lab::three_tiers();
    let etag = "cache-control:max-age=10|etag:\"1\"";
    lab.origin.on("/a", Reply::new(&format!("{etag}|x-one:old|x-two:kept"), "hello"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    lab.origin.on("/a", Reply::status(304, &format!("{etag}|x-one:new|x-three:added"), ""));
    for verdict in ["RefreshHit from shoal", "Hit from shoal"] {
        let viewer = lab.get("e1", "/a");
        assert_eq!((viewer.body(), viewer.header("x-cache")), ("hello".into(), verdict.into()));
        let told = ["x-one", "x-two", "x-three"].map(|name| viewer.header(name));
        assert_eq!(told, ["new", "kept", "added"], "{verdict}");
    }
}

#[test]
fn what_the_next_hop_said_is_told_where_the_viewer_hears_something_else() {
    // RFC 9211 §2.3: without fwd-status it would be the status that was sent.
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::new("cache-control:no-store|etag:\"1\"", "hello"));
    for (fields, status, expect) in [
        ("", 200, "fwd=uri-miss; detail=no-store"),
        ("if-none-match:\"1\"", 304, "fwd=uri-miss; fwd-status=200; detail=no-store"),
        ("range:bytes=0-1", 206, "fwd=uri-miss; fwd-status=200; detail=no-store"),
    ] {
        let viewer = lab.ask("n1", Ask::get("/a").with(fields));
        assert_eq!(viewer.status(), status);
        assert_eq!(viewer.header("cache-status"), format!("\"n1\"; {expect}"), "{fields}");
    }
}

#[test]
fn every_miss_says_why() {
    // RFC 9211 §2.2 and §2.8.
    let lab = Lab::alone();
    lab.origin.by("/a", |seen| {
        Reply::new("cache-control:max-age=60|etag:\"1\"|vary:x", "hello").or_not_modified(seen)
    });
    lab.get("n1", "/a").body();
    lab.wait(20);
    for (fields, expect) in [
        ("cache-control:no-cache", "fwd=request; fwd-status=304; stored; detail=no-cache"),
        ("x:1", "fwd=vary-miss; stored; detail=edge"),
    ] {
        let viewer = lab.ask("n1", Ask::get("/a").with(fields));
        assert_eq!(viewer.header("cache-status"), format!("\"n1\"; {expect}"), "{fields}");
    }
    lab.wait(20);
    for (fields, expect) in [
        ("cache-control:max-age=10", "fwd=request; fwd-status=304; stored; detail=max-age"),
        ("cache-control:min-fresh=70", "fwd=request; fwd-status=304; stored; detail=min-fresh"),
    ] {
        let viewer = lab.ask("n1", Ask::get("/a").with(fields));
        assert_eq!(viewer.header("cache-status"), format!("\"n1\"; {expect}"), "{fields}");
    }
    for (target, fields, expect) in [
        ("/private", "cache-control:private", "private"),
        ("/no-store", "cache-control:no-store", "no-store"),
        ("/status", "", "status"),
        ("/vary", "vary:*", "vary-any"),
        ("/cookie", "set-cookie:a=b", "set-cookie"),
        ("/never", "cache-control:max-age=0", "never-fresh"),
    ] {
        let status = if target == "/status" { 403 } else { 200 };
        lab.origin.on(target, Reply::status(status, fields, "hello"));
        let said = lab.get("n1", target).header("cache-status");
        assert_eq!(said, format!("\"n1\"; fwd=uri-miss; detail={expect}"), "{target}");
    }
    lab.origin.on("/no-cache", Reply::new("cache-control:no-cache|etag:\"1\"", "hello"));
    lab.get("n1", "/no-cache").body();
    let said = lab.get("n1", "/no-cache").header("cache-status");
    assert_eq!(said, "\"n1\"; fwd=stale; stored; detail=no-cache");
    let said = lab.ask("n1", Ask::get("/b").with("cache-control:only-if-cached"));
    assert_eq!(said.header("cache-status"), "\"n1\"; detail=only-if-cached");
}
