//! `testbed down`: everything ends, nothing is left; also after the keeper has died.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use shoal::output;
use tokio::time::{Instant, sleep};

use crate::cli::Context;
use crate::control::{Ask, Control};
use crate::crew::{is_alive, signal};
use crate::plug;
use crate::scene::Scene;

/// How long the keeper may take to end.
const END: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the command.
pub(crate) async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    fall(&context.state).await?;
    match context.json {
        true => output::line(json!({ "down": context.state })),
        false => output::line("nothing is left"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes away what stands in `state`, and the directory.
pub(crate) async fn fall(state: &Path) -> anyhow::Result<()> {
    let scene = Scene::load(state)?;
    if let Ok(control) = Control::open(&scene).await {
        control.ask::<()>(&Ask::Down).await?;
        let began = Instant::now();
        while is_alive(scene.keeper) && began.elapsed() < END {
            sleep(LOOK_EVERY).await;
        }
    }
    if is_ours(scene.keeper, state) {
        signal(scene.keeper, Signal::KILL)?;
    }
    for place in &scene.nodes {
        let id = std::fs::read_to_string(scene.home(&place.name).join("pid")).ok();
        if let Some(id) = id.and_then(|id| id.parse().ok()).filter(|id| is_ours(*id, state)) {
            signal(id, Signal::KILL)?;
        }
    }
    plug::sweep(&scene).await?;
    std::fs::remove_dir_all(state)?;
    Ok(())
}

/// Whether a process was started for this directory: a number alone may be somebody else's by now.
fn is_ours(id: u32, state: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let state = state.as_os_str().as_encoded_bytes();
    is_alive(id) && line.windows(state.len()).any(|words| words == state)
}
