//! Compression at the edge: once per coding, for whoever likes it, of what is worth it.
//!
//! The stand-in encoder writes the text in capitals, so that a test can read what was encoded.

use model::{CachePolicy, Tier};

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::world::{Lab, attributes};
use crate::Entry;

const TEXT: &str = "cache-control:max-age=60|content-type:text/html|etag:\"1\"";

fn text() -> String {
    "a page of text. ".repeat(100)
}

fn lab() -> Lab {
    let lab = Lab::three_tiers();
    lab.compressing(CachePolicy {
        enable_accept_encoding_gzip: true,
        enable_accept_encoding_brotli: true,
        ..CachePolicy::default()
    });
    lab
}

fn ask(lab: &Lab, accept: &str) -> Viewer {
    lab.ask("e1", Ask::get("/a").with(&format!("accept-encoding:{accept}")))
}

/// How many encoded bodies the node called `e1` keeps.
fn encoded(lab: &Lab) -> usize {
    let page = lab.world("e1").store.page(None, 1_000);
    page.iter().filter(|(_, entry)| matches!(**entry, Entry::Encoded(_))).count()
}

#[test]
fn a_text_is_encoded_as_the_viewer_likes_it_best() {
    let lab = lab();
    lab.origin.on("/a", Reply::new(TEXT, &text()));
    for (accept, coding) in [("gzip, br", "br"), ("br;q=0.1, gzip", "gzip")] {
        for verdict in ["Miss", "Hit"] {
            let viewer = ask(&lab, accept);
            assert_eq!(viewer.answer(), (200, text().to_uppercase()), "{accept}");
            assert_eq!(viewer.header("content-encoding"), coding);
            assert_eq!(viewer.header("vary"), "Accept-Encoding");
            assert_eq!(viewer.header("etag"), "W/\"1\"");
            assert_eq!(viewer.header("accept-ranges"), "");
            let length = if verdict == "Hit" { text().len().to_string() } else { String::new() };
            assert_eq!(viewer.header("content-length"), length, "known once it is kept");
        }
    }
    let plain = ask(&lab, "identity");
    assert_eq!(plain.answer(), (200, text()));
    assert_eq!(plain.header("vary"), "Accept-Encoding", "whoever caches below has to know");
    assert_eq!(
        (plain.header("etag"), plain.header("content-encoding")),
        ("\"1\"".into(), String::new())
    );
    assert_eq!(encoded(&lab), 2);
}

#[test]
fn a_head_and_a_condition_agree_with_the_get() {
    let lab = lab();
    lab.origin.on("/a", Reply::new(TEXT, &text()));
    ask(&lab, "br").body();
    let with =
        |ask: Ask, lines: &str| lab.ask("e1", ask.with(&format!("accept-encoding:br|{lines}")));
    let head = with(Ask::head("/a"), "");
    assert_eq!(head.answer(), (200, String::new()));
    for (name, value) in [
        ("content-encoding", "br"),
        ("etag", "W/\"1\""),
        ("content-length", &text().len().to_string()),
        ("vary", "Accept-Encoding"),
    ] {
        assert_eq!(head.header(name), value, "{name}");
    }
    for condition in ["if-none-match:W/\"1\"", "if-none-match:\"1\""] {
        let known = with(Ask::get("/a"), condition);
        assert_eq!((known.status(), known.header("etag")), (304, "W/\"1\"".into()), "{condition}");
        assert_eq!(known.header("vary"), "Accept-Encoding");
    }
    let part = with(Ask::get("/a"), "range:bytes=0-5");
    assert_eq!(part.answer(), (206, "a page".into()), "parts are of the plain content");
    assert_eq!(
        (part.header("etag"), part.header("content-encoding")),
        ("\"1\"".into(), String::new())
    );
    let part = with(Ask::get("/a"), "range:bytes=0-5|if-range:W/\"1\"");
    assert_eq!(part.answer(), (200, text()), "and cannot be added to what was encoded");
}

