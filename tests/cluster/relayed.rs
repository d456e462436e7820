//! Worst cases on real processes: wires that are cut or slow, nodes that are stopped or killed,
//! an origin that answers late, and readers who look all the time.
//!
//! Every purge is waited for until it is `fenced`, and then every answer of every node is judged:
//! whoever was cut off, stopped or killed too. Leases are short, so that tests need not wait long.

use std::slice;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::{Level, NodeName};
use shoal::local::{End, Hold, Manner, Process, Sight};
use tokio::time::Instant;

use crate::cluster::judge::{Promise, Verdict};
use crate::cluster::readers::{Readers, look};
use crate::cluster::stage::{Stage, cast, eventually, name};

const EVERY: Duration = Duration::from_millis(20);
const WIRE: Duration = Duration::from_millis(20);
const LEAST: usize = 10;

/// The smallest mesh in which one edge can be lost: one voter, two edges.
const THREE: [&str; 3] = ["mid-eu-1", "edge-eu-1", "edge-us-1"];

/// Long enough for a node that is well under load, short enough to wait for.
const LEASES: &str = "[mesh]\nlease_seconds = 3\n";

/// The origin changes what `target` names, and `through` acknowledges that its purge is fenced.
async fn purged(stage: &Stage, through: &Process, target: &str) -> Result<Promise> {
    Promise::by_purge(stage, through, target, Level::Fenced).await
}

/// Whether `node` believes that `other` lives.
async fn believes(stage: &Stage, node: &NodeName, other: &NodeName) -> Result<bool> {
    let status = stage.status(stage.mesh.node(node)).await?;
    Ok(status.nodes.iter().any(|node| node.name == other.as_str() && node.alive))
}

