//! `testbed chaos`: faults from a seed, viewers and purges all the time, a judge; on what stands,
//! or on a mesh that it sets up and takes away.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use shoal::output::{self, BAD, BOLD, GOOD, paint};

use crate::chaos::{self, Ground, Growth, Manner, Outcome, Schedule};
use crate::cli::{Context, duration};
use crate::command::{down, up};
use crate::scene::Scene;

/// Violations that are printed.
const SHOWN: usize = 12;

/// Random faults, viewers and purges, with a judge on every answer.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the schedule is drawn from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How long faults go on.
    #[arg(long = "for", value_parser = duration, default_value = "2m", value_name = "10m")]
    last: Duration,
    /// Faults from a file that a run has left, in place of a seed.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    schedule: Option<PathBuf>,
    /// Where schedule, outcome and logs are kept [default: testbed-chaos/seed-SEED].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs that may be spent on finding a shorter schedule after a violation.
    #[arg(long, default_value_t = 6)]
    replays: usize,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    setting: up::Setting,
}

/// Runs the command. A violation makes it fail.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let given = arguments.schedule.as_deref().map(Schedule::load).transpose()?;
    let standing = Scene::load(&context.state).ok();
    let stood = standing.is_some();
    let scene = match standing {
        Some(scene) => scene,
        None => up::raise(&context.state, &arguments.setting).await?,
    };
    let draw = || Schedule::draw(&scene, arguments.seed, arguments.last);
    let schedule = given.unwrap_or_else(draw);
    let out = arguments.out.clone().unwrap_or_else(|| chaos::place(schedule.seed));
    let ran = chaos::run(&scene, &schedule, &arguments.manner).await;
    if let Ok(outcome) = &ran {
        chaos::keep(&scene, &out, &schedule, outcome)?;
    }
    if !stood {
        down::fall(&context.state).await?;
    }
    let outcome = ran?;
    match context.json {
        true => output::line(serde_json::to_string(&outcome)?),
        false => tell(&outcome, &out),
    }
    let Some(first) = outcome.violations.first() else { return Ok(ExitCode::SUCCESS) };
    let mut state = context.state.clone().into_os_string();
    state.push("-replay");
    let (state, setting) = (PathBuf::from(state), setting(&scene, arguments));
    let ground = Ground { state: &state, setting: &setting, manner: &arguments.manner };
    let short = chaos::shorten(&schedule, first, &ground, arguments.replays).await?;
    short.save(&out.join("shortest.json"))?;
    output::note(format!(
        "the shortest schedule found has {} of {} faults: {}",
        short.steps.len(),
        schedule.steps.len(),
        out.join("shortest.json").display()
    ));
    Ok(ExitCode::FAILURE)
}

/// Replays stand on what the run stood on.
fn setting(scene: &Scene, arguments: &Arguments) -> up::Setting {
    up::Setting {
        backend: scene.backend,
        topology: scene.topology_file.clone(),
        ..arguments.setting.clone()
    }
}

fn tell(outcome: &Outcome, out: &std::path::Path) {
    let Outcome { seed, faults, answers, bound, excused, violations, .. } = outcome;
    let verdict = match violations.len() {
        0 => paint(GOOD, "0 violations"),
        count => paint(BAD, format!("{count} violations")),
    };
    output::line(format!("{} {verdict}", paint(BOLD, format!("seed {seed}: {faults} faults,"))));
    output::line(format!(
        "{answers} answers judged, {bound} bound by a promise, {excused} errors within windows"
    ));
    output::line(format!(
        "{} purges ({} fenced, {} unknown), {} configurations",
        outcome.purges, outcome.purges_fenced, outcome.purges_unknown, outcome.configurations,
    ));
    output::line(format!(
        "together {:.1} s after the last fault, the same everywhere {:.1} s after the last command",
        outcome.settled_ms as f64 / 1_000.0,
        outcome.agreed_ms as f64 / 1_000.0
    ));
    let Growth { descriptors, sockets, threads, memory_kib } = outcome.growth;
    output::line(format!(
        "afterwards no node used more than {descriptors} descriptors, {sockets} sockets, \
         {threads} threads and {} MiB more than before",
        memory_kib / 1_024
    ));
    if !outcome.left_out.is_empty() {
        output::line(format!("not to be had here: {}", outcome.left_out.join("; ")));
    }
    for violation in violations.iter().take(SHOWN) {
        let at = violation.at_ms as f64 / 1_000.0;
        output::line(format!("  {at:>7.1} s  {:?}: {}", violation.offence, violation.what));
    }
    output::line(format!("schedule, outcome and logs: {}", out.display()));
}
