//! A schedule: which faults begin when, last how long and hit whom. Drawn from a seed, so a run
//! can be had again; a part of one is a schedule too, which is how the shortest is found.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use model::NodeName;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::crew;
use crate::disk::{self, Pace};
use crate::fault::{Direction, Fault};
use crate::scene::{Backend, Scene};
use crate::tool;

/// Time between the beginnings of two faults.
const APART_MS: std::ops::Range<u64> = 4_000..12_000;
/// Time a fault lasts: longer than a lease now and then.
const LASTS_MS: std::ops::Range<u64> = 2_000..16_000;
/// What is left free of faults at the end, to see that calm comes back by itself.
const CALM_MS: u64 = 5_000;

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) at_ms: u64,
    pub(crate) last_ms: u64,
    pub(crate) fault: Fault,
    pub(crate) whom: Vec<NodeName>,
}

/// Faults in the order in which they begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) for_ms: u64,
    pub(crate) steps: Vec<Step>,
}

impl Schedule {
    /// Draws one for `scene`.
    pub(crate) fn draw(scene: &Scene, seed: u64, last: Duration) -> Schedule {
        let mut dice = StdRng::seed_from_u64(seed);
        let for_ms = u64::try_from(last.as_millis()).unwrap_or(u64::MAX);
        let kinds = kinds(scene);
        let (mut steps, mut at_ms) = (Vec::new(), 2_000);
        while at_ms + CALM_MS < for_ms {
            let last_ms = dice.random_range(LASTS_MS).min(for_ms - CALM_MS - at_ms);
            let Some(kind) = kinds.choose(&mut dice) else { break };
            let (fault, whom) = aim(kind, scene, &mut dice);
            steps.push(Step { at_ms, last_ms, fault, whom });
            at_ms += dice.random_range(APART_MS);
        }
        Schedule { seed, for_ms, steps }
    }

    pub(crate) fn load(path: &Path) -> anyhow::Result<Schedule> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// The same with these steps only, and no longer than they need.
    pub(crate) fn with(&self, steps: Vec<Step>) -> Schedule {
        let ends = steps.iter().map(|step| step.at_ms.saturating_add(step.last_ms));
        let needed = ends.max().unwrap_or(0).saturating_add(CALM_MS);
        Schedule { seed: self.seed, for_ms: self.for_ms.min(needed), steps }
    }
}

/// What can be done here; common things are there more than once.
fn kinds(scene: &Scene) -> Vec<&'static str> {
    let mut kinds = vec![
        "kill",
        "kill",
        "kill-voter",
        "pause",
        "pause-voter",
        "isolate",
        "isolate-one-way",
        "partition",
        "slow",
        "loss",
        "restart",
        "origin-kill",
        "origin-error",
        "origin-slow",
    ];
    let offered = demanding(scene).into_iter().filter(|(_, lack)| lack.is_none());
    kinds.extend(offered.map(|(kind, _)| kind));
    kinds
}

/// Faults that not every machine and backend can have, and what is missing here.
fn demanding(scene: &Scene) -> [(&'static str, Option<&'static str>); 3] {
    let clock = match (crew::clock_library(), scene.backend) {
        (None, _) => Some("libfaketime is not installed"),
        // This machine's library need not fit the C library of an image.
        (Some(_), Backend::Docker) => Some("not in containers"),
        (Some(_), Backend::Process | Backend::Netns) => None,
    };
    let full = if tool::is_root() { None } else { Some("not root") };
    [("disk-full", full), ("slow-disk", disk::lacks_pace()), ("clock", clock)]
}

/// What schedules for this scene are drawn without, and why.
pub(super) fn left_out(scene: &Scene) -> Vec<String> {
    let lacking = demanding(scene).into_iter();
    lacking.filter_map(|(kind, lack)| Some(format!("{kind}: {}", lack?))).collect()
}

fn aim(kind: &str, scene: &Scene, dice: &mut StdRng) -> (Fault, Vec<NodeName>) {
    let any = |dice: &mut StdRng, voter: bool| -> Vec<NodeName> {
        let fits = |place: &&crate::scene::Place| !voter || place.tiers != "edge";
        let places: Vec<_> = scene.nodes.iter().filter(fits).collect();
        places.choose(dice).map(|place| place.name.clone()).into_iter().collect()
    };
    let origin = || scene.origins.first().map(|origin| origin.name.clone()).into_iter().collect();
    match kind {
        "kill" => (Fault::Kill, any(dice, false)),
        "kill-voter" => (Fault::Kill, any(dice, true)),
        "pause" => (Fault::Pause, any(dice, false)),
        "pause-voter" => (Fault::Pause, any(dice, true)),
        "isolate" => (Fault::Isolate { direction: Direction::Both }, any(dice, false)),
        "isolate-one-way" => {
            let direction = if dice.random_bool(0.5) { Direction::In } else { Direction::Out };
            (Fault::Isolate { direction }, any(dice, false))
        }
        "partition" => {
            let regions: Vec<&str> = scene.nodes.iter().map(|place| &*place.region).collect();
            let region = regions.choose(dice).copied().unwrap_or("");
            let nodes = scene.nodes.iter().filter(|place| place.region == region);
            let origins = scene.origins.iter().filter(|origin| origin.region == region);
            let names = nodes.map(|place| place.name.clone());
            (Fault::Partition, names.chain(origins.map(|origin| origin.name.clone())).collect())
        }
        "slow" => (Fault::Slow { delay_ms: dice.random_range(50..400) }, any(dice, false)),
        "loss" => (Fault::Loss { percent: dice.random_range(1.0..15.0) }, any(dice, false)),
        "disk-full" => (Fault::DiskFull, any(dice, false)),
        "slow-disk" => {
            let pace = Pace { operations: Some(dice.random_range(5..100)), bytes: None };
            (Fault::SlowDisk { pace }, any(dice, true))
        }
        "clock" => (Fault::Clock { rate: dice.random_range(0.93..1.07) }, any(dice, false)),
        "origin-kill" => (Fault::Kill, origin()),
        "origin-error" => (Fault::OriginError, origin()),
        "origin-slow" => (Fault::OriginSlow { delay_ms: dice.random_range(100..2_000) }, origin()),
        _restart => (Fault::Restart, any(dice, false)),
    }
}
