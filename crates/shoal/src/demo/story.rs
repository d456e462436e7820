//! The story: each chapter promises something, does it with real requests and real deaths, and says
//! what came of it.

use std::net::SocketAddr;
use std::time::Duration;

use admin::view::NodeRole;
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Method;
use model::NodeName;

use super::load::Load;
use super::stage::Stage;
use crate::client::{self, Answer, Call, problem};
use crate::local::{LocalMesh, Origin, now};

const DEADLINE: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(15);
const MEBIBYTE: usize = 1024 * 1024;

/// Tells it. `None`: a chapter failed.
pub(super) async fn tell(stage: &mut Stage, mesh: &mut LocalMesh, origin: &Origin) -> Option<()> {
    stage.step("three voters, spread over two regions; everyone alive", voters(mesh)).await?;
    stage.step("a distribution, through an edge", publish(mesh, origin)).await?;
    stage
        .step("a cold 1 MiB object, asked for through every edge at once", cold(mesh, origin))
        .await?;
    stage.step("where each answer comes from", sources(mesh, origin)).await?;
    stage
        .step("a purge through a node that is neither leader nor voter", purged(mesh, origin))
        .await?;
    let owners = stage.step("who owns an object", owners(mesh, "/owned")).await?;
    stage
        .step("the regional owner is killed; viewers do not notice", dies(mesh, &owners.regional))
        .await?;
    stage
        .step("the shield owner is killed; viewers do not notice", dies(mesh, &owners.shield))
        .await?;
    stage
        .step("the Raft leader is killed; the next purge works", leader_dies(mesh, origin))
        .await?;
    Some(())
}

