//! Requests that end here: each with its status, a sentence, and nothing kept.
//!
//! A refusal asks nobody, and an origin that fails is asked once for each viewer.

use http::Method;

use super::origin::Reply;
use super::viewer::Ask;
use super::world::Lab;
use crate::OriginError;

#[test]
fn what_is_wrong_with_a_request_is_said_and_nobody_is_asked() {
    let lab = Lab::three_tiers();
    for (name, ask, status, detail) in [
        ("e1", Ask::get("/a").at_host("other.example"), 421, "unknown-host"),
        ("e1", Ask::get("/a").at_host(""), 400, "bad-host"),
        ("e1", Ask::get("/a").at_host("a b"), 400, "bad-host"),
        ("e1", Ask::get("/a").at_host("shop.example:x"), 400, "bad-host"),
        ("e1", Ask::get("a"), 400, "bad-target"),
        ("e1", Ask::get("*"), 400, "bad-target"),
        ("e1", Ask::get("/\u{e9}"), 400, "bad-target"),
        ("e1", Ask::get(&format!("/{}", "a".repeat(9_000))), 400, "bad-target"),
        ("e1", Ask::with_method(Method::CONNECT, "/a"), 405, "method"),
        ("e1", Ask::with_method(Method::TRACE, "/a"), 405, "method"),
        ("r1", Ask::get("/a"), 421, "not-an-edge"),
        ("s1", Ask::get("/a"), 421, "not-an-edge"),
    ] {
        let viewer = lab.ask(name, ask);
        assert_eq!(viewer.status(), status, "{detail}");
        assert!(viewer.body().starts_with(&format!("{status} ")), "{detail}");
        assert!(viewer.header("cache-status").contains(detail), "{detail}");
        assert_eq!(lab.accounts(name).pop().unwrap().detail, Some(detail));
        assert_eq!(!viewer.header("allow").is_empty(), status == 405);
    }
    assert_eq!((lab.origin.count(), lab.wires.asked().len()), (0, 0));
}

#[test]
fn a_host_is_matched_however_it_is_written() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=60", "hello"));
    for host in ["shop.example", "SHOP.Example", "shop.example:8443", "shop.example."] {
        assert_eq!(lab.ask("e1", Ask::get("/a").at_host(host)).status(), 200, "{host}");
    }
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn an_origin_that_fails_is_named_in_words_and_nothing_is_kept() {
    for (error, status, sentence) in [
        (OriginError::Unreachable("refused".into()), 502, "cannot be reached"),
        (OriginError::TimedOut("silent".into()), 504, "did not answer in time"),
    ] {
        let lab = Lab::three_tiers();
        lab.origin.on("/a", Reply::failure(error));
        for request in 1..=2 {
            let viewer = lab.get("e1", "/a");
            assert_eq!(viewer.status(), status);
            assert!(viewer.body().contains(sentence), "{}", viewer.body());
            assert_eq!(viewer.header("x-cache"), "Error from shoal");
            assert_eq!(lab.origin.count(), request, "it is asked once for each viewer");
        }
        assert!(!lab.is_stored_anywhere("/a"));
        lab.origin.on("/a", Reply::new("cache-control:max-age=60", "back"));
        assert_eq!(lab.get("e1", "/a").answer(), (200, "back".into()));
    }
}

#[test]
fn an_origin_with_no_connection_left_means_come_back_later() {
    let lab = Lab::alone();
    lab.origin.on("/a", Reply::failure(OriginError::Overloaded));
    let viewer = lab.get("n1", "/a");
    assert_eq!(viewer.status(), 503);
    assert!(viewer.body().contains("too many requests"));
}

#[test]
fn a_refused_head_has_no_body() {
    let lab = Lab::three_tiers();
    let viewer = lab.ask("e1", Ask::head("/a").at_host("other.example"));
    assert_eq!(viewer.answer(), (421, String::new()));
}

#[test]
fn an_error_of_the_origin_is_passed_on_as_it_is() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::status(503, "retry-after:9", "busy"));
    let viewer = lab.get("e1", "/a");
    assert_eq!(viewer.answer(), (503, "busy".into()));
    assert_eq!(viewer.header("retry-after"), "9");
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn a_page_that_is_not_there_is_kept_for_a_moment() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::status(404, "", "nothing here"));
    for _ in 0..2 {
        assert_eq!(lab.get("e1", "/a").answer(), (404, "nothing here".into()));
    }
    assert_eq!(lab.origin.count(), 1);
    lab.wait(11);
    lab.get("e1", "/a").body();
    assert_eq!(lab.origin.count(), 2);
}