#[test]
fn what_arrives_is_encoded_as_it_arrives_and_once_for_all_who_wait() {
    let lab = lab();
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(TEXT, &text()).then_wait(&gate).then("the end"));
    let all = [0, 1].map(|_| ask(&lab, "br"));
    for viewer in &all {
        assert_eq!(viewer.so_far(), text().to_uppercase());
    }
    gate.open();
    lab.run();
    for viewer in &all {
        assert_eq!(viewer.body(), text().to_uppercase() + "THE END");
    }
    assert_eq!((encoded(&lab), lab.origin.count()), (1, 1));
}

#[test]
fn what_breaks_off_is_not_kept_encoded() {
    let lab = lab();
    lab.origin.on("/a", Reply::new(TEXT, &text()).then_break().announced(9_999));
    assert!(ask(&lab, "br").is_broken());
    assert_eq!(encoded(&lab), 0);
}

#[test]
fn what_is_not_worth_it_or_must_not_be_is_sent_as_it_is() {
    for (lines, content) in [
        ("cache-control:max-age=60|content-type:text/html", "short".into()),
        ("cache-control:max-age=60|content-type:image/png", text()),
        ("cache-control:max-age=60, no-transform|content-type:text/html", text()),
        ("cache-control:max-age=60|content-type:text/html|content-encoding:gzip", text()),
    ] {
        let lab = lab();
        lab.origin.on("/a", Reply::new(lines, &content));
        assert_eq!(ask(&lab, "br").answer(), (200, content), "{lines}");
        assert_eq!(encoded(&lab), 0, "{lines}");
    }
    let plain = Lab::three_tiers();
    plain.origin.on("/a", Reply::new(TEXT, &text()));
    let viewer = ask(&plain, "br");
    assert_eq!((viewer.body(), viewer.header("vary")), (text(), String::new()));
}

#[test]
fn what_may_not_be_kept_is_encoded_for_each_viewer_and_never_kept() {
    let lab = lab();
    let lines = "cache-control:no-store|content-type:text/html";
    lab.origin.on("/a", Reply::new(lines, &text()));
    for count in 1..3 {
        assert_eq!(ask(&lab, "br").answer(), (200, text().to_uppercase()));
        assert_eq!((encoded(&lab), lab.origin.count()), (0, count));
    }
}

#[test]
fn a_purge_takes_the_encoded_content_with_it() {
    // Rule R16: the validator may stay the same.
    let lab = lab();
    lab.origin.on("/a", Reply::new(TEXT, &text()));
    ask(&lab, "br").body();
    ask(&lab, "br").body();
    lab.purge("/a");
    let new = text().replace("text", "news");
    lab.origin.on("/a", Reply::new(TEXT, &new));
    for _ in 0..2 {
        assert_eq!(ask(&lab, "br").body(), new.to_uppercase());
    }
    assert_eq!(lab.owner(Tier::Shield, "/a", 0), "s1");
    let purge = model::Invalidation {
        distribution: attributes("/a").distribution,
        scopes: vec![model::Scope::parse("/a").unwrap()],
        effect: model::Effect::Hard,
    };
    let (copies, bytes) = crate::plan_purge(lab.world("e1"), &purge);
    assert_eq!((copies, bytes), (1, 2 * new.len() as u64), "one object, plain and encoded");
}

#[test]
fn a_purge_stops_what_is_being_encoded() {
    let lab = lab();
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(TEXT, &text()).then_wait(&gate).then("the end"));
    let viewer = ask(&lab, "br");
    lab.purge("/a");
    gate.open();
    lab.run();
    assert!(viewer.is_broken());
    assert_eq!(encoded(&lab), 0);
}

#[test]
fn a_304_renews_the_encoded_content_too() {
    let lab = lab();
    lab.origin.by("/a", |seen| Reply::new(TEXT, &text()).or_not_modified(seen));
    ask(&lab, "br").body();
    lab.wait(61);
    let viewer = ask(&lab, "br");
    assert_eq!(viewer.header("x-cache"), "RefreshHit from shoal");
    assert_eq!(viewer.header("content-length"), text().len().to_string(), "it was kept");
    assert_eq!(encoded(&lab), 1);
}
