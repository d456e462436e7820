//! `PURGE` on the viewer port: off by default, behind a token of the distribution's own.

use http::Method;
use model::purging::Digest;
use model::{Effect, Invalidation, Purging};

use super::viewer::Ask;
use super::world::Lab;

/// SHA-256 of `sesame`.
const SESAME: &str = "d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";

fn lab() -> Lab {
    let lab = Lab::three_tiers();
    let digest = Digest::try_from(SESAME.to_owned()).unwrap();
    lab.purging(Purging { viewer_token_sha256: Some(digest), ..Purging::default() });
    lab
}

fn purge(target: &str) -> Ask {
    Ask::with_method(Method::from_bytes(b"PURGE").unwrap(), target)
}

fn purged(lab: &Lab) -> Vec<Invalidation> {
    lab.purged("e1")
}

#[test]
fn a_purge_is_refused_without_a_token_and_where_there_is_none() {
    let plain = Lab::three_tiers();
    assert_eq!(plain.ask("e1", purge("/a").with("fastly-key:sesame")).status(), 405);
    let lab = lab();
    for fields in ["", "fastly-key:open", "authorization:Bearer", "authorization:Basic sesame"] {
        let viewer = lab.ask("e1", purge("/a").with(fields));
        assert_eq!(viewer.status(), 403, "{fields}");
        assert!(viewer.header("cache-status").contains("bad-token"));
    }
    assert_eq!((purged(&lab).len(), lab.origin.count()), (0, 0), "nobody is asked");
}

#[test]
fn a_purge_names_the_url_a_pattern_or_tags() {
    let lab = lab();
    for (ask, scopes, effect) in [
        (purge("/a?b").with("fastly-key:sesame"), "https://shop.example/a?b", Effect::Hard),
        (
            purge("/d/*").with("authorization:bearer sesame"),
            "https://shop.example/d/*",
            Effect::Hard,
        ),
        (
            purge("/").with("fastly-key:sesame|surrogate-key:home product-1|fastly-soft-purge:1"),
            "tag home, tag product-1",
            Effect::Soft,
        ),
    ] {
        let viewer = lab.ask("e1", ask);
        assert_eq!(viewer.status(), 200);
        assert!(viewer.body().contains("\"level\":\"fenced\""), "{}", viewer.body());
        let last = purged(&lab).pop().unwrap();
        let named: Vec<String> = last.scopes.iter().map(ToString::to_string).collect();
        assert_eq!((named.join(", ").as_str(), last.effect), (scopes, effect));
    }
}

#[test]
fn what_no_purge_can_name_is_said_to_be_so() {
    let viewer = lab().ask("e1", purge("/a").with("fastly-key:sesame|surrogate-key:a,b"));
    assert_eq!(viewer.status(), 400);
    assert!(viewer.header("cache-status").contains("bad-purge"));
}
