//! HEAD, conditions and ranges: answered here, from what is stored and from what still arrives.
//!
//! What a viewer says of its own copy is answered from ours and never sent further up.

use super::origin::{Gate, Reply};
use super::viewer::Ask;
use super::world::Lab;

const FRESH: &str = "cache-control:max-age=60|etag:\"1\"";

fn warm() -> Lab {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "0123").then("456789"));
    lab.get("e1", "/a").body();
    lab
}

#[test]
fn a_head_is_answered_from_what_a_get_brought() {
    let lab = warm();
    let head = lab.ask("e1", Ask::head("/a"));
    assert_eq!(head.answer(), (200, String::new()));
    assert_eq!((head.header("content-length"), head.header("etag")), ("10".into(), "\"1\"".into()));
    assert_eq!(head.header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn a_head_of_what_is_not_here_brings_it() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "hello"));
    let head = lab.ask("e1", Ask::head("/a"));
    assert_eq!(head.answer(), (200, String::new()));
    assert_eq!(head.header("content-length"), "5");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "hello".into()));
    let methods: Vec<String> =
        lab.origin.seen().iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["GET"]);
}

#[test]
fn conditions_are_evaluated_against_the_stored_response() {
    let lab = warm();
    for (condition, status, body) in [
        ("if-none-match:\"1\"", 304, ""),
        ("if-none-match:W/\"1\"", 304, ""),
        ("if-none-match:*", 304, ""),
        ("if-none-match:\"2\"", 200, "0123456789"),
        ("if-match:\"1\"", 200, "0123456789"),
        ("if-match:\"2\"", 412, ""),
        ("if-none-match:\"1\"|range:bytes=0-1", 304, ""),
    ] {
        let viewer = lab.ask("e1", Ask::get("/a").with(condition));
        assert_eq!(viewer.answer(), (status, body.into()), "{condition}");
        assert!(viewer.header("cache-status").contains("hit"), "{condition}");
    }
    let known = lab.ask("e1", Ask::get("/a").with("if-none-match:\"1\""));
    assert_eq!(known.header("etag"), "\"1\"");
    assert_eq!(known.header("content-length"), "");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn a_304_from_the_cache_says_how_old_the_stored_response_is() {
    // RFC 9111 §4: a stored response used without validation carries an Age.
    let lab = warm();
    lab.wait(7);
    let known = lab.ask("e1", Ask::get("/a").with("if-none-match:\"1\""));
    assert_eq!((known.status(), known.header("age")), (304, "7".into()));
}

#[test]
fn the_viewer_s_condition_and_range_never_reach_the_origin() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "0123456789"));
    let asked = "if-none-match:\"1\"|range:bytes=2-3|if-range:\"1\"|if-modified-since:x";
    let viewer = lab.ask("e1", Ask::get("/a").with(asked));
    assert_eq!(viewer.status(), 304);
    let [seen] = &lab.origin.seen()[..] else { panic!("one request") };
    for name in ["if-none-match", "range", "if-range", "if-modified-since"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(lab.get("e1", "/a").body(), "0123456789");
}

#[test]
fn ranges_are_cut_from_what_is_stored() {
    let lab = warm();
    for (asked, status, content_range, body) in [
        ("range:bytes=2-5", 206, "bytes 2-5/10", "2345"),
        ("range:bytes=-3", 206, "bytes 7-9/10", "789"),
        ("range:bytes=9-99", 206, "bytes 9-9/10", "9"),
        ("range:bytes=10-", 416, "bytes */10", ""),
        ("range:bytes=0-1,4-5", 200, "", "0123456789"),
        ("range:bytes=2-5|if-range:\"1\"", 206, "bytes 2-5/10", "2345"),
        ("range:bytes=2-5|if-range:\"2\"", 200, "", "0123456789"),
    ] {
        let viewer = lab.ask("e1", Ask::get("/a").with(asked));
        assert_eq!(viewer.answer(), (status, body.into()), "{asked}");
        assert_eq!(viewer.header("content-range"), content_range, "{asked}");
        let length = viewer.header("content-length");
        assert!(status == 416 || length == body.len().to_string(), "{asked}: {length}");
    }
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn ranges_are_cut_from_what_still_arrives() {
    for (asked, status, early, body) in [
        ("range:bytes=2-5", 206, "23", "2345"),
        ("range:bytes=0-3", 206, "0123", "0123"),
        ("range:bytes=6-", 206, "", "6789"),
        ("range:bytes=10-", 416, "", ""),
        ("range:bytes=2-5|if-range:\"2\"", 200, "0123", "0123456789"),
    ] {
        let lab = Lab::three_tiers();
        let gate = Gate::default();
        lab.origin.on("/a", Reply::new(FRESH, "0123").then_wait(&gate).then("456789"));
        let first = lab.get("e1", "/a");
        let second = lab.ask("e1", Ask::get("/a").with(asked));
        assert_eq!((second.status(), second.so_far()), (status, early.into()), "{asked}");
        gate.open();
        lab.run();
        assert_eq!(second.answer(), (status, body.into()), "{asked}");
        assert_eq!(first.body(), "0123456789");
        assert_eq!(lab.origin.count(), 1);
    }
}

#[test]
fn a_range_of_a_body_of_unknown_length_is_the_whole() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new(FRESH, "0123").then("456789").unannounced());
    let cold = lab.ask("e1", Ask::get("/a").with("range:bytes=2-5"));
    assert_eq!(cold.answer(), (200, "0123456789".into()));
    let warm = lab.ask("e1", Ask::get("/a").with("range:bytes=2-5"));
    assert_eq!(warm.answer(), (206, "2345".into()));
}
