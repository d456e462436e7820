//! Worst cases of the log itself: a leader killed while a purge is on its way, a voter that is
//! behind by more than the log remembers. Whatever happens, every answer is judged.

use std::time::Duration;

use admin::view::Receipt;
use anyhow::{Context, Result, ensure};
use http::Method;
use model::Level;
use serde_json::json;
use tokio::time::Instant;

use crate::cluster::judge::{Promise, Verdict};
use crate::cluster::readers::Readers;
use crate::cluster::stage::{Stage, command, eventually, five, name};

const EVERY: Duration = Duration::from_millis(50);
const LEAST: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_survives_the_leader_that_dies_between_commit_and_acknowledgement() -> Result<()> {
    let mut stage = Stage::wired(&five(), 3, "[mesh]\nlease_seconds = 3\n").await?;
    let readers = Readers::start(&stage.mesh.edges(), &["/page"], EVERY);
    let far = name("edge-us-1");
    readers.answered(&far, LEAST).await?;
    // An edge that says nothing keeps the purge from being fenced, so that its leader can be
    // killed.
    stage.mesh.wires().isolate(&far);
    let leader = stage.leader().await?;
    let through = stage.mesh.node(&name("edge-eu-1")).admin;
    let begun = Instant::now();
    let version = stage.origin.raise("/page");
    let purge = |wait: Level| {
        let body = json!({
            "distribution": "demo", "paths": ["/page"], "wait": wait,
            "timeout_ms": 30_000, "idempotency_key": "survivor",
        });
        async move { command(through, Method::POST, "/v1/invalidations", &body).await }
    };
    let committed = purge(Level::Committed).await?;
    let committed: Receipt = serde_json::from_slice(&committed.body)?;
    ensure!(committed.level < Level::Fenced, "nobody was waited for: {committed:?}");
    stage.kill(&leader).await?;

    let promise = eventually("the purge is fenced by whoever leads next", async || {
        let answer = purge(Level::Fenced).await?;
        ensure!(answer.status.is_success(), "{}", shoal::client::problem(&answer));
        let receipt: Receipt = serde_json::from_slice(&answer.body)?;
        ensure!(receipt.log_index == committed.log_index, "{receipt:?}, not {committed:?}");
        ensure!(receipt.level == Level::Fenced, "{receipt:?}");
        Ok(Promise::kept("/page", version, begun))
    })
    .await?;
    readers.answered(&far, LEAST).await?;
    stage.mesh.wires().heal(&far);
    stage.revive(&leader).await?;
    stage.settled(3).await?;
    readers.answered(&far, LEAST).await?;
    Verdict::of(&readers.end().await, &[promise]).is_clean(2 * LEAST)?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_two_snapshots_behind_comes_back_with_every_purge() -> Result<()> {
    const EVERY_ENTRIES: u64 = 100;
    let config = format!("[raft]\nsnapshot_every_entries = {EVERY_ENTRIES}\n");
    let mut stage = Stage::wired(&five(), 3, &config).await?;
    let leader = stage.leader().await?;
    let voters = ["mid-eu-1", "mid-eu-2", "mid-us-1"].map(name);
    let behind = voters.into_iter().find(|voter| *voter != leader).context("one voter only")?;
    let edge = name("edge-us-1");
    stage.is_served("/page", 0).await?;
    for node in [&behind, &edge] {
        stage.kill(node).await?;
    }
    let (through, version) = (stage.anyone()?.admin, stage.origin.raise("/page"));
    let receipt = stage.purge(stage.anyone()?, "/page", "missed").await?;
    for number in 0..3 * EVERY_ENTRIES {
        // One after another, or they would share an entry.
        let body = json!({
            "distribution": "demo", "paths": [format!("/other/{number}")], "wait": "committed",
        });
        let answer = command(through, Method::POST, "/v1/invalidations", &body).await?;
        ensure!(answer.status.is_success(), "{}", shoal::client::problem(&answer));
    }
    for node in [&behind, &edge] {
        stage.revive(node).await?;
    }
    stage.settled(3).await?;
    stage.is_served("/page", version).await?;
    let again = stage.purge(stage.mesh.node(&behind), "/page", "missed").await?;
    ensure!(again.log_index == receipt.log_index, "{again:?}, not {receipt:?}");
    stage.end().await
}
