//! Upgrades: the nodes of a mesh are stopped and started anew one after the other, and from then on
//! speak a newer protocol with whoever knows it. No viewer on another edge sees an error.

use anyhow::{Context, Result, ensure};
use model::{Level, NodeName};
use rustix::process::Signal;

use crate::cluster::stage::{Stage, eventually, five, name};
use crate::cluster::viewers::Viewers;

const PINNED: &str = "[mesh]\nprotocol = 2\n";
const VISITS: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_goes_from_protocol_2_to_3_node_by_node_and_no_viewer_notices() -> Result<()> {
    let mut stage = Stage::set_with(&five(), 3, PINNED).await?;
    stage.publish().await?;
    is_spoken(&stage, &[], 2).await?;
    // From here on whoever starts speaks whatever it can.
    std::fs::write(stage.directory().join("node.toml"), "")?;
    let leader = stage.leader().await?;
    let voters = ["mid-eu-1", "mid-eu-2", "mid-us-1"].map(name);
    let edges = ["edge-eu-1", "edge-us-1"].map(name);
    let voters = voters.into_iter().filter(|voter| *voter != leader);
    let mut upgraded: Vec<NodeName> = Vec::new();
    for node in edges.into_iter().chain(voters).chain([leader.clone()]) {
        upgrade(&mut stage, &node).await.with_context(|| format!("{node} is upgraded"))?;
        upgraded.push(node.clone());
        let all = if upgraded.len() == five().len() { 3 } else { 2 };
        is_spoken(&stage, &upgraded, all).await?;
        let version = stage.origin.change();
        let key = format!("after {node}");
        let through = stage.mesh.node(&node);
        stage.purge_until(through, "/*", &key, Level::Fenced).await?;
        stage.is_served("/page", version).await.with_context(|| format!("{node} is upgraded"))?;
    }
    stage.end().await
}

/// SIGTERM, and back, while viewers are at work at the other edges.
async fn upgrade(stage: &mut Stage, node: &NodeName) -> Result<()> {
    let others = stage.mesh.edges().into_iter().filter(|edge| edge.spec.name != *node);
    let doors: Vec<_> = others.map(|edge| edge.http).collect();
    let viewers = Viewers::start(&doors, node.as_str(), stage.origin.version());
    viewers.answered(VISITS).await?;
    stage.mesh.node(node).signal(Signal::TERM)?;
    ensure!(stage.mesh.node_mut(node).ended().await?, "it did not end with exit code 0");
    viewers.answered(VISITS).await?;
    stage.revive(node).await?;
    stage.settled(3).await?;
    viewers.answered(VISITS).await?;
    let seen = viewers.end().await;
    let first = seen.failures.first().cloned().unwrap_or_default();
    ensure!(seen.failures.is_empty(), "{seen}, first {first}");
    Ok(())
}

/// `upgraded` speak protocol 3, the others 2, and every node knows what all of them speak.
async fn is_spoken(stage: &Stage, upgraded: &[NodeName], by_all: u16) -> Result<()> {
    for node in stage.running() {
        eventually("what everybody speaks is known", async || {
            let status = stage.status(node).await?;
            let spoken = status.protocol;
            ensure!(spoken == Some(by_all), "{spoken:?} is spoken by all");
            for listed in &status.nodes {
                let newest =
                    if upgraded.iter().any(|one| one.as_str() == listed.name) { 3 } else { 2 };
                ensure!(listed.protocol == Some(newest), "{} {:?}", listed.name, listed.protocol);
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}
