//! Receipts: what was acknowledged is in every later state, in its place, and happened once.
//!
//! Replicas were looked at now and then: one that is as far as an acknowledged command must know
//! it, at the position that the caller was told. Once all faults are healed every node holds the
//! whole log, and never did two groups apply different entries in one place. And where nothing was
//! broken, every purge comes as far as its caller wanted.
//!
//! A forced recovery may lose commands, acknowledged ones too: an operator asked for it. What its
//! epoch began with is what replicas are then held to.

use model::{Effect, LogPosition};

use super::{Case, Promise, Violation};
use crate::history::{Acknowledged, Fork, Purge, Sample};
use crate::scenario::Profile;

/// Reads the history for commands that were lost or happened twice.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let records = case.records;
    let kept = |sample| lost(case, sample).or_else(|| twice(case, sample));
    let samples = records.samples.iter().chain(&records.last).filter_map(kept);
    let ends = records.last.iter().filter_map(|sample| behind(case, sample));
    let calm = case.scenario.profile == Profile::Calm;
    let purges = records.purges.iter().filter(|_| calm).filter_map(unfulfilled);
    let forks = records.forks.iter().map(|fork| forked(case, fork));
    let strays = records.acknowledged.iter().filter(|one| !case.places.hold(one.id, one.position));
    let strays = strays.map(|one| stray(case, one));
    samples.chain(ends).chain(purges).chain(forks).chain(strays).collect()
}

fn violation(sample: &Sample, how: String) -> Violation {
    Violation { promise: Promise::Receipts, at: sample.at, how }
}

/// An acknowledged command that a replica has passed without knowing it.
fn lost(case: &Case<'_>, sample: &Sample) -> Option<Violation> {
    let (name, applied) = (case.name(sample.node), sample.state.applied());
    let known = |id| sample.state.outcome(id).map(|outcome| outcome.position);
    let mut acknowledged = case.records.acknowledged.iter();
    let (id, position) = acknowledged.find_map(|one| {
        let due = case.places.in_log_of(applied.epoch(), one.id)?;
        (applied >= due && known(&one.id) != Some(due)).then_some((one.id, due))
    })?;
    let how = match known(&id) {
        None => format!("{name} does not know command {id}, acknowledged at {position}"),
        Some(other) => format!("{name} has command {id} at {other}, acknowledged at {position}"),
    };
    Some(violation(sample, how))
}

/// An acknowledged command that no log of any epoch has where its caller was told.
fn stray(case: &Case<'_>, one: &Acknowledged) -> Violation {
    let (id, position) = (one.id, one.position);
    let at = case.records.last.last().map_or(case.records.opened, |sample| sample.at);
    let how = format!("command {id}, acknowledged at {position}, stands there in no log");
    Violation { promise: Promise::Receipts, at, how }
}

/// A command that took effect anywhere but where it first stands in the log.
fn twice(case: &Case<'_>, sample: &Sample) -> Option<Violation> {
    let (name, state) = (case.name(sample.node), &sample.state);
    let epoch = state.applied().epoch();
    for (number, page) in case.scenario.site.pages.iter().enumerate() {
        let covers = |one: &&Purge| one.effect == Effect::Hard && one.covered.contains_key(&number);
        let covering = case.records.purges.iter().filter(covers);
        let last = covering.filter_map(|purge| case.places.in_log_of(epoch, purge.id));
        let last = last.filter(|position| *position <= state.applied()).max();
        // An epoch begins with a purge of everything.
        let last = last.map(|last| last.max(LogPosition::new(epoch, 0)));
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
    let Fork { at, node, position } = *fork;
    let name = case.name(node);
    let how = format!("{name} applied another entry at {position} than was applied before");
    Violation { promise: Promise::Receipts, at, how }
}

/// A node that does not hold the whole log although nothing has been broken for a while.
fn behind(case: &Case<'_>, sample: &Sample) -> Option<Violation> {
    let end = case.records.log.last_key_value().map_or(LogPosition::ZERO, |(last, _)| *last);
    let applied = sample.state.applied();
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
