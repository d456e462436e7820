//! Forced recovery: most voters have lost their disks, one goes on with what it knows. What the
//! lost ones had acknowledged may be gone, but nothing that they had purged is ever served again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use model::{Level, NodeName};
use serde_json::json;
use shoal::client::{self, Call};

use crate::cluster::judge::{Promise, Verdict};
use crate::cluster::program::{Said, shoal};
use crate::cluster::readers::{Readers, look};
use crate::cluster::stage::{DEADLINE, Stage, cast, command, eventually, five, get, name};

const EVERY: Duration = Duration::from_millis(20);
const LEAST: usize = 10;
/// Long enough for a node that is well under load, short enough to wait for.
const LEASES: &str = "[mesh]\nlease_seconds = 3\n";

fn disk(stage: &Stage, node: &NodeName) -> PathBuf {
    stage.directory().join(node.as_str())
}

async fn recover(stage: &Stage, node: &NodeName, how: &[&str]) -> Result<Said> {
    let directory = format!("--data-dir={}", disk(stage, node).display());
    shoal(&[&["recover", &directory], how].concat()).await
}

async fn purged(stage: &Stage, through: &NodeName, target: &str) -> Result<Promise> {
    Promise::by_purge(stage, stage.mesh.node(through), target, Level::Fenced).await
}

