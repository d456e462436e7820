//! The command line: what there is to type, and where it goes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shoal::output;

use crate::command::{chaos, compose, down, exec, fault, load, logs, report, status, up};

/// A whole mesh on one machine, with oceans between its regions, to be broken on purpose.
#[derive(Parser)]
#[command(name = "testbed", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where everything of this testbed is kept.
    #[arg(long, global = true, default_value = "testbed-state", value_name = "DIR")]
    state: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Try it (process needs nothing; netns and docker need root, and emulate every link):
  testbed up                                     nine nodes, three regions, oceans between them
  testbed status
  testbed load --profile zipf --rate 200 --for 30s
  testbed fault kill leader --for 20s            and watch `testbed status`
  testbed fault partition region:ap --for 1m     a region is cut off
  testbed fault isolate edge-eu-1 --direction in it is heard and hears nobody
  testbed fault slow region:us --delay 300ms
  testbed fault slow-disk tier:shield --delay 200ms
  testbed fault rolling all                      every node restarts, one after the other
  testbed fault heal
  testbed chaos --seed 7 --for 10m               sets a mesh up itself if none stands
  testbed report out                             measures what stands, writes out/index.html
  testbed down                                   leaves nothing behind
Whom: names, region:NAME, tier:NAME, leader, all.
More than one at a time: give each its own --state.";

#[derive(Subcommand)]
enum Command {
    /// Set a mesh up and keep it up.
    Up(up::Setting),
    /// Show nodes, faults and addresses.
    Status,
    /// Print a node's log.
    Logs(logs::Arguments),
    /// Run a command where a node is (`shoal` talks to that node).
    Exec(exec::Arguments),
    /// Ask edges for objects at a rate, and say what came of it.
    Load(load::Arguments),
    /// Break something, or heal it.
    Fault(fault::Arguments),
    /// Random faults, viewers and purges, with a judge on every answer.
    Chaos(chaos::Arguments),
    /// Measure what stands, and write one HTML page and Markdown.
    Report(report::Arguments),
    /// Write a Compose file for a topology, to be used by hand.
    Compose(compose::Arguments),
    /// Take everything away.
    Down,
    /// Keep a mesh up (what `up` starts in the background).
    #[command(hide = true)]
    Keep(up::Setting),
}

/// What all commands know.
pub(crate) struct Context {
    pub(crate) state: PathBuf,
    pub(crate) json: bool,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(arguments));
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let state = std::path::absolute(&arguments.state)?;
    let context = Context { state, json: arguments.json };
    match arguments.command {
        Command::Up(arguments) => up::run(&context, &arguments).await,
        Command::Status => status::run(&context).await,
        Command::Logs(arguments) => logs::run(&context, &arguments).await,
        Command::Exec(arguments) => exec::run(&context, &arguments).await,
        Command::Load(arguments) => load::run(&context, &arguments).await,
        Command::Fault(arguments) => fault::run(&context, &arguments).await,
        Command::Chaos(arguments) => chaos::run(&context, &arguments).await,
        Command::Report(arguments) => report::run(&context, &arguments).await,
        Command::Compose(arguments) => compose::run(&context, &arguments),
        Command::Down => down::run(&context).await,
        Command::Keep(arguments) => up::keep(&context, &arguments).await,
    }
}

/// `20s`, `500ms`, `10m`, or seconds.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| "expected 20s, 500ms or 10m".to_owned())?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _other => return Err(format!("{unit:?} is no unit: expected ms, s, m or h")),
    };
    std::time::Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in
            [("20s", 20_000), ("500ms", 500), ("1.5m", 90_000), ("7", 7_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert!(duration("soon").is_err() && duration("5d").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
