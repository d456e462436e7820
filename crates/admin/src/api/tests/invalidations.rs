//! Purges: what is asked becomes one command, and the receipt says how far it came.
//!
//! What could cover less than it seems to is refused.

use std::time::Duration;

use control::{Command, CommandId};
use model::limits::SCOPES_MAX;
use model::{Invalidation, Level, Scope};
use serde_json::{Value, json};

use crate::testing::{Answer, Caller, FakeDesk};
use crate::view::Receipt;

const URI: &str = "/v1/invalidations";

async fn purge(desk: &std::sync::Arc<FakeDesk>, body: Value) -> Answer {
    Caller::of(desk).send("POST", URI, body).await
}

#[tokio::test]
async fn a_purge_becomes_one_command_of_one_distribution() {
    for (body, distribution, scopes) in [
        (json!({ "distribution": "shop", "paths": ["/a.css"] }), "shop", vec!["/a.css"]),
        (
            json!({ "distribution": "shop", "paths": ["/img/*", "/a?b"] }),
            "shop",
            vec!["/img/*", "/a?b"],
        ),
        (json!({ "distribution": "shop", "all": true }), "shop", vec!["/*"]),
        (json!({ "distribution": "shop", "paths": ["/*"] }), "shop", vec!["/*"]),
        (json!({ "paths": ["https://blog.example/a"] }), "blog", vec!["https://blog.example/a"]),
        (
            json!({ "paths": ["/b", "http://eu.shop.example:81/a/*"] }),
            "shop",
            vec!["/b", "https://eu.shop.example/a/*"],
        ),
        // An alias that is gone: its copies are still found under the name.
        (
            json!({ "distribution": "shop", "paths": ["https://old.example/a"] }),
            "shop",
            vec!["https://old.example/a"],
        ),
    ] {
        let desk = FakeDesk::new();
        let answer = purge(&desk, body.clone()).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        let scopes = scopes.into_iter().map(|scope| Scope::parse(scope).unwrap()).collect();
        let distribution = distribution.parse().unwrap();
        let expected = Command::Invalidate(Invalidation { distribution, scopes });
        assert_eq!(desk.last().command, expected, "{body}");
    }
}

#[tokio::test]
async fn the_receipt_says_who_has_it_and_how_to_ask_again() {
    let desk = FakeDesk::new();
    let answer = purge(&desk, json!({ "distribution": "shop", "paths": ["/a"] })).await;
    let id = "0000000000000000000000000000feed";
    let expected = json!({
        "id": id,
        "idempotency_key": id,
        "epoch": 0,
        "log_index": 5,
        "level": "applied",
        "wanted": "applied",
        "committed_ms": 4,
        "applied": [{ "node": "alpha", "ms": 9 }],
        "pending": ["beta"],
    });
    assert_eq!(answer.json(), expected);
    let receipt: Receipt = serde_json::from_value(expected).unwrap();
    let again = json!({ "distribution": "shop", "paths": ["/a"], "idempotency_key": receipt.id });
    assert_eq!(purge(&desk, again).await.json()["log_index"], 5);
    assert_eq!(desk.last().id, Some(CommandId(0xfeed)));
}

#[tokio::test]
async fn a_receipt_tells_what_was_reached_from_what_was_wanted() {
    let desk = FakeDesk::new();
    *desk.reaches.lock().unwrap() = Level::Committed;
    let body = json!({ "distribution": "shop", "paths": ["/a"], "wait": "applied" });
    let receipt = purge(&desk, body).await.json();
    assert_eq!((&receipt["level"], &receipt["wanted"]), (&json!("committed"), &json!("applied")));
}

#[tokio::test]
async fn level_patience_and_key_reach_the_desk() {
    let desk = FakeDesk::new();
    let plain = json!({ "distribution": "shop", "paths": ["/a"] });
    purge(&desk, plain.clone()).await;
    let taken = desk.last();
    let expected = (None, Level::Applied, Duration::from_secs(10));
    assert_eq!((taken.id, taken.level, taken.patience), expected);
    let mut asked = plain;
    asked["wait"] = "committed".into();
    asked["timeout_ms"] = 120_000.into();
    asked["idempotency_key"] = "deploy-42".into();
    let first = purge(&desk, asked.clone()).await.json();
    let taken = desk.last();
    assert_eq!((taken.level, taken.patience), (Level::Committed, Duration::from_secs(120)));
    assert_eq!(first["idempotency_key"], "deploy-42");
    assert_eq!(purge(&desk, asked).await.json(), first);
}

