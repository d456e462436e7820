//! Chaos with a judge: faults from a schedule, viewers and purges all the time, and every answer
//! is judged.
//!
//! When something is wrong, the run is had again with fewer faults, until none can be left out:
//! the shortest schedule that still shows it is kept beside the logs.

pub(crate) mod catalogue;
mod commands;
mod judge;
mod run;
mod schedule;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use shoal::output;

pub(crate) use judge::Offence;
pub(crate) use run::{Outcome, run};
pub(crate) use schedule::Schedule;

use crate::command::{down, up};
use crate::scene::Scene;

/// Finds a short schedule that still shows `offence`, in at most so many runs on fresh meshes.
pub(crate) async fn shorten(
    failing: &Schedule,
    offence: Offence,
    state: &Path,
    setting: &up::Setting,
    replays: usize,
) -> anyhow::Result<Schedule> {
    let mut shortest = failing.clone();
    let mut pieces = 2;
    for replay in 1..=replays {
        let count = shortest.steps.len();
        let Some(candidate) = without_a_piece(&shortest, pieces, replay) else { break };
        let left = candidate.steps.len();
        output::note(format!("replay {replay} of {replays}: {left} faults instead of {count}"));
        match shows(&candidate, offence, state, setting).await? {
            true => shortest = candidate,
            false if replay % pieces == 0 => pieces = (pieces * 2).min(shortest.steps.len().max(2)),
            false => {}
        }
    }
    Ok(shortest)
}

/// The schedule without one of its pieces; nothing if there is nothing to leave out.
fn without_a_piece(schedule: &Schedule, pieces: usize, turn: usize) -> Option<Schedule> {
    let steps = &schedule.steps;
    if steps.len() < 2 {
        return None;
    }
    let size = steps.len().div_ceil(pieces);
    let from = (turn % pieces * size).min(steps.len() - 1);
    let to = (from + size).min(steps.len());
    let kept = steps[..from].iter().chain(&steps[to..]).cloned().collect();
    Some(schedule.with(kept))
}

async fn shows(
    schedule: &Schedule,
    offence: Offence,
    state: &Path,
    setting: &up::Setting,
) -> anyhow::Result<bool> {
    let scene = up::raise(state, setting).await?;
    let outcome = run(&scene, schedule).await;
    down::fall(state).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_left_out_and_the_last_fault_stays() {
        let steps: Vec<serde_json::Value> = (0..5_u64)
            .map(|at_ms| {
                serde_json::json!({ "at_ms": at_ms, "last_ms": 1,
                    "fault": { "kind": "kill" }, "whom": ["a"] })
            })
            .collect();
        let text = serde_json::json!({ "seed": 1, "for_ms": 9, "steps": steps });
        let schedule: Schedule = serde_json::from_value(text).unwrap();
        let left = |pieces, turn| {
            let short = without_a_piece(&schedule, pieces, turn).unwrap();
            short.steps.iter().map(|step| step.at_ms).collect::<Vec<u64>>()
        };
        assert_eq!(left(2, 1), [0, 1, 2]);
        assert_eq!(left(2, 2), [3, 4]);
        assert_eq!(left(5, 3), [0, 1, 2, 4]);
        assert!(without_a_piece(&schedule.with(vec![]), 2, 1).is_none());
    }
}
