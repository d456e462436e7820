//! `shoal status`: the mesh as the asked node sees it.

use std::process::ExitCode;
use std::time::Duration;

use admin::view::{Canary, NodeRole, NodeStatus, Served, Status};
use bytes::Bytes;
use http::Method;

use crate::client::Admin;
use crate::command::receipt::count;
use crate::output::{self, BAD, BOLD, DIM, GOOD, paint};

const DEADLINE: Duration = Duration::from_secs(10);
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show nodes, tiers, leases, the log and hit ratios.
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
        "{:<14} {:<10} {:<21} {:<8} {:<9} {:>8} {:>5} {:>7}  {:>7} {:>9} {:>7}  {}",
        "NODE",
        "REGION",
        "TIERS",
        "HEALTH",
        "RAFT",
        "APPLIED",
        "LAG",
        "LEASE",
        "EDGE",
        "REGIONAL",
        "SHIELD",
        "VIEWERS"
    );
    text.push_str(&format!("{}\n", paint(DIM, header)));
    for node in &status.nodes {
        text.push_str(&row(node));
    }
    let legend = format!(
        "LEASE: age, of {} s; fenced: serves no copy unasked   \
         EDGE, REGIONAL, SHIELD: hit ratio of that tier on the node",
        status.lease_ms as f64 / 1000.0
    );
    text.push_str(&format!("\n{}\n{}\n", canary(status.canary), paint(DIM, legend)));
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
        "{:<14} {:<10} {:<21} {health} {:<9} {applied:>8} {lag:>5} {}  {:>7} {:>9} {:>7}  {}\n",
        node.name,
        node.region,
        node.tiers.join(","),
        role(node.role),
        lease(node),
        ratio(&node.served.edge),
        ratio(&node.served.regional),
        ratio(&node.served.shield),
        node.http.map_or_else(|| "-".into(), |address| address.to_string()),
    )
}

fn lease(node: &NodeStatus) -> String {
    let text = |text: &str| format!("{text:>7}");
    match node.lease_age_ms {
        _ if !node.alive => text("-"),
        _ if node.fenced => paint(BAD, text("fenced")),
        Some(age) => text(&format!("{:.1} s", age as f64 / 1000.0)),
        None => text("-"),
    }
}

/// The nines: how many of the hits that were judged again were good.
fn canary(canary: Canary) -> String {
    let Canary { samples, violations } = canary;
    if samples == 0 {
        return "canary no hits checked yet".to_owned();
    }
    let style = if violations == 0 { GOOD } else { BAD };
    let found = count(violations, "violation", "violations");
    let checked = count(samples, "hit", "hits");
    format!("canary {checked} checked, {} ({} %)", paint(style, found), nines(canary))
}

/// The share of good hits in percent, rounded down, with as many digits as show what is missing.
fn nines(Canary { samples, violations }: Canary) -> String {
    let (samples, bad) = (u128::from(samples), u128::from(violations.min(samples)));
    if bad == 0 {
        return "100".to_owned();
    }
    let shows = |digits: &u32| bad * 10u128.pow(digits + 2) >= samples;
    let digits = (2..17).find(shows).unwrap_or(17);
    let unit = 10u128.pow(digits);
    let good = (samples - bad) * 100 * unit / samples;
    format!("{}.{:0width$}", good / unit, good % unit, width = digits as usize)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::receipt::tests::plain;

    #[test]
    fn the_nines_are_rounded_down_and_never_hide_a_violation() {
        for (samples, violations, expect) in [
            (12_345, 0, "100"),
            (12_345, 3, "99.97"),
            (10_000, 2, "99.98"),
            (12_345, 1, "99.991"),
            (1_000_000_000, 1, "99.9999999"),
            (u64::MAX, 1, "99.99999999999999999"),
            (2, 1, "50.00"),
            (1, 1, "0.00"),
        ] {
            assert_eq!(nines(Canary { samples, violations }), expect, "{violations}/{samples}");
        }
    }

    #[test]
    fn the_canary_is_a_line() {
        let line = |samples, violations| plain(&canary(Canary { samples, violations }));
        assert_eq!(line(0, 0), "canary no hits checked yet");
        assert_eq!(line(12_345, 0), "canary 12,345 hits checked, 0 violations (100 %)");
        assert_eq!(line(10_000, 1), "canary 10,000 hits checked, 1 violation (99.99 %)");
    }
}
