//! Refusals: each has its status, its code and a sentence that helps, whoever refused.
//!
//! Nothing refused reaches the desk, and nothing unknown is called a success.

use control::{CommandId, Refusal};
use follow::SubmitError;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use model::limits::COMMAND_BYTES_MAX;
use model::{Instance, NodeName};
use serde_json::json;

use crate::auth::Access;
use crate::testing::{Caller, FakeDesk};
use crate::token::Token;

const PURGE: &str = r#"{"distribution":"shop","paths":["/a"]}"#;

#[tokio::test]
async fn an_unknown_outcome_is_never_a_success_and_says_how_to_be_sure() {
    let desk = FakeDesk::new();
    let reason = "no leader could be found in time".into();
    let unknown = SubmitError::Unknown { id: CommandId(0xbeef), reason };
    *desk.fails_with.lock().unwrap() = Some(unknown);
    let caller = Caller::of(&desk);
    let key = "0000000000000000000000000000beef";
    let body = crate::testing::distribution("wiki", "wiki.example");
    for answer in [
        caller
            .send("POST", "/v1/invalidations", json!({ "distribution": "shop", "all": true }))
            .await,
        caller.send("PUT", "/v1/distributions/wiki", body).await,
        caller.delete("/v1/distributions/shop").await,
        caller.delete("/v1/nodes/beta").await,
    ] {
        answer.is_problem(503, "outcome-unknown", "no leader could be found");
        assert_eq!(answer.json()["idempotency_key"], key);
        assert_eq!(answer.field("retry-after"), "1");
    }
}

#[tokio::test]
async fn each_refusal_of_the_log_has_its_own_code() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let name: NodeName = "beta".parse().unwrap();
    for (refusal, status, code) in [
        (Refusal::AlreadyFormed, 409, "already-formed"),
        (Refusal::NotFormed, 409, "not-formed"),
        (Refusal::NameTaken { name: name.clone(), holder: Instance(3) }, 409, "name-taken"),
        (Refusal::RosterFull(800), 409, "full"),
        (Refusal::DistributionsFull(10_000), 409, "full"),
        (Refusal::NoSuchNode(name), 404, "no-such-node"),
    ] {
        let words = refusal.to_string();
        *desk.fails_with.lock().unwrap() = Some(SubmitError::Refused(refusal));
        caller.delete("/v1/nodes/beta").await.is_problem(status, code, &words);
    }
    let reason = "the command has 9 bytes, at most 8 fit".to_owned();
    *desk.fails_with.lock().unwrap() = Some(SubmitError::Unacceptable(reason));
    caller.delete("/v1/nodes/beta").await.is_problem(400, "unacceptable", "at most 8 fit");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_problems_too() {
    let caller = Caller::of(&FakeDesk::new());
    caller.get("/v2").await.is_problem(404, "not-found", "there is nothing at /v2; /openapi.json");
    caller.get("/").await.is_problem(404, "not-found", "nothing at /");
    let answer = caller.send("PATCH", "/v1/distributions/shop", json!({})).await;
    answer.is_problem(405, "method-not-allowed", "PATCH is not among the methods of");
    for method in ["GET", "PUT", "DELETE"] {
        assert!(answer.field("allow").contains(method), "{}", answer.field("allow"));
    }
    let percent = caller.get("/v1/distributions/%ff").await;
    percent.is_problem(400, "malformed", "path: ");
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    for fields in [
        &[][..],
        &[(CONTENT_TYPE, "text/plain")],
        &[(CONTENT_TYPE, "application/x-www-form-urlencoded")],
    ] {
        let answer = caller.ask("POST", "/v1/invalidations", fields, PURGE.to_owned()).await;
        answer.is_problem(415, "wrong-content-type", "Content-Type: application/json");
    }
    let json = [(CONTENT_TYPE, "application/json")];
    for broken in ["", "{", "[]", "{} {}", "{\"paths\":[],}"] {
        let answer = caller.ask("POST", "/v1/invalidations", &json, broken.to_owned()).await;
        answer.is_problem(400, "malformed", "body: ");
    }
    assert!(desk.is_untouched());
}

