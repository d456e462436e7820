//! The checkers: one promise, one file, one reading of the whole history of a run.
//!
//! A checker sees what happened, never how; it knows nothing of rings, fills or trees. Each has at
//! least one mutant that it must catch.

pub(crate) mod one_fetch;
pub(crate) mod no_old;
pub(crate) mod whole;
pub(crate) mod alive;
pub(crate) mod receipts;

use std::fmt;
use std::time::Duration;

use crate::history::Records;
use crate::scenario::Scenario;

/// What the mesh promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// In calm weather the origin is asked once for each version of each variant of each page.
    OneFetch,
    /// What was purged is not served again.
    NoOld,
    /// A body that ends cleanly is one version from end to end.
    Whole,
    /// A viewer at a living edge gets an answer, whoever else dies.
    Alive,
    /// What was acknowledged is never lost and happens once.
    Receipts,
}

impl Promise {
    /// All promises.
    pub const ALL: [Promise; 5] =
        [Promise::OneFetch, Promise::NoOld, Promise::Whole, Promise::Alive, Promise::Receipts];

    /// The checker's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Promise::OneFetch => "one_fetch",
            Promise::NoOld => "no_old",
            Promise::Whole => "whole",
            Promise::Alive => "alive",
            Promise::Receipts => "receipts",
        }
    }

    fn check(self, case: &Case<'_>) -> Vec<Violation> {
        match self {
            Promise::OneFetch => one_fetch::check(case),
            Promise::NoOld => no_old::check(case),
            Promise::Whole => whole::check(case),
            Promise::Alive => alive::check(case),
            Promise::Receipts => receipts::check(case),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// When, since the start of the run.
    pub at: Duration,
    /// How, in a sentence.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} ms: {}", self.promise, self.at.as_secs_f64() * 1e3, self.how)
    }
}

/// What a checker judges.
pub(crate) struct Case<'a> {
    /// What the seed decided.
    pub(crate) scenario: &'a Scenario,
    /// What happened.
    pub(crate) records: &'a Records,
}

impl Case<'_> {
    /// A node by its name.
    pub(crate) fn name(&self, node: usize) -> &model::NodeName {
        &self.scenario.members[node].name
    }

    /// A page by its URL.
    pub(crate) fn url(&self, page: usize) -> String {
        let attributes = &self.scenario.site.pages[page].attributes;
        format!("{}{}", attributes.host, attributes.path)
    }
}

/// Every promise that the history breaks, in the order of time.
pub(crate) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut broken: Vec<Violation> =
        Promise::ALL.iter().flat_map(|promise| promise.check(case)).collect();
    broken.sort_by_key(|violation| (violation.at, violation.promise));
    broken
}
