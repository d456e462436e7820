//! Distributions are read, written, tried out and deleted, and every way of writing one wrong is
//! told by its key.
//! A refused write never reaches the log.

use std::time::Duration;

use control::{Command, CommandId};
use model::{Distribution, Level};
use serde_json::{Value, json};

use crate::testing::{Caller, FakeDesk, distribution};
use crate::view::{DistributionReceipt, Distributions};

#[tokio::test]
async fn what_was_written_is_read() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let wiki = distribution("wiki", "wiki.example");
    let made = caller.send("PUT", "/v1/distributions/wiki", wiki.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json()["change"], "created");
    assert_eq!(made.json()["receipt"]["log_index"], 5);
    let read = caller.get("/v1/distributions/wiki").await;
    let read: Distribution = serde_json::from_str(&read.text).unwrap();
    assert_eq!(read, serde_json::from_value(wiki).unwrap());
    let all = caller.get("/v1/distributions").await;
    let all: Distributions = serde_json::from_str(&all.text).unwrap();
    let names: Vec<&str> = all.distributions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["blog", "shop", "wiki"]);
}

#[tokio::test]
async fn a_write_says_what_it_changed() {
    let caller = Caller::of(&FakeDesk::new());
    for (alias, change) in [("*.shop.example", "unchanged"), ("shop.example", "changed")] {
        let body = distribution("shop", alias);
        let answer = caller.send("PUT", "/v1/distributions/shop", body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["change"]), (200, &json!(change)));
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let run = async |name: &str, body: Value| {
        caller.send("PUT", &format!("/v1/distributions/{name}?dry_run=true"), body).await
    };
    for (name, alias, change) in [
        ("wiki", "wiki.example", "created"),
        ("shop", "*.shop.example", "unchanged"),
        ("shop", "shop.example", "changed"),
    ] {
        let answer = run(name, distribution(name, alias)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json(), json!({ "change": change }));
        let receipt: DistributionReceipt = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(receipt.receipt, None);
    }
    let clash = run("wiki", distribution("wiki", "blog.example")).await;
    clash.is_problem(409, "alias-taken", "the alias blog.example belongs to the distribution blog");
    let mut misfit = distribution("wiki", "wiki.example");
    misfit["default_cache_behavior"]["target_origin_id"] = "cgi".into();
    let key = "default_cache_behavior.target_origin_id: \"cgi\" is no origin's id";
    run("wiki", misfit).await.is_problem(400, "malformed", key);
    assert!(desk.is_untouched());
    assert_eq!(caller.get("/v1/distributions/wiki").await.status, 404);
}

#[tokio::test]
async fn the_logs_refusals_are_passed_on() {
    let caller = Caller::of(&FakeDesk::new());
    let clash = distribution("wiki", "blog.example");
    let answer = caller.send("PUT", "/v1/distributions/wiki", clash).await;
    answer.is_problem(409, "alias-taken", "blog.example belongs to the distribution blog");
    let mut misfit = distribution("wiki", "wiki.example");
    misfit["origins"][0]["connections_max"] = 0.into();
    let answer = caller.send("PUT", "/v1/distributions/wiki", misfit).await;
    answer.is_problem(400, "malformed", "origins[0].connections_max: 0 given, expected 1 to");
}

#[tokio::test]
async fn a_body_for_another_name_is_refused() {
    let desk = FakeDesk::new();
    let body = distribution("shop", "x.example");
    let answer = Caller::of(&desk).send("PUT", "/v1/distributions/wiki", body).await;
    answer.is_problem(400, "malformed", "name: \"shop\" given, expected \"wiki\" as in the path");
    assert!(desk.is_untouched());
}

#[tokio::test]
async fn a_malformed_body_is_told_its_key_and_what_was_expected() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    for (pointer, value, words) in [
        ("/origins/0/http_port", json!("x"), "origins[0].http_port: invalid type: string"),
        ("/origins/0/port", json!(80), "origins[0].port: unknown field `port`, expected one of"),
        ("/aliases/0", json!("a b"), "aliases[0]: host \"a b\" is not valid: expected a host name"),
        ("/name", json!("Wiki"), "name: distribution name \"Wiki\" is not valid: expected 1 to 63"),
        ("/ttl", json!(1), "ttl: unknown field `ttl`"),
    ] {
        let mut body = distribution("wiki", "wiki.example");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match body.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.insert(key.to_owned(), value)),
            Value::Array(list) => list[0] = value,
            other => panic!("{other} has no keys"),
        }
        let answer = caller.send("PUT", "/v1/distributions/wiki", body).await;
        answer.is_problem(400, "malformed", words);
    }
    let answer = caller.send("PUT", "/v1/distributions/wiki", json!({ "name": "wiki" })).await;
    answer.is_problem(400, "malformed", "missing field `aliases`");
    assert!(desk.is_untouched());
}

#[tokio::test]
async fn a_deleted_distribution_is_gone() {
    let caller = Caller::of(&FakeDesk::new());
    let gone = caller.delete("/v1/distributions/shop").await;
    assert_eq!((gone.status.as_u16(), &gone.json()["change"]), (200, &json!("deleted")));
    let read = caller.get("/v1/distributions/shop").await;
    read.is_problem(404, "no-such-distribution", "no distribution is called shop");
    let again = caller.delete("/v1/distributions/shop").await;
    again.is_problem(404, "no-such-distribution", "no distribution is called shop");
}

#[tokio::test]
async fn a_delete_sent_again_with_its_key_hears_the_same() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let uri = "/v1/distributions/shop?idempotency_key=clean-up&wait=committed&timeout_ms=500";
    let first = caller.delete(uri).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(caller.delete(uri).await.json(), first.json());
    let taken = desk.last();
    assert_eq!(taken.command, Command::DeleteDistribution("shop".parse().unwrap()));
    assert_eq!((taken.level, taken.patience), (Level::Committed, Duration::from_millis(500)));
    assert_ne!(taken.id, None::<CommandId>);
}
