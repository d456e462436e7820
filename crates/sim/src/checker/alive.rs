//! Alive: a viewer at a living edge gets an answer, whichever other nodes die.
//!
//! Every status is the origin's own, unless the origin itself stumbled over that page while the
//! request was under way. And every answer comes to an end, good or bad: nobody waits for ever.

use std::time::Duration;

use super::{Case, Promise, Violation};
use crate::history::{FetchEnd, Visit};

/// How long the news of a stumble may take from the origin to an edge.
const NEWS: Duration = Duration::from_secs(2);

/// Reads the history for viewers who were failed.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let judged = case.records.visits.iter().filter(|visit| !visit.bereft);
    judged.filter_map(|visit| failing(case, visit)).collect()
}

fn failing(case: &Case<'_>, visit: &Visit) -> Option<Violation> {
    let (url, name) = (case.url(visit.page), case.name(visit.node));
    let how = match &visit.answer {
        None => format!("{name} never answered a request for {url}"),
        Some(_) if !visit.is_over() => format!("{name} never ended its answer for {url}"),
        Some(answer) if matches!(answer.status, 200 | 206 | 304 | 416) => return None,
        Some(answer) if has_stumbled(case, visit, answer.at) => return None,
        Some(answer) => {
            let took = answer.at - visit.at;
            format!(
                "{name} answered {} for {url} after {took:?}: the origin was well",
                answer.status
            )
        }
    };
    Some(Violation { promise: Promise::Alive, at: visit.at, how })
}

fn has_stumbled(case: &Case<'_>, visit: &Visit, until: Duration) -> bool {
    let since = visit.at.saturating_sub(NEWS);
    case.records.fetches.iter().any(|fetch| match fetch.end {
        FetchEnd::Stumbled(at) => fetch.page == visit.page && since <= at && at <= until,
        FetchEnd::Open | FetchEnd::NotModified(_) | FetchEnd::Whole(_) => false,
    })
}
