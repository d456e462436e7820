//! Bounds on staleness and on waiting.
//!
//! *Staleness*: a purge that nobody waited for holds everywhere a lease after it was committed, by
//! the slowest clock there may be. *Waiting*: where nothing is broken, `fenced` is reached a little
//! more than a lease after commit at the latest, and mostly within a few trips through the tree
//! (I6); how few is for `--tree` to show.

use std::time::Duration;

use control::lease::wait_for;
use model::Level;

use super::{Case, Promise, Violation, no_old};
use crate::history::Purge;
use crate::scenario::Profile;

/// Clocks may be this much slower than the world: 10 %.
const SLOWEST: f64 = 0.9;
/// Where nothing is broken, a few trips through the tree take less, snapshots, disks and the
/// longest links included: those to a purge's commit, and those until all have acknowledged it.
const FEW_TRIPS: Duration = Duration::from_millis(1_500);

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
    if case.scenario.profile != Profile::Calm {
        return Vec::new();
    }
    // A leader that took office just now waits, since it does not know whom the last one trusted.
    let settled = case.records.opened + case.scenario.lease() * 2;
    let purges = case.records.purges.iter();
    let judged = purges.filter(|purge| purge.level == Level::Fenced && purge.called > settled);
    let took = |purge: &'_ Purge| {
        let (at, _) = purge.heard.first()?;
        Some(at.saturating_sub(purge.called))
    };
    let mut times: Vec<(Duration, &Purge)> =
        judged.filter_map(|purge| Some((took(purge)?, purge))).collect();
    times.sort_by_key(|(took, purge)| (*took, purge.called));
    let longest = wait_for(case.scenario.lease()) + FEW_TRIPS;
    let too_long = times.iter().filter(|(took, _)| *took > longest).map(late);
    let middle = times.get(times.len() / 2).filter(|(took, _)| *took > FEW_TRIPS);
    too_long.chain(middle.map(slow)).collect()
}

fn late((took, purge): &(Duration, &Purge)) -> Violation {
    let scope = &purge.scope;
    let how = format!("the purge of {scope} took {took:?} although nothing was broken");
    Violation { promise: Promise::Waiting, at: purge.called, how }
}

fn slow((took, purge): &(Duration, &Purge)) -> Violation {
    let how = format!("half of all purges took {took:?} and longer although nothing was broken");
    Violation { promise: Promise::Waiting, at: purge.called, how }
}
