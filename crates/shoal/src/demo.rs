//! `shoal demo`: seven real nodes in two regions on this machine, an origin, and a story in which
//! things die.
//!
//! With `--check` every step is an assertion; without it the mesh stays up until Ctrl-C, to be
//! played with.

mod load;
mod stage;
mod story;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::local::{LocalMesh, Origin, Spec};
use crate::output::{self, BOLD, DIM, paint};
use crate::signals;
use stage::Stage;

/// Show a seven-node mesh at work on this machine: caching, purging, nodes dying.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Assert every step, then end; exits non-zero at the first that fails.
    #[arg(long)]
    check: bool,
    /// Print one JSON object for each step.
    #[arg(long)]
    json: bool,
}

fn cast() -> [Spec; 7] {
    [
        Spec::new("mid-eu-1", "eu", "regional,shield"),
        Spec::new("mid-eu-2", "eu", "regional,shield"),
        Spec::new("mid-us-1", "us", "regional,shield"),
        Spec::new("mid-us-2", "us", "regional,shield"),
        Spec::new("edge-eu-1", "eu", "edge"),
        Spec::new("edge-eu-2", "eu", "edge"),
        Spec::new("edge-us-1", "us", "edge"),
    ]
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut stop = std::pin::pin!(signals::stop()?);
    let directory = tempfile::Builder::new().prefix("shoal-demo-").tempdir()?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let origin = Origin::start().await?;
    let mut stage = Stage::new(arguments.json);
    let flags = ["--memory-mib=64"];
    let cast = cast();
    let forming = LocalMesh::start(directory.path(), &program, &cast, &flags);
    let forming = stage.step("seven nodes start and are ready", forming).await;
    let Some(mut mesh) = forming else { return Ok(ExitCode::FAILURE) };
    let told = tokio::select! {
        told = story::tell(&mut stage, &mut mesh, &origin) => told,
        () = &mut stop => return Ok(ExitCode::FAILURE),
    };
    if told.is_none() {
        return Ok(ExitCode::FAILURE);
    }
    if !arguments.check {
        invite(&mesh, &program);
        stop.await;
    }
    Ok(ExitCode::SUCCESS)
}

fn invite(mesh: &LocalMesh, program: &Path) {
    output::line(format!("\n{}", paint(BOLD, "The mesh stays up until Ctrl-C.")));
    for node in mesh.edges() {
        output::line(format!("  {:<10} http://{}/", node.spec.name, node.http));
    }
    let [Some(edge), Some(any)] = [mesh.edges().first().copied(), mesh.nodes.last()] else {
        return;
    };
    let program = program.display();
    output::line("Try, in another terminal:");
    for command in [
        format!("curl -i http://{}/hello", edge.http),
        format!("{program} purge '/*' --distribution demo --admin http://{}", any.admin),
        format!("{program} status --watch --admin http://{}", any.admin),
    ] {
        output::line(format!("  {}", paint(BOLD, command)));
    }
    let directory = mesh.directory().display();
    output::line(paint(
        DIM,
        format!("Logs, disks and certificates: {directory} (removed at the end)"),
    ));
}
