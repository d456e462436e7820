//! `testbed up`: sets a mesh up in the background, and says how it goes until it stands.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use shoal::output::{self, BOLD, DIM, paint};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::cli::Context;
use crate::keeper::{self, Orders};
use crate::scene::{Backend, Scene};

/// How long a mesh may take to stand, for each of its nodes and at least.
const STANDS: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Set a mesh up and keep it up.
#[derive(clap::Args, Clone)]
pub(crate) struct Setting {
    /// Which nodes, regions and links: a file, or the name of one in cluster/.
    #[arg(long, default_value = "three-regions", value_name = "FILE")]
    pub(crate) topology: PathBuf,
    /// What runs the nodes.
    #[arg(long, value_enum, default_value = "process")]
    pub(crate) backend: Backend,
    /// The nodes' program, if it is not this build's.
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: &Setting) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let scene = raise(&context.state, arguments).await?;
    if context.json {
        output::line(serde_json::to_string(&scene)?);
        return Ok(ExitCode::SUCCESS);
    }
    let took = began.elapsed().as_secs_f64();
    let (nodes, name) = (scene.nodes.len(), &scene.topology);
    output::line(paint(BOLD, format!("{name}: {nodes} nodes stand after {took:.1} s")));
    let Some(edge) = scene.edges().next() else { return Ok(ExitCode::SUCCESS) };
    let host = keeper::HOSTS[0];
    for line in [
        format!("curl -i -H 'Host: {host}' http://{}/hello", edge.http),
        "testbed status".into(),
        "testbed fault kill leader --for 20s".into(),
        "testbed down".into(),
    ] {
        output::line(format!("  {}", paint(DIM, line)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a keeper for a new mesh in `state`, and waits until the mesh stands.
pub(crate) async fn raise(state: &Path, arguments: &Setting) -> anyhow::Result<Scene> {
    if let Ok(scene) = Scene::load(state) {
        let keeper = scene.keeper;
        let place = state.display();
        bail!("a mesh stands in {place} already (process {keeper}): `testbed down` first");
    }
    let topology = find(&arguments.topology)?;
    std::fs::create_dir_all(state.join("bin"))?;
    let ours = std::env::current_exe()?;
    let program = state.join("bin").join("shoal");
    drop(std::fs::remove_file(&program));
    std::fs::copy(arguments.program.as_deref().unwrap_or(&ours), &program)?;
    let log = File::create(state.join("keeper.txt"))?;
    drop(std::fs::remove_file(state.join("progress")));
    let mut command = Command::new(&ours);
    command.arg("keep").arg("--state").arg(state).arg("--topology").arg(&topology);
    command.arg("--program").arg(&program).arg(format!("--backend={}", arguments.backend));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C on the terminal is for the command, not for what it has set up.
    command.process_group(0);
    let mut keeper = command.spawn().context("the keeper cannot be started")?;
    let began = Instant::now();
    let mut said = String::new();
    loop {
        let text = std::fs::read_to_string(state.join("progress")).unwrap_or_default();
        if text != said && output::has_audience() {
            output::progress(&text);
        }
        if text == "ready" {
            break;
        }
        let ended = keeper.try_wait()?;
        if let Some(why) = text.strip_prefix("error: ") {
            clear();
            drop(std::fs::remove_dir_all(state));
            bail!("{why}");
        }
        ensure!(
            ended.is_none(),
            "the keeper has ended: see {}",
            state.join("keeper.txt").display()
        );
        ensure!(began.elapsed() < STANDS, "not after {} s: {text}", STANDS.as_secs());
        said = text;
        sleep(LOOK_EVERY).await;
    }
    clear();
    Scene::load(state)
}

fn clear() {
    if output::has_audience() {
        output::clear_progress();
    }
}

/// A file, or the name of one that we ship.
fn find(topology: &Path) -> anyhow::Result<PathBuf> {
    let shipped = Path::new("cluster").join(topology).with_extension("toml");
    let candidates = [topology.to_owned(), shipped];
    let found = candidates.iter().find(|path| path.is_file());
    let found = found.with_context(|| {
        format!("no topology {}: give a file, e.g. cluster/three-regions.toml", topology.display())
    })?;
    Ok(std::path::absolute(found)?)
}

/// Keeps a mesh up until it is told to end.
pub(crate) async fn keep(context: &Context, arguments: &Setting) -> anyhow::Result<ExitCode> {
    let program = arguments.program.as_deref().context("--program")?;
    let orders = Orders {
        topology: &arguments.topology,
        backend: arguments.backend,
        program,
        state: &context.state,
    };
    keeper::run(orders).await?;
    output::line(json!({ "ended": true }));
    Ok(ExitCode::SUCCESS)
}
