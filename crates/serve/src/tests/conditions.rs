//! HEAD, conditions and ranges: answered here, from what is stored and from what still arrives.
//!
//! What a viewer says of its own copy is answered from ours and never sent further up.

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
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
    for name in ["if-none-match", "if-range", "if-modified-since"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(seen.headers["range"], "bytes=0-1048575", "a slice, in case it is large");
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
        ("range:bytes=0-1,4-5", 206, "bytes 0-5/10", "012345"),
        ("range:bytes=-3,10-", 206, "bytes 7-9/10", "789"),
        ("range:chars=2-5", 200, "", "0123456789"),
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

/// The bodies of the parts of a multipart answer, each after its `Content-Range`.
fn parts(viewer: &Viewer) -> Vec<(String, String)> {
    let content_type = viewer.header("content-type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let body = viewer.body();
    assert_eq!(viewer.header("content-length"), body.len().to_string());
    let body = body.strip_prefix(&format!("--{boundary}\r\n")).unwrap();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap();
    let part = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        let [of_type, range] = head.split("\r\n").collect::<Vec<_>>()[..] else {
            panic!("two fields: {head}")
        };
        assert_eq!(of_type, "Content-Type: text/plain");
        (range.strip_prefix("Content-Range: bytes ").unwrap().into(), content.into())
    };
    body.split(&format!("\r\n--{boundary}\r\n")).map(part).collect()
}

#[test]
fn several_ranges_come_as_one_multipart_body() {
    let content: String = ('a'..='z').cycle().take(1_000).collect();
    let typed = "cache-control:max-age=60|etag:\"1\"|content-type:text/plain";
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let (early, late) = content.split_at(450);
    lab.origin.on("/a", Reply::new(typed, early).then_wait(&gate).then(late));
    let whole = lab.get("e1", "/a");
    let ask = || Ask::get("/a").with("range:bytes=900-909,0-4,400-499,-10,2000-");
    let coming = lab.ask("e1", ask());
    assert_eq!((coming.status(), coming.header("content-range")), (206, String::new()));
    assert!(coming.so_far().contains(&content[400..450]), "what is here goes out");
    gate.open();
    lab.run();
    let slice = |range: std::ops::Range<usize>| content[range].to_owned();
    let [one, two, three, four] = [
        ("0-4/1000".into(), slice(0..5)),
        ("400-499/1000".into(), slice(400..500)),
        ("900-909/1000".into(), slice(900..910)),
        ("990-999/1000".into(), slice(990..1_000)),
    ];
    let ascending = [one.clone(), two.clone(), three.clone(), four.clone()];
    assert_eq!(parts(&coming), ascending);
    assert_eq!(whole.body(), content);
    let stored = lab.ask("e1", ask());
    assert_eq!(parts(&stored), [three, one, two, four], "in the order asked for");
    assert_eq!(stored.header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn what_has_parts_says_so_and_a_head_ignores_the_range() {
    let lab = warm();
    assert_eq!(lab.get("e1", "/a").header("accept-ranges"), "bytes");
    let head = lab.ask("e1", Ask::head("/a").with("range:bytes=2-5"));
    assert_eq!(head.answer(), (200, String::new()));
    assert_eq!(head.header("content-length"), "10");
}

#[test]
fn a_part_that_the_origin_sends_unasked_is_passed_on_as_a_part_and_not_kept() {
    // RFC 9111 §3.3: it is not a complete response.
    let lab = Lab::three_tiers();
    let lines = format!("{FRESH}|content-range:bytes 2-5/10");
    lab.origin.on("/a", Reply::status(206, &lines, "2345"));
    for count in 1..3 {
        assert_eq!(lab.get("e1", "/a").answer(), (206, "2345".into()));
        assert_eq!(lab.origin.count(), count);
    }
    assert!(!lab.is_stored_anywhere("/a"));
}
