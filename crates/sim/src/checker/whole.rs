//! Whole bodies: what ends cleanly is, byte for byte, the version that its head names.
//!
//! Never mixed from two versions, never cut short, whatever died or changed while it was on its
//! way. A body that breaks off is allowed: whoever reads it knows.

use super::{Case, Promise, Violation};
use crate::history::Ending;

/// Reads the history for bodies that were not what they seemed.
pub(crate) fn check(case: &Case<'_>) -> Vec<Violation> {
    let mut broken = Vec::new();
    for visit in &case.records.visits {
        let Some(answer) = &visit.answer else { continue };
        match &answer.ending {
            Ending::Coming | Ending::Whole | Ending::Broken => {}
            Ending::Wrong(what) => {
                let (url, name) = (case.url(visit.page), case.name(visit.node));
                let how = format!("{name} answered {} for {url}: {what}", answer.status);
                broken.push(Violation { promise: Promise::Whole, at: visit.at, how });
            }
        }
    }
    broken
}
