//! Chaos with a judge: faults from a schedule, viewers and purges all the time, and every answer
//! is judged.
//!
//! When something is wrong, the run is had again with fewer faults, until none can be left out:
//! the shortest schedule that still shows it is kept beside the logs.

mod calm;
pub(crate) mod catalogue;
mod commands;
mod judge;
mod run;
mod schedule;
mod shortening;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use shoal::output;

pub(crate) use judge::{Offence, Violation};
pub(crate) use run::{Manner, Outcome, run};
pub(crate) use schedule::Schedule;
pub(crate) use verdict::Growth;

use shortening::Shortening;

use crate::command::{down, up};
use crate::scene::Scene;

/// Finds a short schedule that still shows `violation`, in at most so many runs on fresh meshes.
pub(crate) async fn shorten(
    failing: &Schedule,
    violation: &Violation,
    ground: &Ground<'_>,
    replays: usize,
) -> anyhow::Result<Schedule> {
    let mut search = Shortening::of(failing, violation.at_ms);
    for replay in 1..=replays {
        let Some(candidate) = search.candidate() else { break };
        let (left, count) = (candidate.steps.len(), search.shortest().steps.len());
        output::note(format!("replay {replay} of {replays}: {left} faults instead of {count}"));
        match shows(&candidate, violation.offence, ground).await? {
            true => search.fails(candidate),
            false => search.holds(),
        }
    }
    Ok(search.shortest().clone())
}

/// Where replays take place.
pub(crate) struct Ground<'a> {
    pub(crate) state: &'a Path,
    pub(crate) setting: &'a up::Setting,
    pub(crate) manner: &'a Manner,
}

async fn shows(schedule: &Schedule, offence: Offence, ground: &Ground<'_>) -> anyhow::Result<bool> {
    let scene = up::raise(ground.state, ground.setting).await?;
    let outcome = run(&scene, schedule, ground.manner).await;
    down::fall(ground.state).await?;
    Ok(outcome?.violations.iter().any(|violation| violation.offence == offence))
}

/// Keeps what is needed to understand a run: schedule, violations, what was seen, logs.
pub(crate) fn keep(
    scene: &Scene,
    out: &Path,
    schedule: &Schedule,
    outcome: &Outcome,
) -> anyhow::Result<()> {
    let logs = out.join("logs");
    std::fs::create_dir_all(&logs)?;
    schedule.save(&out.join("schedule.json"))?;
    std::fs::write(out.join("outcome.json"), serde_json::to_vec_pretty(outcome)?)?;
    for entry in std::fs::read_dir(scene.state.join("logs"))?.flatten() {
        std::fs::copy(entry.path(), logs.join(entry.file_name()))?;
    }
    Ok(())
}

/// Where a run of this seed is kept unless said.
pub(crate) fn place(seed: u64) -> PathBuf {
    PathBuf::from(format!("testbed-chaos/seed-{seed}"))
}

/// How long a mesh may take to come together after the last fault: two leases.
pub(crate) fn settling(scene: &Scene) -> Duration {
    scene.lease() * 2
}
