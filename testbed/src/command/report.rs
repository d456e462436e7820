//! `testbed report`: measures what stands, and writes a page about everything measured so far.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use shoal::output;

use crate::cli::{Context, duration};
use crate::measure::{self, Effort};
use crate::report;
use crate::scene::Scene;

/// Measure what stands, and write one HTML page and Markdown.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where figures and pages are kept; figures of other meshes that are there join the page.
    out: PathBuf,
    /// Only write the page from the figures that are there.
    #[arg(long)]
    only_write: bool,
    /// Purges of each scope, and changes of configuration.
    #[arg(long, default_value_t = 20)]
    repeats: usize,
    /// Requests per second of the load.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long the load goes on.
    #[arg(long = "for", value_parser = duration, default_value = "20s", value_name = "20s")]
    load: Duration,
    /// An outcome.json of `testbed chaos` that the page is to tell of; may be given several times.
    #[arg(long, value_name = "FILE")]
    chaos: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = &arguments.out;
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for (number, file) in arguments.chaos.iter().enumerate() {
        let to = out.join(format!("chaos-{number}.json"));
        std::fs::copy(file, to).with_context(|| file.display().to_string())?;
    }
    if !arguments.only_write {
        let scene = Scene::load(&context.state)?;
        let Arguments { repeats, rate, load, .. } = *arguments;
        let measured = measure::take(&scene, Effort { repeats, rate, load }).await?;
        let file = out.join(format!("measured-{}-{}.json", scene.topology, scene.backend));
        std::fs::write(file, serde_json::to_vec_pretty(&measured)?)?;
    }
    report::write(out)?;
    let (page, markdown) = (out.join("index.html"), out.join("report.md"));
    match context.json {
        true => output::line(json!({ "page": page, "markdown": markdown })),
        false => output::line(format!("{} and report.md beside it", page.display())),
    }
    Ok(ExitCode::SUCCESS)
}
