//! Variants: kept side by side under one URL, each for those who select it.
//!
//! Which fields select is only known once the first answer is here, so crowds are tried too.

use super::origin::{Gate, Reply};
use super::viewer::{Ask, Viewer};
use super::world::Lab;

const VARIES: &str = "cache-control:max-age=60|vary:accept-language";

fn speaks_languages(lab: &Lab, gate: &Gate) {
    let gate = gate.clone();
    lab.origin.by("/a", move |seen| {
        let language = seen.headers.get("accept-language");
        let language = language.map_or("none", |value| value.to_str().unwrap());
        Reply::new(VARIES, language).held_at(&gate)
    });
}

fn ask(language: &str) -> Ask {
    Ask::get("/a").with(&format!("accept-language:{language}"))
}

#[test]
fn variants_are_kept_side_by_side() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    gate.open();
    speaks_languages(&lab, &gate);
    let first = lab.ask("e1", ask("en"));
    assert_eq!(first.body(), "en");
    assert!(first.header("cache-status").contains("\"e1\"; fwd=uri-miss; stored"));
    let second = lab.ask("e1", ask("de"));
    assert_eq!(second.body(), "de");
    assert_eq!(second.header("cache-status").matches("fwd=vary-miss").count(), 3);
    assert_eq!(lab.get("e1", "/a").body(), "none");
    for language in ["en", "de"] {
        let again = lab.ask("e1", ask(language));
        assert_eq!(again.body(), language);
        assert_eq!(again.header("x-cache"), "Hit from shoal");
    }
    assert_eq!(lab.get("e1", "/a").header("x-cache"), "Hit from shoal");
    assert_eq!(lab.origin.count(), 3);
}

#[test]
fn concurrent_requests_get_the_variant_they_select() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    speaks_languages(&lab, &gate);
    let languages = ["en", "de", "fr", "en", "de", "fr", "de", "en"];
    let viewers: Vec<Viewer> =
        languages.iter().map(|language| lab.send("e1", ask(language))).collect();
    lab.run();
    assert_eq!(lab.origin.count(), 1, "nobody knows yet that it varies");
    gate.open();
    lab.run();
    for (viewer, language) in viewers.iter().zip(languages) {
        assert_eq!(viewer.answer(), (200, language.into()));
    }
    assert_eq!(lab.origin.count(), 3);
}

#[test]
fn a_known_variant_in_flight_is_joined_and_another_is_not() {
    let lab = Lab::three_tiers();
    let (open, gate) = (Gate::default(), Gate::default());
    open.open();
    speaks_languages(&lab, &open);
    lab.ask("e1", ask("en")).body();
    speaks_languages(&lab, &gate);
    let viewers = [lab.send("e1", ask("de")), lab.send("e1", ask("de")), lab.send("e1", ask("fr"))];
    lab.run();
    assert_eq!(lab.origin.count(), 3, "en before, now de and fr");
    gate.open();
    lab.run();
    assert_eq!(viewers.map(|viewer| viewer.body()), ["de", "de", "fr"]);
}

#[test]
fn a_purge_covers_every_variant() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    gate.open();
    speaks_languages(&lab, &gate);
    lab.ask("e1", ask("en")).body();
    lab.ask("e1", ask("de")).body();
    lab.purge("/a");
    for language in ["en", "de"] {
        assert_eq!(lab.ask("e1", ask(language)).header("x-cache"), "Miss from shoal");
    }
    assert_eq!(lab.origin.count(), 4);
}

#[test]
fn a_variant_is_revalidated_by_itself() {
    let lab = Lab::three_tiers();
    lab.origin.by("/a", |seen| {
        let language = seen.headers["accept-language"].to_str().unwrap();
        let lines = "cache-control:max-age=10|vary:accept-language|etag:";
        Reply::new(&format!("{lines}\"{language}\""), language).or_not_modified(seen)
    });
    lab.ask("e1", ask("en")).body();
    lab.ask("e1", ask("de")).body();
    lab.wait(20);
    for language in ["en", "de"] {
        let stale = lab.ask("e1", ask(language));
        assert_eq!(stale.answer(), (200, language.into()));
        assert_eq!(stale.header("x-cache"), "RefreshHit from shoal");
    }
    assert_eq!(lab.origin.sent_bytes(), 4);
}

#[test]
fn what_varies_by_anything_is_never_kept() {
    let lab = Lab::three_tiers();
    lab.origin
        .by("/a", |seen| Reply::new("cache-control:max-age=60|vary:*", &seen.earlier.to_string()));
    assert_eq!(lab.get("e1", "/a").body(), "0");
    assert_eq!(lab.get("e1", "/a").body(), "1");
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn an_origin_that_changes_its_mind_about_varying_is_followed() {
    let lab = Lab::three_tiers();
    let gate = Gate::default();
    gate.open();
    lab.origin.on("/a", Reply::new("cache-control:max-age=10", "plain"));
    lab.ask("e1", ask("en")).body();
    lab.wait(20);
    speaks_languages(&lab, &gate);
    assert_eq!(lab.ask("e1", ask("en")).body(), "en");
    assert_eq!(lab.ask("e1", ask("de")).body(), "de");
    lab.wait(70);
    lab.origin.on("/a", Reply::new("cache-control:max-age=10", "plain again"));
    for language in ["en", "de"] {
        assert_eq!(lab.ask("e1", ask(language)).body(), "plain again");
    }
    assert_eq!(lab.ask("e1", ask("fr")).header("x-cache"), "Hit from shoal");
}
