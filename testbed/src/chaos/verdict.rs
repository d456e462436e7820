//! What must hold once it is calm: the mesh comes together, no acknowledged command is gone, nobody
//! died, nothing has leaked, and the nodes' own canary found nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use admin::view::{Invalidations, Status};
use futures_util::future::join_all;
use http::Method;
use model::NodeName;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::judge::Offence;
use super::run::{Stage, accuse};
use super::settling;
use crate::control::{Roll, Usage};
use crate::crew::Condition;

/// How long is looked at most, to say when it came together at last.
const LOOKED: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);
/// Purges that a node lists.
const LISTED_MAX: usize = 900;
/// More than before of these is no leak yet: pools and caches breathe.
const DESCRIPTORS: u64 = 64;
const MEMORY_KIB: u64 = 192 * 1024;

/// Waits until everybody lives, agrees, and is fenced no more; how long that took.
pub(super) async fn settle(stage: &Stage) -> Duration {
    let began = Instant::now();
    loop {
        let asked = stage.scene.nodes.iter().map(|place| stage.operator.status(place));
        let views = join_all(asked).await;
        let took = began.elapsed();
        let Err(what) = together(stage, &views) else {
            let allowed = settling(&stage.scene);
            if took > allowed {
                let text = format!("settled only after {} ms", took.as_millis());
                accuse(stage, Offence::Unsettled, text);
            }
            return took;
        };
        if took > LOOKED {
            accuse(stage, Offence::Unsettled, what);
            return took;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn together(stage: &Stage, views: &[anyhow::Result<Status>]) -> Result<(), String> {
    let mut applied = BTreeSet::new();
    for (place, view) in stage.scene.nodes.iter().zip(views) {
        let name = &place.name;
        let view = view.as_ref().map_err(|error| format!("{name}: {error:#}"))?;
        if !view.ready || view.leader.is_none() {
            return Err(format!("{name} is not ready, or sees no leader"));
        }
        let alive = view.nodes.iter().filter(|node| node.alive).count();
        if alive != stage.scene.nodes.len() {
            return Err(format!("{name} sees {alive} alive"));
        }
        if view.nodes.iter().any(|node| node.name == name.as_str() && node.fenced) {
            return Err(format!("{name} is fenced"));
        }
        applied.insert(view.log.applied_index);
    }
    match applied.len() {
        1 => Ok(()),
        _differ => Err(format!("applied differs: {applied:?}")),
    }
}

/// Every acknowledged purge is listed by every node; every distribution has its last value or a
/// later one.
pub(super) async fn commands_survive(stage: &Stage) {
    let (purges, values) = {
        let acknowledged = stage.acknowledged();
        let first = acknowledged.purges.len().saturating_sub(LISTED_MAX);
        (acknowledged.purges[first..].to_vec(), acknowledged.values.clone())
    };
    for place in &stage.scene.nodes {
        let target = "/v1/invalidations?limit=1000";
        let answer = stage.operator.call(place, Method::GET, target, &(), PATIENCE).await;
        let listed = answer
            .ok()
            .and_then(|answer| serde_json::from_slice::<Invalidations>(&answer.body).ok());
        let Some(listed) = listed else {
            accuse(stage, Offence::Lost, format!("{} lists no purges", place.name));
            continue;
        };
        let ids: BTreeSet<&str> = listed.invalidations.iter().map(|own| &*own.id).collect();
        for id in purges.iter().filter(|id| !ids.contains(id.as_str())) {
            accuse(stage, Offence::Lost, format!("{} does not know purge {id}", place.name));
        }
        for (name, value) in &values {
            let target = format!("/v1/distributions/{name}");
            let answer = stage.operator.call(place, Method::GET, &target, &(), PATIENCE).await;
            let found = answer.ok().and_then(|answer| {
                let body: Value = serde_json::from_slice(&answer.body).ok()?;
                body["default_cache_behavior"]["cache_policy"]["default_ttl_seconds"].as_u64()
            });
            if found.is_none_or(|found| found < *value) {
                let text = format!("{} has {name} at {found:?}, not {value}", place.name);
                accuse(stage, Offence::Lost, text);
            }
        }
    }
}

/// The nodes judge some of their hits by themselves.
pub(super) async fn canary_is_silent(stage: &Stage) {
    for place in &stage.scene.nodes {
        if let Ok(status) = stage.operator.status(place).await
            && status.canary.violations > 0
        {
            let text = format!("{} knows of {}", place.name, status.canary.violations);
            accuse(stage, Offence::Canary, text);
            return;
        }
    }
}

pub(super) fn nobody_died(stage: &Stage, roll: &Roll) {
    for (name, condition) in &roll.conditions {
        if *condition == Condition::Died {
            accuse(stage, Offence::Died, format!("{name} has ended by itself"));
        }
    }
}

pub(super) fn nothing_leaks(
    stage: &Stage,
    before: &[(NodeName, Usage)],
    after: &[(NodeName, Usage)],
) {
    for (name, now) in after {
        let Some((_, then)) = before.iter().find(|(other, _)| other == name) else { continue };
        for (what, then, now, more) in [
            ("descriptors", then.descriptors, now.descriptors, DESCRIPTORS),
            ("sockets", then.sockets, now.sockets, DESCRIPTORS),
            ("KiB of memory", then.memory_kib, now.memory_kib, MEMORY_KIB),
        ] {
            if now > then + more {
                accuse(stage, Offence::Leak, format!("{name}: {now} {what}, {then} before"));
            }
        }
    }
}
