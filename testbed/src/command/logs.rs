//! `testbed logs`: what a node has logged.

use std::io::{Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use shoal::output;

use crate::cli::Context;
use crate::scene::Scene;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Print a node's log.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which node.
    node: String,
    /// Go on printing what comes.
    #[arg(long, short)]
    follow: bool,
    /// Only so many of the last lines.
    #[arg(long, short = 'n', value_name = "LINES")]
    lines: Option<usize>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scene = Scene::load(&context.state)?;
    let place = scene.node(&arguments.node)?;
    let file = scene.log_file(&place.name);
    let mut log = std::fs::File::open(&file).with_context(|| file.display().to_string())?;
    let mut text = String::new();
    log.read_to_string(&mut text)?;
    let lines: Vec<&str> = text.lines().collect();
    let first = arguments.lines.map_or(0, |last| lines.len().saturating_sub(last));
    for line in &lines[first..] {
        output::line(line);
    }
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let at = log.stream_position()?;
        log.seek(SeekFrom::Start(at))?;
        let mut more = String::new();
        log.read_to_string(&mut more)?;
        output::text(more);
    }
}
