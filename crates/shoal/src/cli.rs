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

#[derive(Subcommand)]
enum Command {
    /// Show a seven-node mesh at work on this machine: caching, purging, nodes dying.
    Demo(demo::Arguments),
    /// Run a node.
    Node(Box<run_node::Arguments>),
    /// Make the mesh's certificate authority, and certificates for its nodes.
    Ca(ca::Arguments),
    /// Create or replace distributions from a file.
    Apply(apply::Arguments),
    /// Show distributions.
    Get(get::Arguments),
    /// Delete a distribution and everything cached for it.
    Delete(delete::Arguments),
    /// Forget cached content on every node.
    Purge(purge::Arguments),
    /// List purges, or show how far one has come.
    Invalidations(invalidations::Arguments),
    /// Show nodes, tiers, leases, the log and hit ratios.
    Status(status::Arguments),
    /// Go on without voters that are lost for good, with what one disk knows.
    ///
    /// For a mesh in which a majority of the voters has lost its disks, and for no other: voters
    /// that can come back bring everything back. Stop every node that ever voted and keep the
    /// others stopped. Run it with --plan on each survivor, choose the one with the highest
    /// position, and run it there with --yes. The node then forms the Raft group alone; commands
    /// that only the lost voters had are gone; and nothing that any node has cached is served
    /// again without asking the origin. See docs/operations.md, "Losing the quorum".
    Recover(recover::Arguments),
    /// Print a completion script for a shell.
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
