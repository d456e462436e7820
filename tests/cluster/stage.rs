//! The stage: one mesh of processes with an origin, and what every test does with it.
//!
//! Nodes `mid-…` serve the regional and shield tiers and may vote, nodes `edge-…` serve viewers
//! only. Whatever is waited for is looked at again and again until it holds or [`PATIENCE`] ends.
//! A stage that is not ended in good order prints the last words of its nodes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use admin::view::{NodeRole, NodeStatus, Receipt, Status};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::Method;
use model::{Level, NodeName};
use serde_json::json;
use shoal::client::{self, Answer, Call};
use shoal::local::{LocalMesh, Origin, Process, Spec};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The host that viewers ask for.
pub(crate) const HOST: &str = "demo.example";
/// How long one request may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// How long something may take to become true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One mesh at a time.
static TURN: Semaphore = Semaphore::const_new(1);

/// Waits until no stage stands; while this is held, none does.
pub(crate) async fn turn() -> Result<SemaphorePermit<'static>> {
    Ok(TURN.acquire().await?)
}

/// A mesh, its origin and its directory.
pub(crate) struct Stage {
    pub(crate) mesh: LocalMesh,
    pub(crate) origin: Origin,
    directory: TempDir,
    outcome: Outcome,
    _turn: SemaphorePermit<'static>,
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Unknown,
    Good,
}

/// What stands between nodes.
enum Between {
    Nothing,
    Wires,
}

/// Four nodes that may vote, three edges, two regions.
pub(crate) fn seven() -> Vec<Spec> {
    cast(&["mid-eu-1", "mid-eu-2", "mid-us-1", "mid-us-2", "edge-eu-1", "edge-eu-2", "edge-us-1"])
}

/// Three voters and two edges, two regions.
pub(crate) fn five() -> Vec<Spec> {
    cast(&["mid-eu-1", "mid-eu-2", "mid-us-1", "edge-eu-1", "edge-us-1"])
}

/// Nodes of these names, `TIER-REGION-NUMBER`.
pub(crate) fn cast(names: &[&str]) -> Vec<Spec> {
    let spec = |name: &&str| {
        let tiers = if name.starts_with("edge") { "edge" } else { "regional,shield" };
        let region = name.split('-').nth(1).unwrap_or("eu");
        Spec::new(name, region, tiers)
    };
    names.iter().map(spec).collect()
}

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().expect("a name written in a test")
}

impl Stage {
    /// Starts `specs` and waits until everyone sees everyone, and `voters` vote.
    pub(crate) async fn set(specs: &[Spec], voters: usize) -> Result<Stage> {
        Stage::set_with(specs, voters, "").await
    }

    /// The same, with a configuration file for all nodes.
    pub(crate) async fn set_with(specs: &[Spec], voters: usize, config: &str) -> Result<Stage> {
        Stage::raise(specs, voters, config, Between::Nothing).await
    }

    /// Nodes with wires between them, to be cut and to be slow, and everything served from the
    /// origin.
    pub(crate) async fn wired(specs: &[Spec], voters: usize, config: &str) -> Result<Stage> {
        let stage = Stage::raise(specs, voters, config, Between::Wires).await?;
        stage.publish().await?;
        Ok(stage)
    }

    async fn raise(specs: &[Spec], voters: usize, config: &str, between: Between) -> Result<Stage> {
        let turn = turn().await?;
        let directory = tempfile::Builder::new().prefix("shoal-test-").tempdir()?;
        let file = directory.path().join("node.toml");
        std::fs::write(&file, config)?;
        let origin = Origin::start().await?;
        let flags = ["--memory-mib=64", &format!("--config={}", file.display())];
        let program = Path::new(env!("CARGO_BIN_EXE_shoal"));
        let at = directory.path();
        let mesh = match between {
            Between::Nothing => LocalMesh::start(at, program, specs, &flags).await?,
            Between::Wires => LocalMesh::start_wired(at, program, specs, &flags).await?,
        };
        let outcome = Outcome::Unknown;
        let stage = Stage { mesh, origin, directory, outcome, _turn: turn };
        stage.settled(voters).await?;
        Ok(stage)
    }

    /// The same as [`Stage::set`], with everything served from the origin.
    pub(crate) async fn serving(specs: &[Spec], voters: usize) -> Result<Stage> {
        let stage = Stage::set(specs, voters).await?;
        stage.publish().await?;
        Ok(stage)
    }

    /// The distribution `demo`, known to every node.
    pub(crate) async fn publish(&self) -> Result<()> {
        let through = self.anyone()?.admin;
        let body = self.origin.distribution("demo");
        let target = "/v1/distributions/demo?wait=applied";
        let answer = command(through, Method::PUT, target, &body).await?;
        ensure!(answer.status.is_success(), "{}", client::problem(&answer));
        Ok(())
    }

