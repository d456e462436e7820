//! `shoal invalidations`: the last purges, and how far each has come, from any node and at any time
//! after.

use std::process::ExitCode;
use std::time::Duration;

use admin::view::{Invalidations, Listed, Receipt};
use anyhow::bail;
use bytes::Bytes;
use http::Method;
use model::Level;

use crate::client::{Admin, Answer, problem};
use crate::command::patience::{Wait, patience};
use crate::command::progress::{self, percent_encoded};
use crate::command::receipt;
use crate::output::{self, BAD, DIM, paint};

/// Beyond what the node waits itself, for its answer to arrive.
const GRACE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  shoal invalidations                                  the last purges, newest first
  shoal invalidations 3f0c…                            its receipt now, from any node
  shoal invalidations deploy-42 --wait fenced          by the key it was sent with; waits

Exit code: 0 it is as far as --wait asks; 1 no such purge; 2 it is not, or no leader can be asked.";

/// List purges, or show how far one has come.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A purge: its id, or the idempotency key it was sent with.
    id: Option<String>,
    /// How many to list.
    #[arg(
        long,
        default_value_t = 20,
        conflicts_with = "id",
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    limit: u16,
    /// Wait until it has come so far.
    #[arg(long, value_enum, requires = "id")]
    wait: Option<Wait>,
    /// How long to wait: 30s, 500ms, 2m.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = patience)]
    timeout: Duration,
    /// Print it as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: Admin,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.id {
        Some(id) => show(&arguments, id).await,
        None => list(&arguments).await,
    }
}

async fn list(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { admin, limit, timeout, .. } = arguments;
    let target = format!("/v1/invalidations?limit={limit}");
    let answer = admin.expect(Method::GET, &target, Bytes::new(), *timeout).await?;
    let listed: Invalidations = serde_json::from_slice(&answer.body)?;
    match arguments.json {
        true => output::line(serde_json::to_string(&listed)?),
        false => output::text(table(&listed.invalidations)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(arguments: &Arguments, id: &str) -> anyhow::Result<ExitCode> {
    let Arguments { admin, wait, timeout, json, .. } = arguments;
    let level = wait.map(|wait| format!("&wait={}", Level::from(wait))).unwrap_or_default();
    let segment = percent_encoded(id);
    let target = format!("/v1/invalidations/{segment}?timeout_ms={}{level}", timeout.as_millis());
    let asking = admin.call(Method::GET, &target, Bytes::new(), *timeout + GRACE);
    let answer = match wait {
        Some(_) => progress::shown_during(admin, id, asking).await?,
        None => asking.await?,
    };
    let Some(receipt) = read(&answer)? else {
        output::note(format!("{}: {}", paint(BAD, "unknown"), problem(&answer)));
        return Ok(ExitCode::from(2));
    };
    match json {
        true => output::line(serde_json::to_string(&receipt)?),
        false => output::text(receipt::text(&receipt)),
    }
    let reached = receipt.level >= receipt.wanted;
    Ok(if reached { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Nothing if nobody could be asked.
fn read(answer: &Answer) -> anyhow::Result<Option<Receipt>> {
    if answer.status.is_server_error() {
        return Ok(None);
    }
    if !answer.status.is_success() {
        bail!("{}", problem(answer));
    }
    Ok(Some(serde_json::from_slice(&answer.body)?))
}

fn table(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no purges yet\n".to_owned();
    }
    let header = format!("{:>9}  {:<32}  WHAT", "LOG INDEX", "ID");
    let mut text = format!("{}\n", paint(DIM, header));
    for Listed { id, log_index, summary, .. } in listed {
        text.push_str(&format!("{log_index:>9}  {id:<32}  {}\n", receipt::said(summary)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::receipt::tests::{plain, receipt};

    #[test]
    fn a_purge_is_a_line_of_the_list() {
        let mut summary = receipt().invalidation.unwrap();
        let one = Listed { id: "3f".repeat(16), epoch: 0, log_index: 42, summary: summary.clone() };
        summary.first_scope = "/".repeat(100);
        let long = Listed { summary, ..one.clone() };
        let text = plain(&table(&[one, long]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("{:>9}  {:<32}  WHAT", "LOG INDEX", "ID"));
        assert!(lines[1].ends_with("  hard, 1 scope of shop: /a.css"), "{text}");
        assert!(lines[2].ends_with("//…"), "{text}");
        assert_eq!(table(&[]), "no purges yet\n");
    }
}
