//! Bounds on staleness and on waiting.
//!
//! *Staleness*: a purge that nobody waited for holds everywhere a lease after it was committed, by
//! the slowest clock there may be. *Waiting*: `fenced` is reached a little more than a lease after
//! commit at the latest, where nothing is broken (I6); that it mostly takes a few trips through the
//! tree is for `--tree` to show. Once everything is healed, whatever still waits is answered.

use std::time::Duration;

use control::lease::wait_for;
use model::Level;

use super::{Case, Promise, Violation, no_old};
use crate::history::Purge;
use crate::scenario::Profile;

/// Clocks may be this much slower than the world: 10 %.
const SLOWEST: f64 = 0.9;
/// Where nothing is broken, a purge is committed within this time of its call, snapshots, disks and
/// the longest links included.
const COMMIT: Duration = Duration::from_millis(1_500);

/// Reads the history for purges that were not heeded in time.
pub(crate) fn staleness(case: &Case<'_>) -> Vec<Violation> {
    let longest = case.scenario.lease().div_f64(SLOWEST);
    let mut broken = Vec::new();
    for (visit, purge, version) in no_old::older(case) {
        let Some(committed) = case.committed_at(purge) else { continue };
        if visit.at <= committed + longest {
            continue;
        }
        let (url, name, scope) = (case.url(visit.page), case.name(visit.node), &purge.scope);
        let how = format!(
            "{name} answered with version {version} of {url}, older than the purge of {scope} \
             committed at {committed:?}: more than a lease ago"
        );
        broken.push(Violation { promise: Promise::Staleness, at: visit.at, how });
    }
    broken
}

/// Reads the history for purges whose callers waited too long.
pub(crate) fn waiting(case: &Case<'_>) -> Vec<Violation> {
    let calm = case.scenario.profile == Profile::Calm;
    let purges = case.records.purges.iter();
    purges.filter(|_| calm).filter_map(|purge| late(case, purge)).collect()
}

fn late(case: &Case<'_>, purge: &Purge) -> Option<Violation> {
    // A leader that took office just now waits, since it does not know whom the last one trusted.
    let settled = case.records.opened + case.scenario.lease() * 2;
    let at = purge.heard.first().map(|(at, _)| *at)?;
    let took = at.saturating_sub(purge.called);
    let longest = wait_for(case.scenario.lease()) + COMMIT;
    let slow = purge.level == Level::Fenced && purge.called > settled && took > longest;
    let scope = &purge.scope;
    let how = format!("the purge of {scope} took {took:?} although nothing was broken");
    slow.then_some(Violation { promise: Promise::Waiting, at: purge.called, how })
}