async fn get(edge: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    client::send(edge, Call::get("demo.example", path), DEADLINE).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// A running node that serves operators.
fn anyone(mesh: &LocalMesh) -> anyhow::Result<SocketAddr> {
    let running = mesh.nodes.iter().rev().find(|node| node.is_running());
    Ok(running.context("no node runs")?.admin)
}

async fn command(
    through: SocketAddr,
    method: Method,
    target: &str,
    body: serde_json::Value,
) -> anyhow::Result<Answer> {
    let headers = &[("content-type", "application/json")];
    let body = Bytes::from(serde_json::to_vec(&body)?);
    let call = Call { method, host: "localhost", target, headers, body };
    let answer = client::send(through, call, DEADLINE * 2).await?;
    ensure!(answer.status.is_success(), "{}", problem(&answer));
    Ok(answer)
}

/// Waits until every running node sees the mesh as `holds` wants it; gives what one of them sees.
async fn settle(
    mesh: &LocalMesh,
    holds: impl Fn(&admin::view::Status) -> bool,
) -> anyhow::Result<admin::view::Status> {
    let began = now();
    let running: Vec<SocketAddr> =
        mesh.nodes.iter().filter(|node| node.is_running()).map(|node| node.admin).collect();
    loop {
        let views = try_join_all(running.iter().map(|admin| mesh.status(*admin))).await?;
        let status = views.iter().find(|status| !holds(status));
        let Some(status) = status else {
            return views.into_iter().next().context("no node runs");
        };
        if began.elapsed() > SETTLE {
            bail!("not after {} s: {}", SETTLE.as_secs(), serde_json::to_string(&status)?);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn votes(node: &admin::view::NodeStatus) -> bool {
    match node.role {
        NodeRole::Leader | NodeRole::Voter => true,
        NodeRole::Follower => false,
    }
}

async fn voters(mesh: &LocalMesh) -> anyhow::Result<String> {
    let count = mesh.nodes.iter().filter(|node| node.is_running()).count();
    let status = settle(mesh, |status| {
        let alive = status.nodes.iter().filter(|node| node.alive).count();
        let voting = status.nodes.iter().filter(|node| node.alive && votes(node)).count();
        alive == count && voting == 3 && status.leader.is_some()
    })
    .await?;
    let voting: Vec<String> = status
        .nodes
        .iter()
        .filter(|node| votes(node))
        .map(|node| match node.role {
            NodeRole::Leader => format!("{} leads", node.name),
            NodeRole::Voter | NodeRole::Follower => node.name.clone(),
        })
        .collect();
    let regions: Vec<&str> =
        status.nodes.iter().filter(|n| votes(n)).map(|n| n.region.as_str()).collect();
    ensure!(regions.contains(&"eu") && regions.contains(&"us"), "all voters in one region");
    Ok(voting.join(", "))
}

async fn publish(mesh: &LocalMesh, origin: &Origin) -> anyhow::Result<String> {
    let through = anyone(mesh)?;
    let body = origin.distribution("demo");
    command(through, Method::PUT, "/v1/distributions/demo", body).await?;
    let began = now();
    for edge in mesh.edges() {
        while get(edge.http, "/hello").await?.status.as_u16() == 421 {
            ensure!(began.elapsed() < SETTLE, "{} has not heard of it", edge.spec.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok("every host is answered from the demo's origin".into())
}

async fn cold(mesh: &LocalMesh, origin: &Origin) -> anyhow::Result<String> {
    const EACH: usize = 20;
    let target = format!("/cold?bytes={MEBIBYTE}");
    let edges: Vec<SocketAddr> = mesh.edges().iter().map(|edge| edge.http).collect();
    let everyone = edges.iter().flat_map(|edge| std::iter::repeat_n(*edge, EACH));
    let answers = try_join_all(everyone.map(|edge| get(edge, &target))).await?;
    let first = answers.first().context("no edges")?;
    ensure!(first.body.len() == MEBIBYTE, "{} bytes", first.body.len());
    let same = answers.iter().all(|a| a.status == first.status && a.body == first.body);
    ensure!(same && first.status.is_success(), "the bodies differ");
    let requests = origin.requests("/cold");
    ensure!(requests == 1, "{requests} origin requests, expected 1");
    Ok(format!("{} viewers, 1 origin request, all bodies identical", answers.len()))
}

async fn sources(mesh: &LocalMesh, origin: &Origin) -> anyhow::Result<String> {
    let edge = |name: &str| mesh.node(&name.parse().expect("a name of the demo's cast")).http;
    let mut told = Vec::new();
    for (at, from) in [
        ("edge-eu-1", "origin"),
        ("edge-eu-1", "its own cache"),
        ("edge-eu-2", "a tier above"),
        ("edge-us-1", "a tier above"),
    ] {
        let began = now();
        let answer = get(edge(at), "/where").await?;
        let micros = began.elapsed().as_micros();
        ensure!(answer.status.is_success(), "{at}: {}", answer.status);
        let hit = header(&answer, "x-cache").starts_with("Hit");
        ensure!(hit == (from == "its own cache"), "{at}: {}", header(&answer, "x-cache"));
        told.push(format!("{at}  {micros:>6} µs  {}", header(&answer, "cache-status")));
    }
    let requests = origin.requests("/where");
    ensure!(requests == 1, "{requests} origin requests, expected 1");
    Ok(told.join("\n"))
}

async fn purge(through: SocketAddr, path: &str) -> anyhow::Result<admin::view::Receipt> {
    let body = serde_json::json!({ "distribution": "demo", "paths": [path], "wait": "applied" });
    let answer = command(through, Method::POST, "/v1/invalidations", body).await?;
    let receipt: admin::view::Receipt = serde_json::from_slice(&answer.body)?;
    ensure!(
        receipt.level >= model::Level::Applied,
        "only {}, pending: {}",
        receipt.level,
        receipt.pending.join(", ")
    );
    Ok(receipt)
}

async fn purged(mesh: &LocalMesh, origin: &Origin) -> anyhow::Result<String> {
    let status = mesh.status(anyone(mesh)?).await?;
    let ordinary = status.nodes.iter().find(|node| node.alive && !votes(node));
    let ordinary: NodeName = ordinary.context("everyone votes")?.name.parse()?;
    let version = origin.change();
    let receipt = purge(mesh.node(&ordinary).admin, "/where").await?;
    let expected = format!("/where version {version}\n");
    for edge in mesh.edges() {
        let answer = get(edge.http, "/where").await?;
        ensure!(answer.body == expected, "{} is old: {:?}", edge.spec.name, answer.body);
    }
    let last = receipt.applied.iter().map(|node| node.ms).max().unwrap_or_default();
    Ok(format!(
        "through {ordinary}: committed in {} ms, applied by {} nodes in {last} ms, old nowhere",
        receipt.committed_ms,
        receipt.applied.len()
    ))
}

/// The owners of an object, for which they are two nodes.
struct Owners {
    path: String,
    regional: NodeName,
    shield: NodeName,
}

impl std::fmt::Display for Owners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Owners { path, regional, shield } = self;
        write!(f, "{path} in eu: regional {regional}, shield {shield}")
    }
}

/// A cold object's `Cache-Status` names its tiers, the one nearest the origin first.
async fn owners(mesh: &LocalMesh, prefix: &str) -> anyhow::Result<Owners> {
    let edge = mesh.edges().first().context("no edges")?.http;
    for attempt in 0..200 {
        let path = format!("{prefix}/{attempt}");
        let answer = get(edge, &path).await?;
        let trail = header(&answer, "cache-status");
        let names = trail.split(',').filter_map(|member| member.split(';').next());
        let names: Vec<&str> = names.map(|name| name.trim().trim_matches('"')).collect();
        if let [shield, regional, _edge] = names[..] {
            return Ok(Owners { path, regional: regional.parse()?, shield: shield.parse()? });
        }
    }
    bail!("no object with two owners among 200")
}

async fn dies(mesh: &mut LocalMesh, victim: &NodeName) -> anyhow::Result<String> {
    let edges: Vec<SocketAddr> = mesh.edges().iter().map(|edge| edge.http).collect();
    let load = Load::start(&edges, victim.as_str());
    tokio::time::sleep(Duration::from_millis(500)).await;
    mesh.node_mut(victim).kill().await?;
    let began = now();
    settle(mesh, |s| s.nodes.iter().any(|node| node.name == victim.as_str() && !node.alive))
        .await?;
    let noticed = began.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    mesh.node_mut(victim).start()?;
    mesh.ready(victim).await?;
    voters(mesh).await?;
    let seen = load.end().await;
    if let Some(failure) = seen.failures.first() {
        bail!("{} of {} requests failed: {failure}", seen.failures.len(), seen.requests);
    }
    Ok(format!(
        "{victim}: out of every walk after {} ms; {} requests meanwhile, 0 errors, \
         slowest {} ms; then back from its disk",
        noticed.as_millis(),
        seen.requests,
        seen.slowest.as_millis()
    ))
}

async fn leader_dies(mesh: &mut LocalMesh, origin: &Origin) -> anyhow::Result<String> {
    let status = settle(mesh, |status| status.leader.is_some()).await?;
    let leader: NodeName = status.leader.context("no leader")?.parse()?;
    mesh.node_mut(&leader).kill().await?;
    let began = now();
    let version = origin.change();
    let receipt = purge(anyone(mesh)?, "/*").await?;
    let took = began.elapsed();
    for edge in mesh.edges() {
        let answer = get(edge.http, "/where").await?;
        let expected = format!("/where version {version}\n");
        ensure!(answer.body == expected, "{} is old: {:?}", edge.spec.name, answer.body);
    }
    mesh.node_mut(&leader).start()?;
    mesh.ready(&leader).await?;
    Ok(format!(
        "{leader} was killed; everything purged {} ms later at log index {}, old nowhere",
        took.as_millis(),
        receipt.log_index
    ))
}
