//! No old content: what was purged is not served again.
//!
//! Two promises. *To the operator*: once a receipt says without reservation that every live node
//! has applied a purge, no node that it names answers a request sent later with a version from
//! before the purge was called. Nodes that the leader held for dead are not named, and not judged:
//! fencing them is for leases. *Of every node, always*: what it had itself applied when a request
//! arrived, it obeys, dead to the others or not, restarted or not.

use std::collections::BTreeMap;

use control::{CommandId, Envelope};
use model::LogPosition;
use model::limits::COMMAND_BYTES_MAX;
use wire::codec;
use wire::log::Entry;

use super::{Case, Promise, Violation};
use crate::history::{Purge, Records, Visit};

/// Reads the history for content that had been purged.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let positions = positions(case.records);
    let mut broken = Vec::new();
    for visit in &case.records.visits {
        let Some(version) = visit.answer.as_ref().and_then(|answer| answer.version) else {
            continue;
        };
        for purge in &case.records.purges {
            let older = purge.covered.get(&visit.page).is_some_and(|current| version < *current);
            if !older {
                continue;
            }
            let position = positions.get(&purge.id);
            let Some(why) = bound(case, purge, position, visit) else { continue };
            let (at, url, name) = (visit.at, case.url(visit.page), case.name(visit.node));
            let (scope, called) = (&purge.scope, purge.called);
            let how = format!(
                "{name} answered with version {version} of {url}, older than the purge of {scope} \
                 called at {called:?}, {why}",
            );
            broken.push(Violation { promise: Promise::NoOld, at, how });
        }
    }
    broken
}

/// Why `purge` binds the answer to `visit`, if it does.
fn bound(
    case: &Case<'_>,
    purge: &Purge,
    position: Option<&LogPosition>,
    visit: &Visit,
) -> Option<String> {
    if position.is_some_and(|position| visit.applied >= *position) {
        return Some("which it had applied before the request came".into());
    }
    let (at, receipt) = purge.applied_everywhere()?;
    let named = receipt.progressed.applied.iter().any(|(name, _)| name == case.name(visit.node));
    (named && visit.at > at).then(|| format!("which it was said to have applied at {at:?}"))
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
