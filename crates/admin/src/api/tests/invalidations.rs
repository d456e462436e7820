//! Purges: what is asked becomes one command, and the receipt says how far it came.
//!
//! What could cover less than it seems to is refused.

use std::time::Duration;

use control::{Command, CommandId};
use model::limits::SCOPES_MAX;
use model::{Effect, Invalidation, Level, Scope, Tag};
use serde_json::{Value, json};

use crate::testing::{Answer, Caller, FakeDesk};
use crate::view::{Answer as View, Receipt};

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
        (json!({ "distribution": "shop", "paths": ["/*.jpg"] }), "shop", vec!["/*.jpg"]),
        (json!({ "hosts": ["eu.shop.example"] }), "shop", vec!["https://eu.shop.example/*"]),
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
        let effect = Effect::Hard;
        let expected = Command::Invalidate(Invalidation { distribution, scopes, effect });
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
        "level": "fenced",
        "wanted": "fenced",
        "committed_ms": 4,
        "applied_p50_ms": 5,
        "applied_last_ms": 9,
        "fenced_ms": 12,
        "applied": [{ "node": "alpha", "ms": 9 }, { "node": "gamma", "ms": 5 }],
        "pending": [],
        "expired": ["beta"],
        "responses_cut": 2,
        "invalidation": {
            "distribution": "shop", "effect": "hard", "scopes": 1, "first_scope": "/a"
        },
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
    let expected = (None, Level::Fenced, Duration::from_secs(30));
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
            json!({ "distribution": "shop", "paths": ["/ok", "a*"] }),
            "paths[1]: path \"a*\" is not valid: expected",
        ),
        (json!({ "distribution": "shop", "paths": ["/a"], "all": true }), "give one of the two"),
        (json!({ "distribution": "shop", "tags": ["a"], "all": true }), "give one of the two"),
        (json!({ "distribution": "shop", "tags": ["a", "b c"] }), "tags[1]: tag \"b c\" is not"),
        (json!({ "hosts": ["*.shop.example"] }), "hosts[0]: \"https://*.shop.example/*\" has a"),
        (json!({ "tags": ["home"] }), "distribution: expected a name"),
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
            json!("everywhere"),
            "unknown variant `everywhere`, expected one of `committed`, `applied`, `fenced`",
        ),
        ("effect", json!("firm"), "effect: unknown variant `firm`, expected `hard` or `soft`"),
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

#[tokio::test]
async fn tags_and_hosts_and_a_soft_effect_become_part_of_the_command() {
    let desk = FakeDesk::new();
    let body = json!({
        "paths": ["/a"], "tags": ["product-42"], "hosts": ["blog.example"], "effect": "soft"
    });
    let answer = purge(&desk, body).await;
    assert_eq!(answer.json()["invalidation"]["effect"], "soft", "{}", answer.text);
    let Command::Invalidate(taken) = desk.last().command else { panic!("another command") };
    let tag = Scope::Tag(Tag::parse("product-42").unwrap());
    let host = Scope::parse("https://blog.example/*").unwrap();
    assert_eq!(taken.scopes, [Scope::parse("/a").unwrap(), tag, host]);
    assert_eq!((taken.effect, taken.distribution.as_str()), (Effect::Soft, "blog"));
}

#[tokio::test]
async fn a_purge_of_what_is_never_fenced_waits_for_applied() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let mut wiki = crate::testing::distribution("wiki", "wiki.example");
    wiki["purging"] = json!({ "when_fenced": "stale-ok" });
    assert_eq!(caller.send("PUT", "/v1/distributions/wiki", wiki).await.status, 201);
    purge(&desk, json!({ "distribution": "wiki", "all": true })).await;
    assert_eq!(desk.last().level, Level::Applied);
    purge(&desk, json!({ "distribution": "wiki", "all": true, "wait": "committed" })).await;
    assert_eq!(desk.last().level, Level::Committed);
}

