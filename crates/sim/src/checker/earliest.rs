//! No resurrection: nothing is kept as of a position later than what its node had applied when the
//! origin was asked for it.
//!
//! For each version that was kept anywhere, some request to the origin that brought or confirmed
//! that version must have begun at least as late as the copy claims.

use std::collections::BTreeMap;

use model::LogPosition;

use super::{Case, Promise, Violation};
use crate::history::FetchEnd;

/// Reads the history for copies that claim to be younger than they are.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let mut latest: BTreeMap<(usize, u64), LogPosition> = BTreeMap::new();
    for fetch in &case.records.fetches {
        let version = match (fetch.end, fetch.brings) {
            (FetchEnd::Whole(version) | FetchEnd::NotModified(version), _) => version,
            (FetchEnd::Open | FetchEnd::Stumbled(_), Some(version)) => version,
            (FetchEnd::Open | FetchEnd::Stumbled(_), None) => continue,
        };
        let known = latest.entry((fetch.page, version)).or_default();
        *known = (*known).max(fetch.applied);
    }
    let mut broken = Vec::new();
    for ((page, version), kept) in &case.records.kept {
        let fetched = latest.get(&(*page, *version)).copied().unwrap_or_default();
        if kept.as_of > fetched {
            let (url, name, as_of) = (case.url(*page), case.name(kept.node), kept.as_of);
            let how = format!(
                "{name} kept version {version} of {url} as of {as_of}, but nobody asked for it \
                 after {fetched}"
            );
            broken.push(Violation { promise: Promise::Earliest, at: kept.at, how });
        }
    }
    broken
}
