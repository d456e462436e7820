//! Heals: once faults stop, everything works again by itself.
//!
//! Within two leases every node holds a lease, and goes on holding one. A purge that is called
//! through any node from then on becomes fenced, and with it all that stand before it in the log.
//! A short lease is over sooner than voters elect a leader and children find a parent: they have as
//! long as that takes.

use std::time::Duration;

use control::lease::wait_for;
use model::Level;

use super::{Case, Promise, Violation};
use crate::history::Purge;

/// What an election, a lost connection and the news of both take at most.
const FIND_EACH_OTHER: Duration = Duration::from_secs(10);

/// How long it takes until every node holds a lease again.
fn recovery(case: &Case<'_>) -> Duration {
    (case.scenario.lease() * 2).max(FIND_EACH_OTHER)
}

/// Reads the history for what stayed broken.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let Some(healed) = case.records.healed else { return Vec::new() };
    let late = healed + recovery(case);
    let still = case.records.without_lease.iter().filter(|(at, _)| *at > late);
    let mut judged = vec![false; case.scenario.members.len()];
    let mut broken = Vec::new();
    for (at, node) in still {
        // Once is enough for each.
        if !std::mem::replace(&mut judged[*node], true) {
            let name = case.name(*node);
            let how = format!("{name} holds no lease, although all faults ended at {healed:?}");
            broken.push(Violation { promise: Promise::Heals, at: *at, how });
        }
    }
    let purges = case.records.purges.iter();
    let last = purges.filter(|purge| purge.called >= healed && purge.level == Level::Fenced);
    broken.extend(last.filter_map(|purge| unfenced(case, purge, late)));
    broken
}

/// A purge from after all faults that nobody was told to be fenced, or told too late.
fn unfenced(case: &Case<'_>, purge: &Purge, late: Duration) -> Option<Violation> {
    let deadline = late + wait_for(case.scenario.lease());
    let in_time = purge.fenced().is_some_and(|(at, _)| at <= deadline);
    let (scope, heard, at) = (&purge.scope, &purge.heard, purge.called);
    let how =
        format!("the purge of {scope} was not fenced by {deadline:?}, with all healed: {heard:?}");
    (!in_time).then_some(Violation { promise: Promise::Heals, at, how })
}
