//! Purges: through any node, honoured by all, in flight or not. An acknowledged purge is the one
//! promise that nothing may break, so these tests race it against slow answers of the origin.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use shoal::client::Answer;
use shoal::local::Origin;

use crate::cluster::program::purge;
use crate::cluster::stage::{Stage, eventually, field, five, get};

/// Long enough for a purge to be acknowledged meanwhile.
const SLOW: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_through_any_node_is_honoured_by_every_node() -> Result<()> {
    let stage = Stage::serving(&five(), 3).await?;
    stage.is_served("/dir/page", 0).await?;
    let mut last = 0;
    for node in &stage.mesh.nodes {
        for path in ["/dir/page", "/dir/*", "http://demo.example/dir/page"] {
            let version = stage.origin.change();
            let receipt = purge(node.admin, path, &[]).await?;
            ensure!(receipt.applied.len() == stage.mesh.nodes.len(), "{receipt:?}");
            ensure!(receipt.pending.is_empty() && receipt.log_index > last, "{receipt:?}");
            last = receipt.log_index;
            let who = || format!("{path} was purged through {}", node.spec.name);
            stage.is_served("/dir/page", version).await.with_context(who)?;
        }
    }
    let version = stage.origin.version();
    let node = stage.anyone()?;
    purge(node.admin, "/dir", &[]).await?;
    stage.origin.change();
    stage.is_served("/dir/page", version).await.context("a purge of something else")?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_overtakes_an_answer_that_the_origin_has_not_given_yet() -> Result<()> {
    let stage = Stage::serving(&five(), 3).await?;
    stage.origin.delay(SLOW);
    overtakes(&stage, "/head", "").await?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_overtakes_a_body_that_is_on_its_way() -> Result<()> {
    let stage = Stage::serving(&five(), 3).await?;
    overtakes(&stage, "/body", "?bytes=320000&pause-ms=150").await?;
    stage.end().await
}

/// Old content is requested everywhere; while it is on its way, it is purged.
async fn overtakes(stage: &Stage, path: &str, query: &str) -> Result<()> {
    let doors = stage.doors();
    let target = format!("{path}{query}");
    let everywhere = || {
        let requests: Vec<_> = doors.iter().map(|door| whole(*door, target.clone())).collect();
        tokio::spawn(try_join_all(requests))
    };
    let before = everywhere();
    eventually("the origin is asked", async || {
        ensure!(stage.origin.requests(path) > 0);
        Ok(())
    })
    .await?;
    let version = stage.origin.change();
    purge(stage.anyone()?.admin, &target, &[]).await?;
    ensure!(!before.is_finished(), "the purge was not in time to overtake anything");
    for answer in everywhere().await?? {
        let sketch = sketch(&answer);
        ensure!(is_version(&answer, path, version), "asked after the purge: {sketch}");
    }
    // Those who asked before the purge may get either version, but a whole one.
    for answer in before.await?? {
        let either = [version - 1, version].into_iter().any(|v| is_version(&answer, path, v));
        ensure!(either, "asked before the purge: {}", sketch(&answer));
    }
    stage.origin.delay(Duration::ZERO);
    for answer in everywhere().await?? {
        ensure!(is_version(&answer, path, version), "kept: {}", sketch(&answer));
    }
    Ok(())
}

async fn whole(door: SocketAddr, target: String) -> Result<Answer> {
    get(door, &target).await
}

fn is_version(answer: &Answer, path: &str, version: u64) -> bool {
    let expected = Origin::body(path, version, answer.body.len());
    answer.status.is_success() && !answer.body.is_empty() && answer.body == expected
}

fn sketch(answer: &Answer) -> String {
    let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(40)]);
    let trail = field(answer, "cache-status");
    format!("{} with {} bytes, {start:?}, {trail}", answer.status, answer.body.len())
}
