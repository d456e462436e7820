//! Purges: through any node, honoured by all, in flight or not. An acknowledged purge is the one
//! promise that nothing may break, so these tests race it against slow answers of the origin.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use shoal::client::Answer;
use shoal::local::Origin;
use tokio::task::JoinHandle;

use crate::cluster::program::purge;
use crate::cluster::stage::{Stage, eventually, field, five, get};

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
async fn a_purge_overtakes_what_is_on_its_way_from_the_origin() -> Result<()> {
    let stage = Stage::serving(&five(), 3).await?;
    let requests = [("/head", "?held=head"), ("/body", "?bytes=320000&held=body")];
    let overtaken = requests.map(|(path, query)| overtaken(&stage, path, query));
    let overtaken = join_all(overtaken).await;
    stage.origin.release();
    for requests in overtaken {
        requests?.ended(&stage).await?;
    }
    stage.end().await
}

/// Requests for one object, some from before its purge and some from after.
struct Overtaken {
    path: &'static str,
    target: String,
    version: u64,
    before: JoinHandle<Vec<Result<Answer>>>,
    after: JoinHandle<Vec<Result<Answer>>>,
}

/// Asks for old content everywhere, purges it while the origin holds it back, and asks again.
async fn overtaken(stage: &Stage, path: &'static str, query: &str) -> Result<Overtaken> {
    let target = format!("{path}{query}");
    let before = everywhere(stage, &target);
    asked(stage, path, 1).await?;
    let version = stage.origin.change();
    purge(stage.anyone()?.admin, &target, &[]).await?;
    let after = everywhere(stage, &target);
    asked(stage, path, 2).await.context("a request joined what was purged")?;
    Ok(Overtaken { path, target, version, before, after })
}

impl Overtaken {
    async fn ended(self, stage: &Stage) -> Result<()> {
        let Overtaken { path, target, version, before, after } = self;
        for answer in after.await? {
            let answer = answer?;
            ensure!(is_new(&answer, path, version), "asked after: {}", sketch(&answer));
        }
        // Those who asked before the purge see their answer break off, or get the new version.
        for answer in before.await?.into_iter().flatten() {
            ensure!(is_new(&answer, path, version), "asked before: {}", sketch(&answer));
        }
        for answer in everywhere(stage, &target).await? {
            let answer = answer?;
            ensure!(is_new(&answer, path, version), "kept: {}", sketch(&answer));
        }
        Ok(())
    }
}

fn everywhere(stage: &Stage, target: &str) -> JoinHandle<Vec<Result<Answer>>> {
    let doors = stage.doors();
    let requests: Vec<_> = doors.iter().map(|door| whole(*door, target.to_owned())).collect();
    tokio::spawn(join_all(requests))
}

async fn asked(stage: &Stage, path: &str, times: u64) -> Result<()> {
    eventually("the origin is asked", async || {
        let requests = stage.origin.requests(path);
        ensure!(requests >= times, "{requests} requests for {path}");
        Ok(())
    })
    .await
}

async fn whole(door: SocketAddr, target: String) -> Result<Answer> {
    get(door, &target).await
}

/// Whether it is all of one version, and that one `version` or later.
fn is_new(answer: &Answer, path: &str, version: u64) -> bool {
    let is = |version| answer.body == Origin::body(path, version, answer.body.len());
    answer.status.is_success() && !answer.body.is_empty() && (version..version + 3).any(is)
}

fn sketch(answer: &Answer) -> String {
    let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(40)]);
    let trail = field(answer, "cache-status");
    format!("{} with {} bytes, {start:?}, {trail}", answer.status, answer.body.len())
}
