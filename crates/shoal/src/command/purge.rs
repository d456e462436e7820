//! `shoal purge`: content is forgotten, or marked stale, on every node. Waits until no node
//! anywhere can serve it, and prints a receipt.

mod delivery;
mod fold;
mod items;

use std::process::ExitCode;
use std::time::Duration;

use admin::Problem;
use admin::view::{Answer, InvalidationRequest, Receipt};
use anyhow::bail;
use control::CommandId;
use model::limits::SCOPES_MAX;
use model::{DistributionName, Effect, Host, Level, Scope, Tag};

use crate::client::Admin;
use crate::command::patience::{Wait, patience};
use crate::command::{progress, receipt};
use crate::host::Machine;
use crate::output::{self, BAD, paint};

use delivery::Delivered;

const EXAMPLES: &str = "\
Examples:
  shoal purge https://shop.example/a.css                  one URL, with all its variants
  shoal purge '/img/*' --distribution shop --soft         revalidate; stale may be served meanwhile
  shoal purge '/*.jpg' -d shop                            * stands for any characters
  shoal purge --tag product-42 --tag home -d shop         what the origin gave these tags
  shoal purge --host shop.example                         everything of a host
  shoal purge --all -d shop                               everything of a distribution
  shoal purge -f paths.txt --optimize                     up to 3,000 items, as one purge
  shoal purge '/img/*' -d shop --plan                     what would go, from which node
  shoal purge /a.css -d shop --wait applied --timeout 2s --json

Levels (--wait):
  committed   in the log, on disk at a majority: it will happen
  applied     every live node has applied it
  fenced      no node can serve the old content, not even one that is cut off or paused

Exit code: 0 the level was reached; 1 it failed, nothing happened; 2 unknown, or not reached in
time: repeat it with the same --idempotency-key, which is always safe.";

/// Forget cached content on every node.
///
/// Paths are exact URLs with their query (/a.css, https://shop.example/a.css?v=2) or patterns
/// (/img/*, /*.jpg). A full URL of a host that a distribution answers for needs no --distribution.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to forget: paths, patterns or full URLs.
    #[arg(
        value_name = "PATH",
        value_parser = Scope::parse,
        required_unless_present_any = ["all", "tags", "hosts", "file"]
    )]
    paths: Vec<Scope>,
    /// Whose content.
    #[arg(short, long, value_name = "NAME")]
    distribution: Option<DistributionName>,
    /// Everything that the origin gave this tag (Surrogate-Key, Cache-Tag); may be repeated.
    #[arg(long = "tag", value_name = "TAG", value_parser = Tag::parse, requires = "distribution")]
    tags: Vec<Tag>,
    /// Everything of this host; may be repeated.
    #[arg(long = "host", value_name = "HOST", value_parser = Host::parse)]
    hosts: Vec<Host>,
    /// Everything of the distribution.
    #[arg(
        long,
        conflicts_with_all = ["paths", "tags", "hosts", "file"],
        requires = "distribution"
    )]
    all: bool,
    /// A file with a path or full URL on each line; - is standard input. Blank lines and those that
    /// start with # are skipped.
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Purge a directory in place of more than ten of its paths, and say so.
    #[arg(long)]
    optimize: bool,
    /// Mark it stale rather than gone: it is revalidated, and may be served stale meanwhile.
    #[arg(long)]
    soft: bool,
    /// How far it must have come before the command returns [default: fenced; applied where the
    /// distribution has when_fenced = "stale-ok"].
    #[arg(long, value_enum)]
    wait: Option<Wait>,
    /// How long to wait for that: 30s, 500ms, 2m.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = patience)]
    timeout: Duration,
    /// Repeats an earlier purge whose fate is unknown, without doing it twice.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Only count what would go, on every node.
    #[arg(long)]
    plan: bool,
    /// Print the receipt as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: Admin,
}

/// Runs the command. Exit code 0: the level was reached; 1: it failed; 2: its fate is unknown or
/// the level was not reached.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let request = request(&arguments)?;
    let Arguments { admin, timeout, json, .. } = &arguments;
    let key = request.idempotency_key.clone().unwrap_or_default();
    let delivering = delivery::deliver(admin, request, *timeout);
    let delivered = match arguments.plan {
        true => delivering.await?,
        false => progress::shown_during(admin, &key, delivering).await?,
    };
    match delivered {
        Delivered::Answered(answer) => show(&answer, &key, *timeout, *json),
        Delivered::Unknown(problem) => {
            if *json {
                output::line(serde_json::to_string(&problem)?);
            }
            output::note(unknown(&problem, &key));
            Ok(ExitCode::from(2))
        }
    }
}

fn request(arguments: &Arguments) -> anyhow::Result<InvalidationRequest> {
    let mut scopes = arguments.paths.clone();
    if let Some(file) = &arguments.file {
        scopes.extend(items::read(file)?);
    }
    if arguments.optimize {
        let (kept, folds) = fold::fold(scopes);
        for fold in folds {
            output::note(format!("folded {} paths into {}", fold.paths, fold.into));
        }
        scopes = kept;
    }
    let given = scopes.len() + arguments.tags.len() + arguments.hosts.len();
    if given > SCOPES_MAX {
        let advice = "give them in several, or fold directories with --optimize";
        bail!("{given} items: one purge takes {SCOPES_MAX}: {advice}");
    }
    let drawn = || CommandId(follow::Host::dice(&Machine)).to_string();
    Ok(InvalidationRequest {
        distribution: arguments.distribution.as_ref().map(DistributionName::to_string),
        paths: scopes.iter().map(Scope::to_string).collect(),
        tags: arguments.tags.iter().map(Tag::to_string).collect(),
        hosts: arguments.hosts.iter().map(Host::to_string).collect(),
        all: arguments.all,
        effect: if arguments.soft { Effect::Soft } else { Effect::Hard },
        wait: arguments.wait.map(Level::from),
        timeout_ms: None,
        idempotency_key: Some(arguments.idempotency_key.clone().unwrap_or_else(drawn)),
        plan: arguments.plan,
    })
}

fn show(answer: &Answer, key: &str, waited: Duration, json: bool) -> anyhow::Result<ExitCode> {
    match answer {
        answer if json => output::line(serde_json::to_string(answer)?),
        Answer::Receipt(receipt) => output::text(receipt::text(receipt)),
        Answer::Plan(plan) => output::text(receipt::plan(plan)),
    }
    match answer {
        Answer::Receipt(receipt) if receipt.level < receipt.wanted => {
            output::note(short(receipt, key, waited));
            Ok(ExitCode::from(2))
        }
        Answer::Receipt(_) | Answer::Plan(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Nobody knows whether it is in the log.
fn unknown(problem: &Problem, key: &str) -> String {
    let unknown = paint(BAD, "unknown");
    let reason = problem.detail.strip_prefix("unknown: ").unwrap_or(&problem.detail);
    format!("{unknown}: retry with the same key: --idempotency-key {key}\n  {reason}")
}

/// It is in the log, and nobody knows how far it has come since.
fn short(receipt: &Receipt, key: &str, waited: Duration) -> String {
    let unknown = paint(BAD, "unknown");
    format!(
        "{unknown}: retry with the same key: --idempotency-key {key}\n  \
         not {} within {} ms; it is in the log and spreads by itself: shoal invalidations {}",
        receipt.wanted,
        waited.as_millis(),
        receipt.id
    )
}

#[cfg(test)]
mod tests;