#[tokio::test]
async fn a_plan_counts_what_would_go_and_nothing_happens() {
    let desk = FakeDesk::new();
    let body = json!({ "distribution": "shop", "paths": ["/img/*", "/b"], "plan": true });
    let answer = purge(&desk, body).await;
    let expected = json!({
        "invalidation": {
            "distribution": "shop", "effect": "hard", "scopes": 2, "first_scope": "/img/*"
        },
        "copies": 3,
        "bytes": 4096,
        "nodes": [{ "node": "alpha", "copies": 3, "bytes": 4096 }],
        "unreachable": ["beta"],
    });
    assert_eq!(answer.json(), expected);
    let read: View = serde_json::from_str(&answer.text).unwrap();
    assert!(matches!(read, View::Plan(plan) if plan.copies == 3));
    assert!(desk.is_untouched());
    assert_eq!(desk.planned.lock().unwrap().len(), 1);
    let unknown = json!({ "distribution": "wiki", "all": true, "plan": true });
    purge(&desk, unknown).await.is_problem(404, "no-such-distribution", "wiki");
    assert_eq!(desk.planned.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_purges_are_listed_newest_first() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    assert_eq!(caller.get(URI).await.json(), json!({ "invalidations": [] }));
    for path in ["/a", "/b", "/c"] {
        purge(&desk, json!({ "distribution": "shop", "paths": [path], "effect": "soft" })).await;
    }
    let two = caller.get("/v1/invalidations?limit=2").await.json();
    let newest = json!({
        "id": "0000000000000000000000000000feef",
        "epoch": 0,
        "log_index": 7,
        "distribution": "shop",
        "effect": "soft",
        "scopes": 1,
        "first_scope": "/c",
    });
    assert_eq!(two["invalidations"][0], newest);
    assert_eq!(two["invalidations"][1]["first_scope"], "/b");
    assert_eq!(two["invalidations"].as_array().unwrap().len(), 2);
    for limit in ["0", "1001"] {
        let refused = caller.get(&format!("/v1/invalidations?limit={limit}")).await;
        refused.is_problem(400, "malformed", "expected 1 to 1000");
    }
}

#[tokio::test]
async fn a_receipt_can_be_had_afterwards_by_id_or_key() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let body = json!({ "distribution": "shop", "paths": ["/a"], "idempotency_key": "deploy-42" });
    let first: Receipt = serde_json::from_str(&purge(&desk, body).await.text).unwrap();
    for name in [first.id.as_str(), "deploy-42"] {
        let now = caller.get(&format!("/v1/invalidations/{name}")).await;
        let now: Receipt = serde_json::from_str(&now.text).expect(&now.text);
        assert_eq!((&now.id, now.log_index), (&first.id, first.log_index));
        assert_eq!((now.level, now.wanted), (Level::Fenced, Level::Fenced));
        assert_eq!(now.invalidation, first.invalidation);
    }
    *desk.reaches.lock().unwrap() = Level::Committed;
    let waited = caller.get("/v1/invalidations/deploy-42?wait=applied&timeout_ms=50").await.json();
    assert_eq!(waited["wanted"], "applied");
    assert_eq!(waited["level"], "committed");
    let asked = desk.asked.lock().unwrap().clone();
    let millis: Vec<_> = asked.iter().map(|(_, level, time)| (*level, time.as_millis())).collect();
    let now = (Level::Committed, 10_000);
    assert_eq!(millis, [now, now, (Level::Applied, 50)]);
}

#[tokio::test]
async fn what_the_leader_cannot_be_asked_is_not_answered_in_its_place() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let body = json!({ "distribution": "shop", "paths": ["/a"], "idempotency_key": "deploy-42" });
    purge(&desk, body).await;
    *desk.is_alone.lock().unwrap() = true;
    let answer = caller.get("/v1/invalidations/deploy-42?timeout_ms=20").await;
    answer.is_problem(
        503,
        "no-leader",
        "in the log at 0:5, but no leader could be asked within 20",
    );
    assert_eq!(answer.field("retry-after"), "1");
    let unknown = caller.get("/v1/invalidations/deploy-43").await;
    unknown.is_problem(404, "no-such-invalidation", "it was never committed, was not applied here");
}

#[tokio::test]
async fn a_purge_that_the_log_refused_is_told_so_afterwards() {
    let desk = FakeDesk::new();
    let body = json!({ "distribution": "wiki", "all": true, "idempotency_key": "deploy-42" });
    assert_eq!(purge(&desk, body).await.status, 404);
    let later = Caller::of(&desk).get("/v1/invalidations/deploy-42").await;
    later.is_problem(404, "no-such-distribution", "no distribution is called wiki");
}
