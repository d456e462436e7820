//! Receipts: what was acknowledged is in every later state, in its place, and happened once.
//!
//! Replicas were looked at now and then: one that is as far as an acknowledged command must know
//! it, at the position that the caller was told. Once all faults are healed every node holds the
//! whole log, and never did two groups apply different entries in one place. And where nothing was
//! broken, every purge comes as far as its caller wanted.

use std::collections::BTreeMap;

use control::CommandId;
use model::{Effect, LogPosition};

use super::{Case, Promise, Violation, no_old};
use crate::history::{Fork, Purge, Sample};
use crate::scenario::Profile;

/// Reads the history for commands that were lost or happened twice.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let positions = no_old::positions(case.records);
    let records = case.records;
    let kept = |sample| lost(case, sample).or_else(|| twice(case, &positions, sample));
    let samples = records.samples.iter().chain(&records.last).filter_map(kept);
    let ends = records.last.iter().filter_map(|sample| behind(case, sample));
    let calm = case.scenario.profile == Profile::Calm;
    let purges = records.purges.iter().filter(|_| calm).filter_map(unfulfilled);
    let forks = records.forks.iter().map(|fork| forked(case, fork));
    samples.chain(ends).chain(purges).chain(forks).collect()
}

fn violation(sample: &Sample, how: String) -> Violation {
    Violation { promise: Promise::Receipts, at: sample.at, how }
}

/// An acknowledged command that a replica has passed without knowing it.
fn lost(case: &Case<'_>, sample: &Sample) -> Option<Violation> {
    let name = case.name(sample.node);
    let passed = |position| sample.state.applied() >= position;
    let known = |id| sample.state.outcome(id).map(|outcome| outcome.position);
    let mut acknowledged = case.records.acknowledged.iter();
    let lost =
        acknowledged.find(|one| passed(one.position) && known(&one.id) != Some(one.position))?;
    let (id, position) = (lost.id, lost.position);
    let how = match known(&id) {
        None => format!("{name} does not know command {id}, acknowledged at {position}"),
        Some(other) => format!("{name} has command {id} at {other}, acknowledged at {position}"),
    };
    Some(violation(sample, how))
}

/// A command that took effect anywhere but where it first stands in the log.
fn twice(
    case: &Case<'_>,
    positions: &BTreeMap<CommandId, LogPosition>,
    sample: &Sample,
) -> Option<Violation> {
    let (name, state) = (case.name(sample.node), &sample.state);
    for (number, page) in case.scenario.site.pages.iter().enumerate() {
        let covers = |one: &&Purge| one.effect == Effect::Hard && one.covered.contains_key(&number);
        let covering = case.records.purges.iter().filter(covers);
        let last = covering.filter_map(|purge| positions.get(&purge.id).copied());
        let last = last.filter(|position| *position <= state.applied()).max();
        let holds = state.last_hard_purge(&page.attributes, &page.tags());
        if last.is_some_and(|last| last != holds) {
            let (url, last) = (case.url(number), last.unwrap_or_default());
            let how =
                format!("{name} holds that {url} was purged at {holds}, but it was at {last}");
            return Some(violation(sample, how));
        }
    }
    None
}

/// Two groups that applied different entries at one index.
fn forked(case: &Case<'_>, fork: &Fork) -> Violation {
    let Fork { at, node, index } = *fork;
    let how = format!("{} applied another entry {index} than was applied before", case.name(node));
    Violation { promise: Promise::Receipts, at, how }
}

/// A node that does not hold the whole log although nothing has been broken for a while.
fn behind(case: &Case<'_>, sample: &Sample) -> Option<Violation> {
    let end = case.records.log.last_key_value().map_or(0, |(index, _)| *index);
    let applied = sample.state.applied().index();
    let name = case.name(sample.node);
    let how = format!("{name} stopped at entry {applied} of {end}, with everything healed");
    (applied != end).then(|| violation(sample, how))
}

/// A purge that did not come as far as its caller wanted, although nothing was broken.
fn unfulfilled(purge: &Purge) -> Option<Violation> {
    let fulfilled = |heard: &Result<follow::Receipt, _>| {
        heard.as_ref().is_ok_and(|receipt| receipt.progressed.level >= purge.level)
    };
    let (scope, level) = (&purge.scope, purge.level);
    let how = format!("the purge of {scope} never became {level}: {:?}", purge.heard);
    let fails = !purge.heard.iter().any(|(_, heard)| fulfilled(heard));
    fails.then_some(Violation { promise: Promise::Receipts, at: purge.called, how })
}
