//! No old content: what was purged is not served again.
//!
//! *Fenced*: once a caller was told so, no node anywhere answers a request sent later with a
//! version from before the purge was called: alive or dead to the others, cut off, stopped and gone
//! on, restarted. *Monotonic*: what a node had itself applied when a request arrived it obeys, and
//! for ever after, as it does what a receipt says it had: no restart, snapshot, compaction, forced
//! recovery or answer of a peer brings older content back.

use model::Effect;

use super::{Case, Promise, Violation};
use crate::history::{Purge, Visit};

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
        let why = if case.has_applied(visit.applied, purge) {
            "which it had applied before the request came"
        } else if is_said_to_have_applied(case, visit, purge) {
            "which a receipt from before the request says it had applied"
        } else {
            continue;
        };
        broken.push(violation(case, Promise::Monotonic, (visit, purge, version), why));
    }
    broken
}

fn is_said_to_have_applied(case: &Case<'_>, visit: &Visit, purge: &Purge) -> bool {
    let before = purge.heard.iter().filter(|(at, _)| *at < visit.at);
    let receipts = before.filter_map(|(_, heard)| heard.as_ref().ok());
    let mut said = receipts.flat_map(|receipt| &receipt.progressed.applied);
    said.any(|(node, _)| node == case.name(visit.node))
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