    /// A place for files that goes with the stage.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A node that runs.
    pub(crate) fn anyone(&self) -> Result<&Process> {
        let running = self.mesh.nodes.iter().rev().find(|node| node.is_running());
        running.context("no node runs")
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Process> {
        self.mesh.nodes.iter().filter(|node| node.is_running())
    }

    /// Where viewers are served.
    pub(crate) fn doors(&self) -> Vec<SocketAddr> {
        self.mesh.edges().iter().map(|edge| edge.http).collect()
    }

    pub(crate) async fn status(&self, node: &Process) -> Result<Status> {
        let status = self.mesh.status(node.admin).await;
        status.with_context(|| format!("the status of {}", node.spec.name))
    }

    /// Waits until every running node sees who runs, who does not, and `voters` living voters.
    pub(crate) async fn settled(&self, voters: usize) -> Result<()> {
        let running: BTreeSet<&str> = self.running().map(|node| node.spec.name.as_str()).collect();
        for node in self.running() {
            let what = format!("{} sees {voters} voters among {running:?}", node.spec.name);
            eventually(&what, async || {
                let status = self.status(node).await?;
                let living = status.nodes.iter().filter(|node| node.alive);
                let names: BTreeSet<&str> = living.clone().map(|node| node.name.as_str()).collect();
                let leads = status.leader.as_deref().is_some_and(|name| running.contains(name));
                let holds = names == running && living.filter(|node| votes(node)).count() == voters;
                holds.then_some(()).filter(|()| leads).with_context(|| sketch(&status))
            })
            .await?;
        }
        Ok(())
    }

    /// The node that leads, on which all that run agree.
    pub(crate) async fn leader(&self) -> Result<NodeName> {
        let node = self.anyone()?;
        eventually("somebody leads", async || {
            let leader = self.status(node).await?.leader.context("nobody")?;
            Ok(leader.parse()?)
        })
        .await
    }

    /// SIGKILL, and back from its disk as soon as it may: ready, seen by all.
    pub(crate) async fn revive(&mut self, node: &NodeName) -> Result<()> {
        self.mesh.node_mut(node).start()?;
        self.mesh.ready(node).await
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self, node: &NodeName) -> Result<()> {
        self.mesh.node_mut(node).kill().await
    }

    /// A purge of `path` through `node` that every living node must have applied.
    pub(crate) async fn purge(&self, node: &Process, path: &str, key: &str) -> Result<Receipt> {
        self.purge_until(node, path, key, Level::Applied).await
    }

    /// A purge of `path` through `node` that must come as far as `level`.
    pub(crate) async fn purge_until(
        &self,
        node: &Process,
        path: &str,
        key: &str,
        level: Level,
    ) -> Result<Receipt> {
        let body = json!({
            "distribution": "demo", "paths": [path], "wait": level,
            "timeout_ms": 15_000, "idempotency_key": key,
        });
        let answer = command(node.admin, Method::POST, "/v1/invalidations", &body).await?;
        ensure!(answer.status.is_success(), "{}", client::problem(&answer));
        let receipt: Receipt = serde_json::from_slice(&answer.body)?;
        ensure!(receipt.level >= level, "pending: {:?}", receipt.pending);
        Ok(receipt)
    }

    /// Every edge has `path` in this version and no other.
    pub(crate) async fn is_served(&self, path: &str, version: u64) -> Result<()> {
        for edge in self.mesh.edges() {
            let answer = get(edge.http, path).await?;
            let expected = format!("{path} version {version}\n");
            let who = &edge.spec.name;
            ensure!(answer.body == expected, "{who}: {:?}, not {expected:?}", answer.body);
        }
        Ok(())
    }

    /// Everything held.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.outcome = Outcome::Good;
        for node in &mut self.mesh.nodes {
            node.kill().await?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.outcome == Outcome::Unknown {
            for node in &self.mesh.nodes {
                eprintln!("--- {}\n{}", node.spec.name, node.last_log_lines());
            }
        }
    }
}

/// Looks until there is something to see; the last error says what was seen instead.
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(error) if began.elapsed() > PATIENCE => {
                bail!("not within {} s: {what}. Last seen: {error:#}", PATIENCE.as_secs())
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// A viewer's request.
pub(crate) async fn get(door: SocketAddr, target: &str) -> Result<Answer> {
    let answer = client::send(door, Call::get(HOST, target), DEADLINE).await;
    answer.with_context(|| format!("{target} at {door}"))
}

/// An operator's request.
pub(crate) async fn command(
    through: SocketAddr,
    method: Method,
    target: &str,
    body: &serde_json::Value,
) -> Result<Answer> {
    let headers = &[("content-type", "application/json")];
    let body = Bytes::from(serde_json::to_vec(body)?);
    let call = Call { method, host: "localhost", target, headers, body };
    client::send(through, call, DEADLINE).await
}

/// A field of an answer; empty if it is not there.
pub(crate) fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

pub(crate) fn votes(node: &NodeStatus) -> bool {
    match node.role {
        NodeRole::Leader | NodeRole::Voter => true,
        NodeRole::Follower => false,
    }
}

fn sketch(status: &Status) -> String {
    let node = |node: &NodeStatus| {
        let life = if node.alive { "" } else { " (dead)" };
        format!("{} {:?} {}{life}", node.name, node.role, node.applied)
    };
    let nodes: Vec<String> = status.nodes.iter().map(node).collect();
    format!("leader {:?}, {}", status.leader, nodes.join(", "))
}