async fn serves(stage: &Stage, node: &NodeName, path: &str, version: u64) -> Result<()> {
    eventually("the new version is served", async || {
        let sight = look(node, stage.mesh.node(node).http, path).await;
        ensure!(sight.end == End::Whole && sight.version == Some(version), "{sight:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_answers_and_follows_again_when_it_is_back() -> Result<()> {
    let stage = Stage::wired(&cast(&THREE), 1, LEASES).await?;
    let [mid, near, far] = THREE.map(name);
    let nodes: Vec<&Process> = stage.mesh.edges();
    let readers = Readers::start(&nodes, &["/page"], EVERY);
    readers.answered(&far, LEAST).await?;
    let wires = stage.mesh.wires();
    wires.isolate(&far);
    eventually("the lost node is known to be", async || {
        ensure!(!believes(&stage, &mid, &far).await?, "{mid} believes in {far}");
        Ok(())
    })
    .await?;
    let carried = [wires.carried(&far, &mid), wires.carried(&mid, &far)];
    let promise = purged(&stage, stage.mesh.node(&mid), "/page").await?;
    readers.answered(&near, LEAST).await?;
    readers.answered(&far, LEAST).await?;
    let silent = [wires.carried(&far, &mid), wires.carried(&mid, &far)];
    ensure!(carried == silent && wires.lost(&far, &mid) > 0, "{carried:?}, then {silent:?}");
    wires.heal(&far);
    stage.settled(1).await?;
    serves(&stage, &far, "/page", promise.version).await?;

    let (sights, promises) = (readers.end().await, [promise]);
    for node in [near, far] {
        let verdict = Verdict::about(slice::from_ref(&node), &sights, &promises);
        verdict.is_clean(LEAST).with_context(|| node.to_string())?;
        ensure!(verdict.refused + verdict.unanswered == 0, "{node}: {verdict}");
    }
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_stopped_goes_on_and_follows_again() -> Result<()> {
    let stage = Stage::wired(&cast(&THREE), 1, LEASES).await?;
    let [mid, near, far] = THREE.map(name);
    let readers = Readers::start(&stage.mesh.edges(), &["/page"], EVERY);
    readers.answered(&far, LEAST).await?;
    stage.mesh.node(&far).pause().await?;
    let stopped = Instant::now();
    let promise = purged(&stage, stage.mesh.node(&mid), "/page").await?;
    readers.answered(&near, LEAST).await?;
    let resumed = Instant::now();
    stage.mesh.node(&far).resume()?;
    stage.settled(1).await?;
    serves(&stage, &far, "/page", promise.version).await?;
    readers.answered(&far, LEAST).await?;

    let sights = readers.end().await;
    let asleep = |sight: &&Sight| sight.node == far && sight.sent > stopped && sight.sent < resumed;
    let waited: Vec<&Sight> = sights.iter().filter(asleep).collect();
    let early = waited.iter().filter(|sight| sight.finished < resumed).count();
    ensure!(early == 0, "{early} answers of a node that was stopped");
    ensure!(waited.iter().any(|sight| sight.end == End::Whole), "nobody waited");
    Verdict::of(&sights, &[promise]).is_clean(2 * LEAST)?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_a_purge_overtakes_is_not_kept() -> Result<()> {
    let stage = Stage::wired(&cast(&THREE), 1, LEASES).await?;
    let doors: Vec<_> =
        stage.mesh.edges().iter().map(|node| (node.spec.name.clone(), node.http)).collect();
    let (node, door) = doors.first().cloned().context("no edge")?;
    for (path, hold) in [("/head", Hold::Head), ("/body", Hold::Body)] {
        let manner = Manner { bytes: Some(100_000), ..Manner::default() };
        stage.origin.behave(path, Manner { hold, ..manner.clone() });
        let early = tokio::spawn({
            let node = node.clone();
            async move { look(&node, door, path).await }
        });
        eventually("the origin is asked", async || {
            ensure!(stage.origin.requests(path) == 1);
            Ok(())
        })
        .await?;
        stage.origin.behave(path, manner);
        let promise = purged(&stage, stage.anyone()?, path).await?;
        let late = look(&node, door, path).await;
        stage.origin.let_go(path);
        let early = early.await?;
        // It was asked for before the purge, yet nothing old is whole after it.
        let is_cut = early.end == End::BrokenOff;
        ensure!(is_cut || early.version == Some(promise.version), "{early:?}");
        let mut sights = vec![early, late];
        for (node, door) in &doors {
            sights.push(look(node, *door, path).await);
        }
        Verdict::of(&sights, &[promise]).is_clean(1 + doors.len()).context(path)?;
        let asked = stage.origin.asked(path);
        ensure!(asked.first().is_some_and(|asked| asked.version == 0), "{asked:?}");
    }
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_while_purges_go_on_comes_back_with_what_is_new() -> Result<()> {
    let mut stage = Stage::wired(&cast(&THREE), 1, LEASES).await?;
    let [mid, near, far] = THREE.map(name);
    let readers = Readers::start(&stage.mesh.edges(), &["/page", "/other"], EVERY);
    readers.answered(&far, LEAST).await?;
    let mut promises = vec![purged(&stage, stage.mesh.node(&mid), "/page").await?];
    stage.mesh.node_mut(&far).restart().await?;
    for path in ["/other", "/page", "/other"] {
        promises.push(purged(&stage, stage.mesh.node(&mid), path).await?);
    }
    stage.mesh.ready(&far).await?;
    stage.settled(1).await?;
    readers.answered(&far, LEAST).await?;

    let sights = readers.end().await;
    let whole = Verdict::about(slice::from_ref(&near), &sights, &promises);
    whole.is_clean(LEAST)?;
    ensure!(whole.refused + whole.unanswered == 0, "{whole}");
    Verdict::about(slice::from_ref(&far), &sights, &promises).is_clean(LEAST)?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_with_slow_wires_serves() -> Result<()> {
    const TARGET: &str = "/far?bytes=500000";
    let stage = Stage::wired(&cast(&THREE), 1, LEASES).await?;
    let [mid, _, far] = THREE.map(name);
    stage.mesh.wires().delay_all(WIRE);
    let began = Instant::now();
    let first = look(&far, stage.mesh.node(&far).http, TARGET).await;
    let took = began.elapsed();
    ensure!(first.end == End::Whole && took > 2 * WIRE, "after {took:?}: {first:?}");
    let readers = Readers::start(&stage.mesh.edges(), &[TARGET], 5 * EVERY);
    readers.answered(&far, LEAST).await?;
    let promise = purged(&stage, stage.mesh.node(&far), TARGET).await?;
    readers.answered(&far, LEAST).await?;
    let verdict = Verdict::of(&readers.end().await, &[promise]);
    verdict.is_clean(LEAST)?;
    ensure!(verdict.refused + verdict.unanswered + verdict.dropped.len() == 0, "{verdict}");
    ensure!(stage.mesh.wires().carried(&mid, &far) > 0, "nothing went through the wires");
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_may_be_cut_in_one_direction_only() -> Result<()> {
    let stage = Stage::wired(&cast(&THREE), 1, LEASES).await?;
    let [mid, _, far] = THREE.map(name);
    let wires = stage.mesh.wires();
    wires.mute(&far);
    eventually("who is not heard is given up", async || {
        ensure!(!believes(&stage, &mid, &far).await?, "{mid} believes in {far}");
        Ok(())
    })
    .await?;
    let (sent, heard) = (wires.carried(&far, &mid), wires.carried(&mid, &far));
    eventually("the other direction is open", async || {
        ensure!(wires.carried(&mid, &far) > heard, "nothing gets through to {far}");
        Ok(())
    })
    .await?;
    ensure!(wires.carried(&far, &mid) == sent, "{far} was heard");
    wires.heal(&far);
    stage.settled(1).await?;
    stage.end().await
}
