//! No old content: what was purged is not served again.
//!
//! *Fenced*: once a caller was told so, no node anywhere answers a request sent later with a
//! version from before the purge was called: alive or dead to the others, cut off, stopped and gone
//! on, restarted. *Monotonic*: what a node had itself applied when a request arrived it obeys, and
//! for ever after: no restart, snapshot, compaction or answer of a peer brings older content back.

use std::collections::BTreeMap;

use control::{CommandId, Envelope};
use model::limits::COMMAND_BYTES_MAX;
use model::{Effect, LogPosition};
use wire::codec;
use wire::log::Entry;

use super::{Case, Promise, Violation};
use crate::history::{Purge, Records, Visit};

/// Answers with a version that a purge for good covers, whether or not they were right.
pub(crate) fn older<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (&'a Visit, &'a Purge, u64)> {
    case.records.visits.iter().flat_map(|visit| {
        let version = visit.answer.as_ref().and_then(|answer| answer.version);
        let purges = case.records.purges.iter().filter(move |purge| {
            let covered = purge.covered.get(&visit.page);
            let is_older =
                covered.zip(version).is_some_and(|(current, version)| version < *current);
            is_older && purge.effect == Effect::Hard
        });
        purges.map(move |purge| (visit, purge, version.unwrap_or_default()))
    })
}

/// Reads the history for content that was purged and had been said to be gone.
pub(crate) fn fenced(case: &Case<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (visit, purge, version) in older(case) {
        let Some((at, _)) = purge.fenced().filter(|(at, _)| visit.at > *at) else { continue };
        let why = format!("which was said to be fenced at {at:?}");
        broken.push(violation(case, Promise::Fenced, (visit, purge, version), &why));
    }
    broken
}

/// Reads the history for content that the node itself knew to be gone.
pub(crate) fn monotonic(case: &Case<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (visit, purge, version) in older(case) {
        if case.position(purge).is_some_and(|position| visit.applied >= position) {
            let why = "which it had applied before the request came";
            broken.push(violation(case, Promise::Monotonic, (visit, purge, version), why));
        }
    }
    broken
}

fn violation(
    case: &Case<'_>,
    promise: Promise,
    (visit, purge, version): (&Visit, &Purge, u64),
    why: &str,
) -> Violation {
    let (at, url, name) = (visit.at, case.url(visit.page), case.name(visit.node));
    let (scope, called) = (&purge.scope, purge.called);
    let how = format!(
        "{name} answered with version {version} of {url}, older than the purge of {scope} called \
         at {called:?}, {why}",
    );
    Violation { promise, at, how }
}

/// Where each command first stands in the log.
pub(crate) fn positions(records: &Records) -> BTreeMap<CommandId, LogPosition> {
    let mut positions = BTreeMap::new();
    for (index, entry) in &records.log {
        let commands = Entry::decode(entry).map_or(Vec::new(), |entry| entry.0);
        for command in commands {
            if let Ok(envelope) = codec::decode::<Envelope>(&command, COMMAND_BYTES_MAX) {
                positions.entry(envelope.id).or_insert(LogPosition::new(0, *index));
            }
        }
    }
    positions
}
