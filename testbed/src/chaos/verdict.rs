//! What must hold once the mesh is together again: no acknowledged command is gone, nobody died,
//! nothing has leaked, and the nodes' own canary found nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use admin::view::Invalidations;
use http::Method;
use model::NodeName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::judge::Offence;
use super::run::{Stage, accuse};
use crate::control::{Ask, Control, Roll, Usage};
use crate::crew::Condition;

const PATIENCE: Duration = Duration::from_secs(10);
/// Purges that a node lists.
const LISTED_MAX: usize = 900;
/// How long nodes may take to let go of what the viewers of a run needed.
const COOLED: Duration = Duration::from_secs(40);
const COOL_EVERY: Duration = Duration::from_millis(500);
/// So much more than before is no leak: pools breathe, caches fill up to their limit.
const ALLOWED: Growth = Growth { descriptors: 16, sockets: 12, threads: 8, memory_kib: 80 * 1_024 };

/// What a node used more after a run than before it; of all nodes, the most of each.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) descriptors: u64,
    pub(crate) sockets: u64,
    pub(crate) threads: u64,
    pub(crate) memory_kib: u64,
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

/// Waits until every node uses no more than before, but for what breathes; what the most of each
/// was that any node used more.
pub(super) async fn nothing_leaks(
    stage: &Stage,
    control: &Control,
    before: &[(NodeName, Usage)],
) -> anyhow::Result<Growth> {
    let began = Instant::now();
    loop {
        let after: Vec<(NodeName, Usage)> = control.ask(&Ask::Resources).await?;
        let (growth, leaks) = compare(before, &after);
        if leaks.is_empty() {
            return Ok(growth);
        }
        if began.elapsed() > COOLED {
            leaks.into_iter().for_each(|leak| accuse(stage, Offence::Leak, leak));
            return Ok(growth);
        }
        sleep(COOL_EVERY).await;
    }
}

/// What nodes use more than before, at most, and where that is too much.
fn compare(before: &[(NodeName, Usage)], after: &[(NodeName, Usage)]) -> (Growth, Vec<String>) {
    let (mut growth, mut leaks) = (Growth::default(), Vec::new());
    for (name, now) in after {
        let Some((_, then)) = before.iter().find(|(other, _)| other == name) else { continue };
        let Growth { descriptors, sockets, threads, memory_kib } = &mut growth;
        for (what, most, then, now, allowed) in [
            ("descriptors", descriptors, then.descriptors, now.descriptors, ALLOWED.descriptors),
            ("sockets", sockets, then.sockets, now.sockets, ALLOWED.sockets),
            ("threads", threads, then.threads, now.threads, ALLOWED.threads),
            ("KiB of memory", memory_kib, then.memory_kib, now.memory_kib, ALLOWED.memory_kib),
        ] {
            let more = now.saturating_sub(then);
            *most = (*most).max(more);
            if more > allowed {
                leaks.push(format!("{name}: {now} {what}, {then} before, {allowed} more allowed"));
            }
        }
    }
    (growth, leaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_more_than_what_breathes() {
        let used = |descriptors, memory_kib| {
            let usage = Usage { descriptors, memory_kib, ..Usage::default() };
            vec![("a".parse::<NodeName>().unwrap(), usage)]
        };
        let (growth, leaks) = compare(&used(20, 1_000), &used(20 + ALLOWED.descriptors, 900));
        assert_eq!(
            (growth.descriptors, growth.memory_kib, leaks.len()),
            (ALLOWED.descriptors, 0, 0)
        );
        let (_, leaks) = compare(&used(20, 1_000), &used(20, 1_001 + ALLOWED.memory_kib));
        assert!(leaks.len() == 1 && leaks[0].contains("KiB of memory"), "{leaks:?}");
        let restarted = vec![("b".parse::<NodeName>().unwrap(), Usage::default())];
        assert!(compare(&used(1, 1), &restarted).1.is_empty());
    }
}
