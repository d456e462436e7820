//! Methods that no cache answers: from the edge straight to the origin and back, unharmed.
//!
//! Bodies and trailers stream both ways; nothing is stored, collapsed or tried again.

use futures_util::{StreamExt, stream};
use http::Method;

use super::origin::{Gate, Reply};
use super::viewer::{Ask, fields};
use super::world::Lab;
use crate::{Body, Chunk};

fn form() -> Body {
    let chunks =
        [Chunk::Data("a=".into()), Chunk::Data("b".into()), Chunk::Trailers(fields("x-sum:7"))];
    Body::Stream { stream: stream::iter(chunks.map(Ok)).boxed(), bytes: Some(3) }
}

#[test]
fn a_post_streams_through_with_trailers_both_ways() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    let reply = Reply::status(201, "location:/new|x-hop:1|connection:x-hop", "made ");
    let reply = reply.then_wait(&gate).then("it").then_trailers("x-time:5").unannounced();
    lab.origin.on("/a", reply);
    let viewer = lab.ask("e1", Ask::with_method(Method::POST, "/a").body(form()));
    assert_eq!((viewer.status(), viewer.so_far()), (201, "made ".into()), "it streams");
    gate.open();
    lab.run();
    assert_eq!(viewer.body(), "made it");
    assert_eq!(viewer.trailers(), Some(fields("x-time:5")));
    assert_eq!((viewer.header("location"), viewer.header("x-hop")), ("/new".into(), "".into()));
    assert_eq!(viewer.header("x-cache"), "Miss from shoal");
    let [seen] = &lab.origin.seen()[..] else { panic!("one request") };
    assert_eq!((seen.from.as_str(), seen.method.clone()), ("e1", Method::POST));
    assert_eq!(
        (seen.body.as_slice(), seen.trailers.clone()),
        (&b"a=b"[..], Some(fields("x-sum:7")))
    );
    assert_eq!(seen.headers.get("via").unwrap(), "1.1 e1.shoal");
    assert_eq!(lab.wires.asked(), []);
}

#[test]
fn what_is_not_safe_is_never_collapsed_stored_or_answered_from_the_cache() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let lab = Lab::three_tiers();
        let gate = Gate::default();
        let held = gate.clone();
        lab.origin.by("/a", move |seen| {
            let reply = Reply::new("cache-control:max-age=60", &seen.earlier.to_string());
            reply.held_at(&held)
        });
        let both = [(); 2].map(|()| lab.send("e1", Ask::with_method(method.clone(), "/a")));
        lab.run();
        assert_eq!(lab.origin.count(), 2, "{method}");
        gate.open();
        lab.run();
        assert_eq!(both.map(|viewer| viewer.body()), ["0", "1"], "{method}");
        assert!(!lab.is_stored_anywhere("/a"), "{method}");
        assert_eq!(lab.get("e1", "/a").body(), "2", "{method}");
        let again = lab.ask("e1", Ask::with_method(method.clone(), "/a"));
        assert_eq!(again.body(), "3", "{method}");
    }
}

/// RFC 9110 §9.3.7.
#[test]
fn options_for_the_server_itself_end_here() {
    let lab = Lab::three_tiers();
    let viewer = lab.ask("e1", Ask::with_method(Method::OPTIONS, "*"));
    assert_eq!(viewer.status(), 204);
    assert!(viewer.header("allow").contains("OPTIONS"));
    assert_eq!(lab.origin.count(), 0);
    assert_eq!(lab.ask("e1", Ask::get("*")).status(), 400);
}

#[test]
fn a_failed_post_is_not_tried_again() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::failure(crate::OriginError::Unreachable("reset".into())));
    let viewer = lab.ask("e1", Ask::with_method(Method::POST, "/a").body(form()));
    assert_eq!(viewer.status(), 502);
    assert_eq!(lab.origin.count(), 1);
}

#[test]
fn an_answer_to_a_post_that_breaks_off_is_broken_for_the_viewer_too() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("", "some").then_break().announced(9));
    let viewer = lab.ask("e1", Ask::with_method(Method::POST, "/a"));
    assert!(viewer.is_broken());
    assert_eq!(lab.origin.count(), 1);
}
