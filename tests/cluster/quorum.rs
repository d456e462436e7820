//! Without a majority nothing is promised: commands end in a clear "unknown", serving goes on, and
//! with the majority back the same command, repeated, is carried out exactly once.

use admin::Problem;
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use model::NodeName;
use serde_json::json;

use crate::cluster::program::{purge, shoal_at};
use crate::cluster::stage::{Stage, command, eventually, field, five, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_commands_fail_clearly_and_viewers_are_served() -> Result<()> {
    let mut stage = Stage::serving(&five(), 3).await?;
    let leader = stage.leader().await?;
    left_alone(&mut stage, &leader, "leader-left").await.context("the leader is left")?;
    let leader = stage.leader().await?;
    let voters = ["mid-eu-1", "mid-eu-2", "mid-us-1"].map(name);
    let voter = voters.into_iter().find(|voter| *voter != leader).context("one voter only")?;
    left_alone(&mut stage, &voter, "voter-left").await.context("a voter is left")?;
    stage.end().await
}

/// All voters but one are killed, and come back one by one.
async fn left_alone(stage: &mut Stage, survivor: &NodeName, key: &str) -> Result<()> {
    let [warm, cold, doubtful] = ["warm", "cold", "doubtful"].map(|kind| format!("/{kind}/{key}"));
    let before = stage.origin.version();
    for path in [&warm, &doubtful] {
        stage.is_served(path, before).await?;
    }
    let voters = stage.running().filter(|node| node.spec.tiers.may_vote());
    let others = voters.map(|node| node.spec.name.clone()).filter(|name| name != survivor);
    let others: Vec<NodeName> = others.collect();
    for voter in &others {
        stage.kill(voter).await?;
    }
    let version = stage.origin.change();
    stage.is_served(&warm, before).await.context("what is cached, under a lease")?;
    refused(stage, &doubtful, key).await?;
    stage.is_served(&cold, version).await.context("what is not cached")?;
    let revalidated = async || stage.is_served(&warm, version).await;
    eventually("what is cached is revalidated once leases are over", revalidated).await?;
    // Where a purge was heard of it counts, whatever becomes of it.
    stage.is_served(&doubtful, version).await.context("what may have been purged")?;

    stage.revive(&others[0]).await?;
    let through = stage.anyone()?.admin;
    let again = format!("--idempotency-key={key}");
    let first = purge(through, &doubtful, &[&again]).await?;
    stage.is_served(&doubtful, version).await?;
    stage.origin.change();
    let second = purge(through, &doubtful, &[&again]).await?;
    ensure!(first.log_index == second.log_index, "{first:?}, then {second:?}");

    stage.revive(&others[1]).await?;
    stage.settled(3).await
}

/// Through every node that still runs, by the API and by the program.
async fn refused(stage: &Stage, path: &str, key: &str) -> Result<()> {
    for node in stage.running() {
        let body = json!({
            "distribution": "demo", "paths": [path],
            "timeout_ms": 2_000, "idempotency_key": key,
        });
        let answer = command(node.admin, Method::POST, "/v1/invalidations", &body).await?;
        let problem: Problem = serde_json::from_slice(&answer.body)?;
        ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "{problem:?}");
        ensure!(field(&answer, "content-type") == "application/problem+json");
        ensure!(problem.detail.contains("unknown"), "{problem:?}");
        ensure!(problem.detail.contains("idempotency key"), "{problem:?}");
        ensure!(problem.idempotency_key.is_some(), "{problem:?}");

        let again = format!("--idempotency-key={key}");
        let purge = ["purge", path, "--distribution=demo", "--timeout=2", &again];
        let said = shoal_at(node.admin, &purge).await?;
        ensure!(said.code == 2, "{said:?}");
        ensure!(said.err.contains("unknown") && said.err.contains("idempotency key"), "{said:?}");
    }
    Ok(())
}
