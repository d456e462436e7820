//! Without a majority nothing is promised: commands end in a clear "unknown", serving goes on, and
//! with the majority back the same command, repeated, is carried out exactly once.

use admin::Problem;
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use model::NodeName;
use serde_json::json;

use crate::cluster::program::{purge, shoal_at};
use crate::cluster::stage::{Stage, command, field, five, get};

const KEY: &str = "deploy-42";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_commands_fail_clearly_and_viewers_are_served() -> Result<()> {
    let mut stage = Stage::serving(&five(), 3).await?;
    stage.is_served("/warm", 0).await?;
    let leader = stage.leader().await?;
    let voters = ["mid-eu-1", "mid-eu-2", "mid-us-1"].map(|voter| voter.parse());
    let voters = voters.into_iter().collect::<Result<Vec<NodeName>, _>>()?;
    let others: Vec<&NodeName> = voters.iter().filter(|voter| **voter != leader).collect();
    for voter in &others {
        stage.kill(voter).await?;
    }
    let version = stage.origin.change();
    refused(&stage).await?;
    stage.is_served("/warm", 0).await.context("what is cached, without a majority")?;
    stage.is_served("/cold", version).await.context("what is not, without a majority")?;

    stage.revive(others[0]).await?;
    let through = stage.anyone()?.admin;
    let key = format!("--idempotency-key={KEY}");
    let first = purge(through, "/warm", &[&key]).await?;
    stage.is_served("/warm", version).await?;
    stage.origin.change();
    let second = purge(through, "/warm", &[&key]).await?;
    ensure!(first.log_index == second.log_index, "{first:?}, then {second:?}");
    stage.is_served("/warm", version).await.context("the repetition purged again")?;

    stage.revive(others[1]).await?;
    stage.settled(3).await?;
    stage.end().await
}

/// Through every node that still runs, by the API and by the program.
async fn refused(stage: &Stage) -> Result<()> {
    for node in stage.running() {
        let body = json!({
            "distribution": "demo", "paths": ["/warm"],
            "timeout_ms": 2_000, "idempotency_key": KEY,
        });
        let answer = command(node.admin, Method::POST, "/v1/invalidations", &body).await?;
        let problem: Problem = serde_json::from_slice(&answer.body)?;
        ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "{problem:?}");
        ensure!(field(&answer, "content-type") == "application/problem+json");
        ensure!(problem.detail.contains("unknown"), "{problem:?}");
        ensure!(problem.detail.contains("idempotency key"), "{problem:?}");
        ensure!(problem.idempotency_key.is_some(), "{problem:?}");

        let key = format!("--idempotency-key={KEY}");
        let purge = ["purge", "/warm", "--distribution=demo", "--timeout=2", &key];
        let said = shoal_at(node.admin, &purge).await?;
        ensure!(said.code == 2, "{said:?}");
        ensure!(said.err.contains("unknown") && said.err.contains("idempotency key"), "{said:?}");
    }
    for door in stage.doors() {
        let answer = get(door, "/warm").await?;
        ensure!(field(&answer, "x-cache") == "Hit from shoal", "{}", field(&answer, "x-cache"));
    }
    Ok(())
}
