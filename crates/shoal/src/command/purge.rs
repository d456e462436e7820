//! `shoal purge`: content is forgotten on every node. Waits until every live node has applied it,
//! and prints a receipt.

use std::process::ExitCode;
use std::time::Duration;

use admin::view::{InvalidationRequest, Receipt};
use anyhow::bail;
use clap::ValueEnum;
use http::Method;
use model::{DistributionName, Level};

use crate::client::{Admin, problem};
use crate::output::{self, BAD, BOLD, DIM, GOOD, paint};

fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=120)
}

/// Forget cached content on every node.
///
/// Paths are exact URLs with their query (/a.css, https://shop.example/a.css?v=2) or directories
/// (/img/*). A full URL of a host that a distribution answers for needs no --distribution.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to forget.
    #[arg(required_unless_present = "all")]
    paths: Vec<String>,
    /// Whose content.
    #[arg(short, long, value_name = "NAME")]
    distribution: Option<DistributionName>,
    /// Everything of the distribution.
    #[arg(long, conflicts_with = "paths", requires = "distribution")]
    all: bool,
    /// How far it must have come before the command returns.
    #[arg(long, value_enum, default_value_t = Wait::Applied)]
    wait: Wait,
    /// How long to wait for that, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = seconds())]
    timeout: u64,
    /// Repeats an earlier purge whose fate is unknown, without doing it twice.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wait {
    /// In the log, on disk at a majority.
    Committed,
    /// Applied by every live node.
    Applied,
}

/// Runs the command. Exit code 0: the level was reached; 1: it failed; 2: its fate is unknown or
/// the level was not reached.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let wait = match arguments.wait {
        Wait::Committed => Level::Committed,
        Wait::Applied => Level::Applied,
    };
    let request = InvalidationRequest {
        distribution: arguments.distribution.map(|name| name.to_string()),
        paths: arguments.paths,
        all: arguments.all,
        wait: Some(wait),
        timeout_ms: Some(arguments.timeout * 1000),
        idempotency_key: arguments.idempotency_key,
    };
    let deadline = Duration::from_secs(arguments.timeout + 5);
    let body = serde_json::to_vec(&request)?.into();
    let answer = arguments.admin.call(Method::POST, "/v1/invalidations", body, deadline).await?;
    if answer.status.as_u16() == 503 {
        output::note(format!("{}: {}", paint(BAD, "unknown"), problem(&answer)));
        return Ok(ExitCode::from(2));
    }
    if !answer.status.is_success() {
        bail!("{}", problem(&answer));
    }
    let receipt: Receipt = serde_json::from_slice(&answer.body)?;
    if arguments.json {
        output::line(serde_json::to_string(&receipt)?);
    } else {
        print(&receipt);
    }
    Ok(if receipt.level >= wait { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn print(receipt: &Receipt) {
    let level = paint(GOOD, receipt.level);
    let id = paint(DIM, &receipt.id);
    output::line(format!(
        "{} {level} at log index {}  {id}",
        paint(BOLD, "purge"),
        receipt.log_index
    ));
    output::line(format!("  committed in {} ms", receipt.committed_ms));
    let applied = &receipt.applied;
    if let Some(last) = applied.iter().map(|node| node.ms).max() {
        let nodes: Vec<String> = applied.iter().map(|n| format!("{} {}", n.node, n.ms)).collect();
        output::line(format!("  applied by {} nodes in {last} ms", applied.len()));
        output::line(format!("  {}", paint(DIM, format!("ms: {}", nodes.join(", ")))));
    }
    if !receipt.pending.is_empty() {
        let pending = receipt.pending.join(", ");
        output::line(format!("  {} {pending}", paint(BAD, "not yet applied by")));
    }
}
