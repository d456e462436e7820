//! Draining: SIGTERM ends a node as soon as what is under way has ended, and no sooner.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use shoal::local::{Origin, Spec};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::visits::keep_alive;
use crate::cluster::stage::{Stage, eventually, get, name};

/// A good deal less than the half minute after which a node would cut what runs.
const LIMIT: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_told_to_stop_finishes_what_runs_and_takes_nothing_new() -> Result<()> {
    let solo = Spec::new("solo", "eu", "edge,regional,shield");
    let mut stage = Stage::serving(&[solo], 1).await?;
    let door = *stage.doors().first().context("no edge")?;
    let idle = keep_alive(door).await?;
    let slow = tokio::spawn(get(door, "/slow?bytes=1000000&held=body"));
    eventually("the slow answer is under way", async || {
        ensure!(stage.origin.requests("/slow") == 1);
        Ok(())
    })
    .await?;

    stage.mesh.node(&name("solo")).signal(Signal::TERM)?;
    eventually("nobody new is let in", async || match TcpStream::connect(door).await {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        Err(other) => Err(other.into()),
        Ok(_) => bail!("a viewer was let in"),
    })
    .await?;
    ensure!(!slow.is_finished(), "the answer under way was cut");
    stage.origin.release();
    let answer = slow.await??;
    ensure!(answer.body == Origin::body("/slow", 0, 1_000_000), "{} bytes", answer.body.len());

    let ended = stage.mesh.node_mut(&name("solo")).ended();
    let well = timeout(LIMIT, ended).await.context("it does not end")??;
    ensure!(well, "it did not end with exit code 0");
    drop(idle);
    stage.end().await
}
