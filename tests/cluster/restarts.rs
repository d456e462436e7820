//! Restarts: what was acknowledged is still there, whoever was killed, one by one or all at once.
//!
//! Caches live in memory, so a purge that was lost in a restart would hardly show in an answer. It
//! shows in the log: a purge repeated under its idempotency key must get the very same place.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use http::Method;
use model::NodeName;

use crate::cluster::stage::{Stage, command, eventually, five, get, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_nodes_are_killed_in_turn_or_all_at_once() -> Result<()> {
    let mut stage = Stage::serving(&five(), 3).await?;
    stage.is_served("/page", 0).await?;
    let version = stage.origin.change();
    let purged = stage.purge(stage.anyone()?, "/page", "first").await?.log_index;
    for node in names(&stage) {
        stage.kill(&node).await?;
        stage.revive(&node).await?;
        stage.settled(3).await?;
        remembers(&stage, &[("first", purged)]).await.with_context(|| format!("after {node}"))?;
        stage.is_served("/page", version).await?;
    }

    let version = stage.origin.change();
    let again = stage.purge(stage.anyone()?, "/page", "second").await?.log_index;
    for node in names(&stage) {
        stage.kill(&node).await?;
    }
    for node in names(&stage) {
        stage.mesh.node_mut(&node).start()?;
    }
    for node in names(&stage) {
        stage.mesh.ready(&node).await?;
    }
    stage.settled(3).await?;
    remembers(&stage, &[("first", purged), ("second", again)]).await?;
    stage.is_served("/page", version).await?;
    let version = stage.origin.change();
    let third = stage.purge(stage.anyone()?, "/page", "third").await?.log_index;
    ensure!(third > again, "the log went back from {again} to {third}");
    stage.is_served("/page", version).await?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_knows_everything_before_it_is_ready() -> Result<()> {
    let mut stage = Stage::serving(&five(), 3).await?;
    let (edge, origin) = (name("edge-us-1"), stage.origin.distribution("demo"));
    stage.is_served("/page", 0).await?;
    stage.kill(&edge).await?;

    let through = stage.anyone()?.admin;
    let new = (0..40).map(|number| {
        let (name, mut site) = (format!("site-{number}"), origin.clone());
        site["name"] = name.clone().into();
        site["aliases"] = vec![format!("{name}.example")].into();
        async move {
            let target = format!("/v1/distributions/{name}?wait=committed");
            let answer = command(through, Method::PUT, &target, &site).await?;
            ensure!(answer.status.is_success(), "{}", shoal::client::problem(&answer));
            Ok(())
        }
    });
    try_join_all(new).await?;
    let version = stage.origin.change();
    let head = stage.purge(stage.anyone()?, "/page", "missed").await?.log_index;

    stage.revive(&edge).await?;
    let status = stage.status(stage.mesh.node(&edge)).await?;
    ensure!(status.log.applied_index >= head, "ready at {}, behind {head}", status.log.applied);
    ensure!(status.distributions == 41, "ready with {} distributions", status.distributions);
    stage.is_served("/page", version).await?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_comes_back_alone_serves_from_what_its_disk_knows() -> Result<()> {
    let mut stage = Stage::serving(&five(), 3).await?;
    let edge = name("edge-eu-1");
    // Nobody acknowledges what an edge keeps, so it is looked for where it must be in the end.
    let disk = stage.directory().join(edge.as_str());
    eventually("the edge's disk has the distribution", async || {
        ensure!(holds(&disk, b"demo")?, "not in any file in {}", disk.display());
        Ok(())
    })
    .await?;
    for node in names(&stage) {
        stage.kill(&node).await?;
    }
    stage.mesh.node_mut(&edge).start()?;
    let node = stage.mesh.node(&edge);
    eventually("the edge serves from the origin", async || {
        let answer = get(node.http, "/alone").await?;
        ensure!(answer.body == "/alone version 0\n", "{} {:?}", answer.status, answer.body);
        Ok(())
    })
    .await?;
    ensure!(!stage.status(node).await?.ready, "nobody confirmed what it knows");
    stage.end().await
}

/// Whether any file below `place` has these bytes.
fn holds(place: &Path, bytes: &[u8]) -> Result<bool> {
    if place.is_dir() {
        let mut holds_any = false;
        for entry in std::fs::read_dir(place)? {
            holds_any |= holds(&entry?.path(), bytes)?;
        }
        return Ok(holds_any);
    }
    Ok(std::fs::read(place)?.windows(bytes.len()).any(|window| window == bytes))
}

fn names(stage: &Stage) -> Vec<NodeName> {
    stage.mesh.nodes.iter().map(|node| node.spec.name.clone()).collect()
}

/// Every node is of the same mesh, has the distribution, and has the purges where they were.
async fn remembers(stage: &Stage, purges: &[(&str, u64)]) -> Result<()> {
    for node in stage.running() {
        let (who, status) = (&node.spec.name, stage.status(node).await?);
        let last = purges.iter().map(|(_, index)| *index).max().unwrap_or_default();
        ensure!(status.mesh.as_deref() == Some("local"), "{who}: mesh {:?}", status.mesh);
        ensure!(status.distributions == 1, "{who}: {} distributions", status.distributions);
        ensure!(status.log.applied_index >= last, "{who} is at {}", status.log.applied);
    }
    for (key, index) in purges {
        let receipt = stage.purge(stage.anyone()?, "/page", key).await?;
        ensure!(receipt.log_index == *index, "{key} was at {index}, is at {}", receipt.log_index);
    }
    Ok(())
}
