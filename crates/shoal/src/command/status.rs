//! `shoal status`: the mesh as the asked node sees it.

use std::process::ExitCode;
use std::time::Duration;

use admin::view::{NodeRole, NodeStatus, Served, Status};
use bytes::Bytes;
use http::Method;

use crate::client::Admin;
use crate::output::{self, BAD, BOLD, DIM, GOOD, paint};

const DEADLINE: Duration = Duration::from_secs(10);
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show nodes, tiers, the log and hit ratios.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Show it again every second.
    #[arg(short, long)]
    watch: bool,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: Admin,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    loop {
        let answer =
            arguments.admin.expect(Method::GET, "/v1/status", Bytes::new(), DEADLINE).await?;
        let status: Status = serde_json::from_slice(&answer.body)?;
        if arguments.watch && !arguments.json {
            output::text(CLEAR);
        }
        match arguments.json {
            true => output::line(serde_json::to_string(&status)?),
            false => output::text(table(&status)),
        }
        if !arguments.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn table(status: &Status) -> String {
    let mesh = status.mesh.as_deref().unwrap_or("(not formed)");
    let leader = match &status.leader {
        Some(leader) => paint(BOLD, leader),
        None => paint(BAD, "none"),
    };
    let ready = if status.ready { paint(GOOD, "ready") } else { paint(BAD, "not ready") };
    let mut text = format!(
        "mesh {}   leader {leader}   log {}   distributions {}   (seen by {}, {ready})\n\n",
        paint(BOLD, mesh),
        status.log.applied,
        status.distributions,
        status.node
    );
    let header = format!(
        "{:<14} {:<10} {:<21} {:<8} {:<9} {:>8} {:>5}  {:>7} {:>9} {:>7}  {}",
        "NODE",
        "REGION",
        "TIERS",
        "HEALTH",
        "RAFT",
        "APPLIED",
        "LAG",
        "EDGE",
        "REGIONAL",
        "SHIELD",
        "VIEWERS"
    );
    text.push_str(&format!("{}\n", paint(DIM, header)));
    for node in &status.nodes {
        text.push_str(&row(node));
    }
    text.push_str(&format!(
        "\n{}\n",
        paint(DIM, "EDGE, REGIONAL, SHIELD: hit ratio of that tier on the node")
    ));
    text
}

fn row(node: &NodeStatus) -> String {
    let health = format!("{:<8}", if node.alive { "alive" } else { "dead" });
    let health = paint(if node.alive { GOOD } else { BAD }, health);
    let (applied, lag) = match node.alive {
        true => (node.applied.to_string(), node.lag.to_string()),
        false => ("-".into(), "-".into()),
    };
    format!(
        "{:<14} {:<10} {:<21} {health} {:<9} {applied:>8} {lag:>5}  {:>7} {:>9} {:>7}  {}\n",
        node.name,
        node.region,
        node.tiers.join(","),
        role(node.role),
        ratio(&node.served.edge),
        ratio(&node.served.regional),
        ratio(&node.served.shield),
        node.http.map_or_else(|| "-".into(), |address| address.to_string()),
    )
}

fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Leader => "leader",
        NodeRole::Voter => "voter",
        NodeRole::Follower => "-",
    }
}

fn ratio(served: &Served) -> String {
    match served.hit_ratio {
        Some(ratio) => format!("{:.0} %", ratio * 100.0),
        None => "-".into(),
    }
}