/// Everybody who runs has come as far as that epoch, and holds a lease in it.
async fn is_in_epoch(stage: &Stage, epoch: u16) -> Result<()> {
    for node in stage.running() {
        eventually("the new epoch has arrived", async || {
            let status = stage.status(node).await?;
            let (who, at) = (node.spec.name.as_str(), status.log.applied);
            ensure!(status.log.epoch == epoch, "{who} is at {at}");
            let own = status.nodes.iter().find(|listed| listed.name == who);
            ensure!(own.is_some_and(|own| !own.fenced), "{who} has no lease");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_voter_goes_on_when_the_others_lost_their_disks_and_nothing_purged_comes_back()
-> Result<()> {
    let mut stage = Stage::wired(&five(), 3, LEASES).await?;
    let [survivor, second, third] = ["mid-eu-1", "mid-eu-2", "mid-us-1"].map(name);
    let [near, far] = ["edge-eu-1", "edge-us-1"].map(name);
    for path in ["/held", "/kept", "/page"] {
        stage.is_served(path, 0).await?;
    }
    let readers = Readers::start(&stage.mesh.edges(), &["/page"], EVERY);
    readers.answered(&far, LEAST).await?;

    // Acknowledged by the two that will be lost, unknown to the third and to an edge with a copy.
    stage.kill(&survivor).await?;
    stage.mesh.wires().isolate(&far);
    let mut promises = vec![purged(&stage, &second, "/held").await.context("before")?];
    promises.push(purged(&stage, &second, "/page").await.context("before")?);
    for lost in [&second, &third] {
        stage.kill(lost).await?;
        std::fs::remove_dir_all(disk(&stage, lost))?;
    }
    stage.mesh.node_mut(&survivor).start()?;
    without_quorum(&stage, &near).await?;
    refusals(&stage, &survivor).await?;
    stage.kill(&survivor).await?;
    let plan = recover(&stage, &survivor, &["--plan"]).await?.well()?;
    for word in [survivor.as_str(), second.as_str(), third.as_str(), "mesh epoch 1"] {
        ensure!(plan.contains(word), "no {word} in {plan}");
    }
    recover(&stage, &survivor, &[]).await?.refuses(&["nothing was changed", "--yes"])?;
    recover(&stage, &survivor, &["--yes"]).await?.well()?;
    let again = recover(&stage, &survivor, &["--yes"]).await?;
    again.refuses(&["is the only voter"])?;

    stage.revive(&survivor).await?;
    stage.mesh.wires().heal(&far);
    is_in_epoch(&stage, 1).await?;
    let asked = stage.origin.requests("/kept");
    for (path, node) in [("/held", &far), ("/held", &near), ("/kept", &far), ("/kept", &near)] {
        let sight = look(node, stage.mesh.node(node).http, path).await;
        let least = u64::from(path == "/held");
        ensure!(sight.version >= Some(least), "from before the recovery: {sight:?}");
    }
    ensure!(stage.origin.requests("/kept") > asked, "a copy from before was served unasked");

    for newcomer in [&second, &third] {
        stage.revive(newcomer).await?;
    }
    stage.settled(3).await?;
    promises.push(purged(&stage, &far, "/page").await.context("after")?);
    readers.answered(&near, LEAST).await?;
    readers.answered(&far, LEAST).await?;
    let sights = readers.end().await;
    Verdict::of(&sights, &promises).is_clean(4 * LEAST)?;
    stage.end().await
}

/// Commands end in a clear "unknown" while one of three voters is there.
async fn without_quorum(stage: &Stage, through: &NodeName) -> Result<()> {
    let body = json!({ "distribution": "demo", "paths": ["/nothing"], "timeout_ms": 2_000 });
    let through = stage.mesh.node(through).admin;
    let answer = command(through, Method::POST, "/v1/invalidations", &body).await?;
    ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "{}", client::problem(&answer));
    Ok(())
}

/// What runs, and what is no voter's, is not recovered.
async fn refusals(stage: &Stage, running: &NodeName) -> Result<()> {
    let in_use = recover(stage, running, &["--yes"]).await?;
    in_use.refuses(&["another shoal process is using"])?;
    shoal(&["recover", "--data-dir=/nowhere/at/all"]).await?.refuses(&["/nowhere/at/all"])
}

/// The operator was wrong: the others live on together, and acknowledge purges meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_went_on_without_the_recovered_one_give_way_when_they_meet() -> Result<()> {
    let names = ["mid-eu-1", "mid-eu-2", "mid-us-1", "edge-eu-1"];
    let mut stage = Stage::wired(&cast(&names), 3, LEASES).await?;
    let [survivor, second, third, edge] = names.map(name);
    let readers = Readers::start(&stage.mesh.edges(), &["/page"], EVERY);
    readers.answered(&edge, LEAST).await?;
    stage.mesh.wires().isolate(&survivor);
    stage.kill(&survivor).await?;
    recover(&stage, &survivor, &["--yes"]).await?.well()?;
    stage.revive(&survivor).await?;
    let mut promises = vec![purged(&stage, &edge, "/page").await.context("by the others")?];
    readers.answered(&edge, LEAST).await?;
    stage.mesh.wires().heal_all();
    for former in [&second, &third] {
        gives_way(&stage, former).await?;
    }
    eventually("the edge has come over", async || {
        let log = stage.status(stage.mesh.node(&edge)).await?.log;
        ensure!(log.epoch == 1, "{}", log.applied);
        Ok(())
    })
    .await?;
    promises.push(purged(&stage, &edge, "/page").await.context("by the recovered one")?);
    readers.answered(&edge, LEAST).await?;
    Verdict::of(&readers.end().await, &promises).is_clean(2 * LEAST)?;
    stage.end().await
}

/// Its `/readyz` says that it votes no more, and what to do.
async fn gives_way(stage: &Stage, former: &NodeName) -> Result<()> {
    eventually("the former voter says what to do", async || {
        let admin = stage.mesh.node(former).admin;
        let answer = client::send(admin, Call::get("localhost", "/readyz"), DEADLINE).await?;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(said.contains("recovered by force"), "{} {said}", answer.status);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_of_the_epoch_before_votes_no_more_and_joins_anew_without_its_log() -> Result<()> {
    let names = ["mid-eu-1", "mid-eu-2", "mid-us-1", "edge-eu-1"];
    let mut stage = Stage::wired(&cast(&names), 3, LEASES).await?;
    let [survivor, former, other, _] = names.map(name);
    for node in [&survivor, &former, &other] {
        stage.kill(node).await?;
    }
    recover(&stage, &survivor, &["--yes"]).await?.well()?;
    stage.revive(&survivor).await?;
    is_in_epoch(&stage, 1).await?;

    let journal = disk(&stage, &former).join("raft/journal.snapshot");
    let kept = std::fs::read(&journal).unwrap_or_default();
    stage.mesh.node_mut(&former).start()?;
    gives_way(&stage, &former).await?;
    get(stage.mesh.node(&former).http, "/page").await.context("viewers are served meanwhile")?;
    purged(&stage, &survivor, "/page").await.context("with a former voter about")?;
    eventually("the former voter has kept what it heard", async || {
        ensure!(std::fs::read(&journal).unwrap_or_default() != kept);
        Ok(())
    })
    .await?;
    stage.kill(&former).await?;
    stage.mesh.node_mut(&former).start()?;
    ensure!(!stage.mesh.node_mut(&former).ended().await?, "it started on the log of a past epoch");
    let said = stage.mesh.node(&former).last_log_lines();
    ensure!(said.contains("move `raft` and `instance` away"), "{said}");
    for part in ["raft", "instance"] {
        let place = disk(&stage, &former).join(part);
        match place.is_dir() {
            true => std::fs::remove_dir_all(place)?,
            false => std::fs::remove_file(place)?,
        }
    }
    stage.revive(&former).await?;
    stage.settled(1).await?;
    purged(&stage, &former, "/page").await.context("through the node that joined anew")?;
    stage.end().await
}
