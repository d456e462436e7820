//! One fetch: while nothing is broken, the mesh asks the origin once for what all its viewers want.
//!
//! Judged in calm runs only, where every node is alive, all rings agree and every store has room.
//! For each page, variant and version, and each purge of the page as the asking node knew it, at
//! most one whole body may come from the origin. Pages that may not be kept are not judged, nor
//! those that turn stale within the run and have nothing to be recognized by.

use std::collections::BTreeMap;

use super::{Case, Promise, Violation};
use crate::content::{Keeping, Page, Validator};
use crate::history::FetchEnd;
use crate::scenario::Profile;

/// Seconds that no run lasts.
const A_RUN: u32 = 600;

/// Reads the history for second fetches.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    if case.scenario.profile != Profile::Calm {
        return Vec::new();
    }
    let mut first = BTreeMap::new();
    let mut broken = Vec::new();
    for fetch in &case.records.fetches {
        let FetchEnd::Whole(version) = fetch.end else { continue };
        if !is_fetched_once(&case.scenario.site.pages[fetch.page]) {
            continue;
        }
        let what = (fetch.page, fetch.variant, version, fetch.epoch);
        if let Some((node, at)) = first.get(&what) {
            let (url, epoch) = (case.url(fetch.page), fetch.epoch);
            let (again, before) = (case.name(fetch.node), case.name(*node));
            let how = format!(
                "{again} fetched {url}, version {version}, as purged at {epoch}: \
                 {before} had done so at {at:?}",
            );
            broken.push(Violation { promise: Promise::OneFetch, at: fetch.at, how });
        } else {
            first.insert(what, (fetch.node, fetch.at));
        }
    }
    broken
}

fn is_fetched_once(page: &Page) -> bool {
    match page.keeping {
        Keeping::Never => false,
        Keeping::MaxAge(seconds) => seconds > A_RUN || page.validator == Validator::Tag,
    }
}