#[tokio::test]
async fn a_purge_that_could_cover_less_than_it_seems_to_is_refused() {
    let several = "belongs to the distribution blog, not to shop: send one request for each";
    for (body, words) in [
        (json!({ "paths": ["https://a.shop.example/a", "https://blog.example/a"] }), several),
        (json!({ "distribution": "shop", "paths": ["https://blog.example/a"] }), several),
        (
            json!({ "distribution": "shop", "paths": ["/ok", "https://*.shop.example/a"] }),
            "paths[1]: \"https://*.shop.example/a\" has a star",
        ),
        (
            json!({ "distribution": "shop", "paths": ["/ok", "/a*"] }),
            "paths[1]: purge path \"/a*\" is not valid: expected",
        ),
        (json!({ "distribution": "shop", "paths": ["/a"], "all": true }), "give one of the two"),
        (json!({ "distribution": "shop" }), "a purge names 1 to 3000 paths, 0 were given"),
        (json!({ "paths": ["/a"] }), "distribution: expected a name, or a full URL"),
        (json!({ "all": true }), "distribution: expected a name"),
        (json!({ "distribution": "The Shop", "all": true }), "distribution name \"The Shop\""),
    ] {
        let desk = FakeDesk::new();
        purge(&desk, body).await.is_problem(400, "malformed", words);
        assert!(desk.is_untouched());
    }
}

#[tokio::test]
async fn a_purge_names_as_many_paths_as_one_command_takes() {
    let desk = FakeDesk::new();
    let many = |count| json!({ "distribution": "shop", "paths": vec!["/a"; count] });
    assert_eq!(purge(&desk, many(SCOPES_MAX)).await.status, 200);
    let refused = purge(&desk, many(SCOPES_MAX + 1)).await;
    refused.is_problem(400, "malformed", "1 to 3000 paths, 3001 were given");
}

#[tokio::test]
async fn what_does_not_exist_is_not_purged() {
    let desk = FakeDesk::new();
    let unknown = purge(&desk, json!({ "distribution": "wiki", "all": true })).await;
    unknown.is_problem(404, "no-such-distribution", "no distribution is called wiki");
    for paths in
        [json!(["https://x.example/a"]), json!(["https://blog.example/", "https://x.example/a"])]
    {
        let unknown = purge(&desk, json!({ "paths": paths })).await;
        unknown.is_problem(
            404,
            "no-such-distribution",
            "no distribution answers for the host x.example",
        );
    }
}

#[tokio::test]
async fn a_key_or_value_that_is_not_known_is_refused_by_name() {
    for (key, value, words) in [
        (
            "path",
            json!("/a"),
            "path: unknown field `path`, expected one of `distribution`, `paths`",
        ),
        (
            "wait",
            json!("fenced"),
            "wait: unknown variant `fenced`, expected `committed` or `applied`",
        ),
        ("timeout_ms", json!(-1), "timeout_ms: invalid value: integer `-1`, expected u64"),
        ("timeout_ms", json!(0), "timeout_ms: 0 given, expected 1 to 120000"),
        ("timeout_ms", json!(120_001), "timeout_ms: 120001 given, expected 1 to 120000"),
        ("idempotency_key", json!(""), "idempotency_key \"\" is not valid: expected 1 to 64"),
        ("idempotency_key", json!("x".repeat(65)), "expected 1 to 64 characters"),
        ("paths", json!("/a"), "paths: invalid type: string \"/a\", expected a sequence"),
    ] {
        let desk = FakeDesk::new();
        let mut body = json!({ "distribution": "shop", "paths": ["/a"] });
        body[key] = value;
        purge(&desk, body).await.is_problem(400, "malformed", words);
        assert!(desk.is_untouched());
    }
}
