//! One fetch: while nothing is broken, the mesh asks the origin once for what all its viewers want.
//!
//! Judged in calm runs only, where every node is alive, all rings agree and every store has room.
//! For each page, variant and version, and each purge of the page as the asking node knew it, at
//! most one whole body may come from the origin, and one more for each purge that was on its way
//! into the log meanwhile: nodes forget what it covers before it is there. A soft one asks for
//! another body once it is there, if the page has nothing to be recognized by. Pages that may not
//! be kept are not judged, nor those that turn stale within the run and have nothing to be
//! recognized by.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Effect;

use super::{Case, Promise, Violation};
use crate::content::{Front, Keeping, Page, Validator};
use crate::history::{Fetch, FetchEnd, Purge};
use crate::scenario::Profile;

/// Seconds that no run lasts.
const A_RUN: u32 = 600;
/// How long a purge may be on its way into the log.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Reads the history for second fetches.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    if case.scenario.profile != Profile::Calm {
        return Vec::new();
    }
    let mut made: BTreeMap<_, Vec<&Fetch>> = BTreeMap::new();
    let mut broken = Vec::new();
    for fetch in &case.records.fetches {
        let FetchEnd::Whole(version) = fetch.end else { continue };
        if !is_fetched_once(&case.scenario.site.pages[fetch.page]) {
            continue;
        }
        let what = (fetch.page, fetch.variant, version, fetch.epoch);
        let made = made.entry(what).or_default();
        made.push(fetch);
        let first = made[0];
        if made.len() > 1 + on_their_way(case, first, fetch) {
            let (url, epoch, at) = (case.url(fetch.page), fetch.epoch, first.at);
            let (again, before) = (case.name(fetch.node), case.name(first.node));
            let how = format!(
                "{again} fetched {url}, version {version}, as purged at {epoch}: \
                 {before} had done so at {at:?}",
            );
            broken.push(Violation { promise: Promise::OneFetch, at: fetch.at, how });
        }
    }
    broken
}

/// Reads the history for second fetches of what only others' purges can have done away with.
pub(crate) fn isolation(case: &Case<'_>) -> Vec<Violation> {
    let of = |page: usize| &case.scenario.site.pages[page].attributes.distribution;
    let others = |at: Duration, page: usize| {
        let near = |called: Duration| called <= at && called + ON_ITS_WAY >= at;
        case.records.purges.iter().any(|one| near(one.called) && one.distribution != *of(page))
    };
    let again = check(case).into_iter().filter_map(|violation| {
        let fetch = case.records.fetches.iter().find(|fetch| fetch.at == violation.at)?;
        others(fetch.at, fetch.page).then_some(violation)
    });
    again.map(|violation| Violation { promise: Promise::Isolation, ..violation }).collect()
}

/// How many purges of the page were on their way between two fetches.
fn on_their_way(case: &Case<'_>, first: &Fetch, last: &Fetch) -> usize {
    let purges = case.records.purges.iter();
    let purges = purges.filter(|purge| purge.covered.contains_key(&last.page));
    let near = |one: &&Purge| one.called <= last.at && one.called + ON_ITS_WAY >= first.at;
    let bodies = |one: &Purge| match one.effect {
        Effect::Hard => 1,
        Effect::Soft => 2,
    };
    purges.filter(near).map(bodies).sum()
}

fn is_fetched_once(page: &Page) -> bool {
    match page.keeping {
        Keeping::MaxAge(_) if page.front == Front::Cache => false,
        Keeping::Never => false,
        Keeping::MaxAge(seconds) => seconds > A_RUN || page.validator == Validator::Tag,
    }
}