#[tokio::test]
async fn a_body_may_be_as_long_as_a_command() {
    let caller = Caller::of(&FakeDesk::new());
    let json = [(CONTENT_TYPE, "application/json")];
    let padded = |bytes: usize| format!("{PURGE}{}", " ".repeat(bytes - PURGE.len()));
    let fits = caller.ask("POST", "/v1/invalidations", &json, padded(COMMAND_BYTES_MAX)).await;
    assert_eq!(fits.status, 200, "{}", fits.text);
    let beyond = padded(COMMAND_BYTES_MAX + 1);
    let refused = caller.ask("POST", "/v1/invalidations", &json, beyond).await;
    refused.is_problem(413, "too-large", "4194304 bytes");
}

#[tokio::test]
async fn an_unknown_query_key_is_refused_before_anything_happens() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let body = crate::testing::distribution("wiki", "wiki.example");
    let typo = caller.send("PUT", "/v1/distributions/wiki?dryrun=true", body).await;
    typo.is_problem(400, "malformed", "query: dryrun: unknown field `dryrun`, expected one of");
    for (uri, words) in [
        ("/v1/distributions/shop?force=true", "unknown field `force`"),
        ("/v1/nodes/beta?force=yes", "force: provided string was not `true` or `false`"),
        ("/v1/nodes/beta?wait=everywhere", "wait: unknown variant `everywhere`"),
        ("/v1/nodes/beta?timeout_ms=ten", "timeout_ms: invalid digit"),
    ] {
        caller.delete(uri).await.is_problem(400, "malformed", words);
    }
    assert!(desk.is_untouched());
}

#[tokio::test]
async fn with_a_token_only_probes_are_open() {
    let (_directory, token) = token("0123456789abcdef");
    let caller = Caller::under(&FakeDesk::new(), Access::Bearer(token));
    let shown = |text: &'static str| [(AUTHORIZATION, text), (HOST, "edge-1.example:9000")];
    for uri in ["/healthz", "/readyz"] {
        assert_eq!(caller.get(uri).await.status, 200, "{uri}");
    }
    for uri in ["/v1/status", "/metrics", "/openapi.json", "/v1/distributions", "/nowhere"] {
        let answer = caller.get(uri).await;
        answer.is_problem(401, "unauthorized", "expected Authorization: Bearer");
        assert_eq!(answer.field("www-authenticate"), "Bearer realm=\"shoal\"");
    }
    for wrong in
        ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer "]
    {
        let answer = caller.ask("GET", "/v1/status", &shown(wrong), String::new()).await;
        answer.is_problem(401, "unauthorized", "the token is not this node's");
    }
    let right = shown("Bearer 0123456789abcdef");
    assert_eq!(caller.ask("GET", "/v1/status", &right, String::new()).await.status, 200);
    let twice = [right[0].clone(), right[0].clone()];
    assert_eq!(caller.ask("GET", "/v1/status", &twice, String::new()).await.status, 401);
}

#[tokio::test]
async fn without_a_token_no_web_page_gets_through() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let rebound = [(HOST, "rebound.example:9000"), (CONTENT_TYPE, "application/json")];
    for (method, uri) in [("GET", "/v1/status"), ("POST", "/v1/invalidations"), ("GET", "/metrics")]
    {
        let answer = caller.ask(method, uri, &rebound, PURGE.to_owned()).await;
        answer.is_problem(403, "foreign-host", "expected a Host that is localhost");
    }
    let page = [(ORIGIN, "http://evil.example"), (CONTENT_TYPE, "application/json")];
    let answer = caller.ask("POST", "/v1/invalidations", &page, PURGE.to_owned()).await;
    answer.is_problem(403, "foreign-origin", "another origin than http://localhost:9000");
    assert!(desk.is_untouched());
    let own = [(ORIGIN, "http://localhost:9000"), (CONTENT_TYPE, "application/json")];
    let answer = caller.ask("POST", "/v1/invalidations", &own, PURGE.to_owned()).await;
    assert_eq!(answer.status, 200);
}

fn token(text: &str) -> (tempfile::TempDir, Token) {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("admin.token");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let token = Token::read(&file).unwrap();
    (directory, token)
}
