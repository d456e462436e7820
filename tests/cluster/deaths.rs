//! Deaths under load: whoever is killed, no viewer on a living edge sees an error, a body cut
//! short or a wrong one. What it cost is printed: until the path was steady, and the slowest visit.

use anyhow::{Context, Result, bail, ensure};
use model::NodeName;
use tokio::time::Instant;

use crate::cluster::stage::{Stage, eventually, field, get, seven, votes};
use crate::cluster::viewers::Viewers;

/// Requests that viewers make before a death and after the path is steady.
const WARM_UP: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_viewer_notices_that_a_node_dies() -> Result<()> {
    let mut stage = Stage::serving(&seven(), 3).await?;
    let (regional, shield) = owners(&stage).await?;
    dies(&mut stage, "the regional owner", &regional).await?;
    dies(&mut stage, "the shield owner", &shield).await?;
    let upstream = upstream(&stage).await?;
    dies(&mut stage, "the upstream of the log", &upstream).await?;
    let leader = stage.leader().await?;
    dies(&mut stage, "the leader", &leader).await?;
    stage.end().await
}

/// Owners of an object for the edges of `eu`, for which they are two nodes: a cold answer's
/// `Cache-Status` names the tiers, the one nearest the origin first.
async fn owners(stage: &Stage) -> Result<(NodeName, NodeName)> {
    let door = *stage.doors().first().context("no edges")?;
    for object in 0..200 {
        let answer = get(door, &format!("/owned/{object}")).await?;
        let trail = field(&answer, "cache-status").split(',');
        let names = trail.filter_map(|member| member.split(';').next());
        let names: Vec<&str> = names.map(|name| name.trim().trim_matches('"')).collect();
        if let [shield, regional, _edge] = names[..] {
            return Ok((regional.parse()?, shield.parse()?));
        }
    }
    bail!("no object has two owners")
}

/// Whom the edges of its region follow: the one node of the middle tiers that does not vote.
async fn upstream(stage: &Stage) -> Result<NodeName> {
    let status = stage.status(stage.anyone()?).await?;
    let middle = status.nodes.iter().filter(|node| node.name.starts_with("mid"));
    let upstream = middle.clone().find(|node| !votes(node)).context("all of them vote")?;
    Ok(upstream.name.parse()?)
}

async fn dies(stage: &mut Stage, part: &str, victim: &NodeName) -> Result<()> {
    let viewers = Viewers::start(&stage.doors(), victim.as_str(), 0);
    viewers.answered(WARM_UP).await?;
    let key = |moment| format!("{part} {moment}");
    stage.kill(victim).await?;
    let began = Instant::now();
    stage.purge(stage.anyone()?, "/nothing", &key("dead")).await?;
    let commanded = began.elapsed().as_millis();
    out_of_every_walk(stage, victim).await?;
    let steady = began.elapsed().as_millis();
    viewers.answered(WARM_UP).await?;
    stage.revive(victim).await?;
    stage.settled(3).await?;
    stage.purge(stage.anyone()?, "/nothing", &key("back")).await?;
    viewers.answered(WARM_UP).await?;
    let seen = viewers.end().await;
    eprintln!("{part} ({victim}) was killed: commands applied by all after {commanded} ms,");
    eprintln!("  out of every walk after {steady} ms; viewers meanwhile: {seen}");
    let first = seen.failures.first().cloned().unwrap_or_default();
    ensure!(seen.failures.is_empty(), "{part} ({victim}) was killed: {seen}, first {first}");
    Ok(())
}

async fn out_of_every_walk(stage: &Stage, victim: &NodeName) -> Result<()> {
    for edge in stage.mesh.edges() {
        eventually("the dead are known to be", async || {
            let status = stage.status(edge).await?;
            let mut nodes = status.nodes.iter();
            let lives = nodes.any(|node| node.name == victim.as_str() && node.alive);
            ensure!(!lives, "{} believes in {victim}", edge.spec.name);
            Ok(())
        })
        .await?;
    }
    Ok(())
}
