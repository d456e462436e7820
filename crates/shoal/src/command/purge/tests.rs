//! What is typed becomes one request, or a sentence that helps.

use clap::{CommandFactory, Parser};

use super::*;
use crate::command::receipt::tests::{plain, receipt};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn parse(words: &[&str]) -> Result<Arguments, String> {
    let line = Line::try_parse_from(["purge"].iter().chain(words));
    line.map(|line| line.arguments).map_err(|error| error.to_string())
}

fn asked(words: &[&str]) -> InvalidationRequest {
    request(&parse(words).unwrap()).unwrap()
}

#[test]
fn every_form_of_the_command_becomes_its_request() {
    let one = asked(&["https://shop.example/a.css"]);
    assert_eq!((one.paths, one.distribution), (vec!["https://shop.example/a.css".into()], None));
    assert_eq!((one.effect, one.wait, one.plan), (Effect::Hard, None, false));
    let soft = asked(&["/img/*", "--distribution", "shop", "--soft", "--plan"]);
    assert_eq!((soft.effect, soft.plan), (Effect::Soft, true));
    let tags = asked(&["--tag", "product-42", "--tag", "home", "-d", "shop"]);
    assert_eq!(tags.tags, ["product-42", "home"]);
    assert_eq!(asked(&["--host", "Shop.Example"]).hosts, ["shop.example"]);
    assert!(asked(&["--all", "-d", "shop"]).all);
    let waits = asked(&["/a", "-d", "shop", "--wait", "fenced"]);
    assert_eq!(waits.wait, Some(Level::Fenced));
}

#[test]
fn a_key_is_always_sent_and_never_the_same() {
    let keys = [(), ()].map(|()| asked(&["/a", "-d", "shop"]).idempotency_key.unwrap());
    assert_eq!(keys[0].len(), 32);
    assert_ne!(keys[0], keys[1]);
    let chosen = asked(&["/a", "--idempotency-key", "deploy-42"]);
    assert_eq!(chosen.idempotency_key.as_deref(), Some("deploy-42"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (words, names) in [
        (&[][..], "required arguments were not provided:\n  <PATH>..."),
        (&["a.css"], "starting with /"),
        (&["https://shop.example"], "expected /path, a pattern"),
        (&["--tag", "home"], "--distribution <NAME>"),
        (&["--tag", "a b", "-d", "shop"], "printable ASCII"),
        (&["--all"], "--distribution <NAME>"),
        (&["--all", "/a", "-d", "shop"], "cannot be used with"),
        (&["/a", "--wait", "everywhere"], "committed, applied, fenced"),
        (&["/a", "--timeout", "1h"], "such as 30s, 500ms, 2m"),
    ] {
        let error = parse(words).err().unwrap_or_else(|| panic!("{words:?} was taken"));
        assert!(error.contains(names), "{words:?}: {error}");
    }
}

#[test]
fn a_file_is_one_purge_of_a_bounded_size() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("paths.txt");
    let name = file.to_str().unwrap();
    let lines = |count: usize| (0..count).map(|at| format!("/img/{at}.jpg\n")).collect::<String>();
    std::fs::write(&file, lines(SCOPES_MAX)).unwrap();
    assert_eq!(asked(&["-f", name, "-d", "shop"]).paths.len(), SCOPES_MAX);
    std::fs::write(&file, lines(SCOPES_MAX + 1)).unwrap();
    let refused = request(&parse(&["-f", name, "-d", "shop"]).unwrap()).unwrap_err().to_string();
    assert!(refused.starts_with("3001 items: one purge takes 3000"), "{refused}");
    assert_eq!(asked(&["-f", name, "-d", "shop", "--optimize"]).paths, ["/img/*"]);
}

#[test]
fn what_is_unknown_names_the_key_and_no_success() {
    let problem = Problem {
        kind: "urn:shoal:problem:outcome-unknown".into(),
        title: "The outcome is unknown".into(),
        status: 503,
        detail: "unknown: no leader could be found in time".into(),
        idempotency_key: None,
    };
    let text = plain(&unknown(&problem, "k1"));
    let expected = "unknown: retry with the same key: --idempotency-key k1\n  no leader";
    assert!(text.starts_with(expected), "{text}");
    let receipt = Receipt { level: Level::Applied, ..receipt() };
    let text = plain(&short(&receipt, "k1", Duration::from_secs(30)));
    assert!(text.contains("retry with the same key: --idempotency-key k1"), "{text}");
    assert!(text.contains("not fenced within 30000 ms"), "{text}");
}

#[test]
fn help_teaches_by_example() {
    let help = Line::command().render_long_help().to_string();
    assert!(help.contains("shoal purge --tag product-42 --tag home -d shop"), "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 120));
}
