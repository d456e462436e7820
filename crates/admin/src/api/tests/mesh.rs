//! The mesh: its status, its probes and metrics, and nodes that leave it.
//!
//! A live node is never removed by accident.

use control::Command;
use model::Instance;
use serde_json::json;

use crate::desk::Readiness;
use crate::testing::{Caller, FakeDesk};
use crate::view::Status;

#[tokio::test]
async fn the_status_reads_back_into_the_type_that_wrote_it() {
    let desk = FakeDesk::new();
    let answer = Caller::of(&desk).get("/v1/status").await;
    assert_eq!(answer.status, 200);
    let status: Status = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(status, crate::Desk::status(desk.as_ref()));
    let node = &answer.json()["nodes"][0];
    assert_eq!(node["role"], "leader");
    assert_eq!(node["tiers"], json!(["edge", "regional", "shield"]));
    assert_eq!(node["served"]["edge"], json!({ "requests": 4, "hits": 3, "hit_ratio": 0.75 }));
    assert_eq!(answer.json()["log"]["applied"], "0:4");
}

#[tokio::test]
async fn a_process_that_runs_is_healthy_even_when_it_is_not_ready() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let ready = caller.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.text.as_str()), (200, "ready"));
    *desk.readiness.lock().unwrap() = Readiness::Waiting("the log is 7 entries away".into());
    let waiting = caller.get("/readyz").await;
    assert_eq!(
        (waiting.status.as_u16(), waiting.text.as_str()),
        (503, "the log is 7 entries away")
    );
    let healthy = caller.get("/healthz").await;
    assert_eq!((healthy.status.as_u16(), healthy.text.as_str()), (200, "ok"));
}

#[tokio::test]
async fn metrics_come_as_open_metrics() {
    let answer = Caller::of(&FakeDesk::new()).get("/metrics").await;
    assert_eq!(answer.status, 200);
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.field("content-type"), expected);
    assert!(answer.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_dead_node_is_removed_as_the_instance_that_holds_the_name() {
    let desk = FakeDesk::new();
    let answer = Caller::of(&desk).delete("/v1/nodes/beta").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["log_index"], 5);
    let leave = Command::Leave { name: "beta".parse().unwrap(), instance: Instance(2) };
    assert_eq!(desk.last().command, leave);
}

#[tokio::test]
async fn a_live_node_is_removed_by_force_only() {
    let desk = FakeDesk::new();
    let caller = Caller::of(&desk);
    let refused = caller.delete("/v1/nodes/alpha").await;
    refused.is_problem(409, "node-alive", "alpha is alive: stop it first, or add ?force=true");
    assert!(caller.delete("/v1/nodes/alpha?force=false").await.status == 409);
    assert!(desk.is_untouched());
    let forced = caller.delete("/v1/nodes/alpha?force=true&wait=committed").await;
    assert_eq!(forced.status, 200, "{}", forced.text);
}

#[tokio::test]
async fn a_node_that_is_not_in_the_roster_is_not_found() {
    let caller = Caller::of(&FakeDesk::new());
    caller.delete("/v1/nodes/gamma").await.is_problem(404, "no-such-node", "gamma");
    caller.delete("/v1/nodes/Gamma").await.is_problem(400, "malformed", "node name \"Gamma\"");
}
