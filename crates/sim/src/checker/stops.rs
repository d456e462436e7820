//! The byte stop: once a purge is known to be fenced, not one more byte of what it covers leaves a
//! node, of responses that had begun before the node applied it.
//!
//! A request from before the purge that was overtaken again and again may settle for what was
//! fetched since it came: its response begins when the node knows of the purge, is never kept, and
//! is not judged here. Requests from after the purge are judged elsewhere, whatever they get.
//!
//! Bodies that were handed over whole have left the node at once; what is judged is what comes in
//! pieces, by the time at which the node gave the last of them.

use super::{Case, Promise, Violation, no_old};

/// Reads the history for bytes that came too late.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (visit, purge, version) in no_old::older(case) {
        let Some(answer) = &visit.answer else { continue };
        let (Some(last), Some((at, _))) = (answer.last_piece, purge.fenced()) else { continue };
        let knew = case.has_applied(answer.applied, purge);
        if last <= at || answer.at > at || knew {
            continue;
        }
        let (url, name, scope) = (case.url(visit.page), case.name(visit.node), &purge.scope);
        let how = format!(
            "{name} sent bytes of version {version} of {url} at {last:?}, after the purge of \
             {scope} was said to be fenced at {at:?}"
        );
        broken.push(Violation { promise: Promise::Stops, at: last, how });
    }
    broken
}
