//! The command line: what there is to type, and where it goes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{
    apply, ca, completions, delete, get, invalidations, purge, recover, run_node, status,
};
use crate::{demo, output};

/// A CDN that you run yourself: many equal nodes, three cache tiers, no control plane.
#[derive(Parser)]
#[command(name = "shoal", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Try it:
  shoal demo                                   a seven-node mesh on this machine, with a story
Run it:
  shoal ca init mesh-ca --mesh prod            once: the authority of a mesh
  shoal ca issue edge-1 --region eu --tiers edge --dir mesh-ca
  shoal node --config node.toml                on every machine; --bootstrap on the first
  shoal apply -f site.toml                     what to serve, through any node
  shoal purge '/img/*' --distribution shop     forget it everywhere
  shoal invalidations                          purges, and how far they have come
  shoal status --watch

Commands that talk to a node take --admin URL or SHOAL_ADMIN; any node will do.";

/// What each is for stands at its arguments.
#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Node(Box<run_node::Arguments>),
    Ca(ca::Arguments),
    Apply(apply::Arguments),
    Get(get::Arguments),
    Delete(delete::Arguments),
    Purge(purge::Arguments),
    Invalidations(invalidations::Arguments),
    Status(status::Arguments),
    Recover(recover::Arguments),
    Completions(completions::Arguments),
    /// Print the manual page (roff).
    Man,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(arguments.command));
            // Blocking work (a disk sync, a name look-up) must not hold up the exit.
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

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Node(arguments) => run_node::run(*arguments).await,
        Command::Ca(arguments) => ca::run(&arguments),
        Command::Apply(arguments) => apply::run(arguments).await,
        Command::Get(arguments) => get::run(arguments).await,
        Command::Delete(arguments) => delete::run(arguments).await,
        Command::Purge(arguments) => purge::run(arguments).await,
        Command::Invalidations(arguments) => invalidations::run(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Recover(arguments) => recover::run(arguments).await,
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man => completions::man(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_says_what_it_is_for() {
        let mut program = Arguments::command();
        program.build();
        for command in program.get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            assert!(command.get_subcommands().all(|one| one.get_about().is_some()), "{name}");
        }
    }
}
