//! Succession: a voter that stays away loses its seat to a node that is there, and no region has
//! all the seats.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::cluster::stage::{Stage, cast, votes};

const CONFIG: &str = "[raft]\ngone_after_seconds = 2\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_is_gone_for_good_is_replaced_and_voters_stay_spread() -> Result<()> {
    let four = cast(&["mid-eu-1", "mid-eu-2", "mid-us-1", "mid-us-2"]);
    let mut stage = Stage::set_with(&four, 3, CONFIG).await?;
    spread(&stage).await?;
    let leader = stage.leader().await?;
    stage.kill(&leader).await?;
    stage.settled(3).await?;
    spread(&stage).await?;

    stage.revive(&leader).await?;
    stage.settled(3).await?;
    spread(&stage).await?;
    stage.end().await
}

async fn spread(stage: &Stage) -> Result<()> {
    let status = stage.status(stage.anyone()?).await?;
    let voters = status.nodes.iter().filter(|node| node.alive && votes(node));
    let regions: BTreeSet<&str> = voters.map(|node| node.region.as_str()).collect();
    ensure!(regions.len() == 2, "all voters are in {regions:?}");
    Ok(())
}
