//! The checkers: one promise, one file, one reading of the whole history of a run.
//!
//! A checker sees what happened, never how; it knows nothing of rings, fills or trees. Each has at
//! least one mutant that it must catch.

pub(crate) mod one_fetch;
pub(crate) mod no_old;
pub(crate) mod stops;
pub(crate) mod earliest;
pub(crate) mod bounds;
pub(crate) mod whole;
pub(crate) mod alive;
pub(crate) mod receipts;
pub(crate) mod heals;
mod places;

use std::fmt;
use std::time::Duration;

use model::LogPosition;

use crate::history::{Purge, Records};
use crate::scenario::Scenario;

use places::Places;

/// What the mesh promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// I1: what a fenced purge covers is served nowhere.
    Fenced,
    /// I2: nor are the bytes of what was under way.
    Stops,
    /// I3: what a node has applied it obeys for ever.
    Monotonic,
    /// I4: nothing kept claims to be younger than the request that brought it.
    Earliest,
    /// I5: a purge holds everywhere a lease after its commit.
    Staleness,
    /// I6: the answer to a purge comes in time.
    Waiting,
    /// I7: what was acknowledged is never lost and happens once.
    Receipts,
    /// I8: one distribution's purges cost another nothing.
    Isolation,
    /// In calm weather the origin is asked once for each version of each variant of each page.
    OneFetch,
    /// A body that ends cleanly is one version from end to end.
    Whole,
    /// A viewer at a living edge gets an answer, whoever else dies.
    Alive,
    /// Once faults stop, every node holds a lease and every purge becomes fenced.
    Heals,
}

impl Promise {
    /// All promises.
    pub const ALL: [Promise; 12] = [
        Promise::Fenced,
        Promise::Stops,
        Promise::Monotonic,
        Promise::Earliest,
        Promise::Staleness,
        Promise::Waiting,
        Promise::Receipts,
        Promise::Isolation,
        Promise::OneFetch,
        Promise::Whole,
        Promise::Alive,
        Promise::Heals,
    ];

    /// The checker's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Promise::Fenced => "fenced",
            Promise::Stops => "stops",
            Promise::Monotonic => "monotonic",
            Promise::Earliest => "earliest",
            Promise::Staleness => "staleness",
            Promise::Waiting => "waiting",
            Promise::Receipts => "receipts",
            Promise::Isolation => "isolation",
            Promise::OneFetch => "one_fetch",
            Promise::Whole => "whole",
            Promise::Alive => "alive",
            Promise::Heals => "heals",
        }
    }

    fn check(self, case: &Case<'_>) -> Vec<Violation> {
        match self {
            Promise::Fenced => no_old::fenced(case),
            Promise::Stops => stops::check(case),
            Promise::Monotonic => no_old::monotonic(case),
            Promise::Earliest => earliest::check(case),
            Promise::Staleness => bounds::staleness(case),
            Promise::Waiting => bounds::waiting(case),
            Promise::Receipts => receipts::check(case),
            Promise::Isolation => one_fetch::isolation(case),
            Promise::OneFetch => one_fetch::check(case),
            Promise::Whole => whole::check(case),
            Promise::Alive => alive::check(case),
            Promise::Heals => heals::check(case),
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
    /// Where each command first stands in the log.
    places: Places,
}

impl<'a> Case<'a> {
    /// A history to be judged.
    pub(crate) fn of(scenario: &'a Scenario, records: &'a Records) -> Case<'a> {
        Case { scenario, records, places: Places::of(records) }
    }

    /// Whether a node that has applied `applied` must heed a purge.
    pub(crate) fn has_applied(&self, applied: LogPosition, purge: &Purge) -> bool {
        self.places.first(applied.epoch(), purge.id).is_some_and(|position| applied >= position)
    }

    /// When a purge was first applied anywhere.
    pub(crate) fn committed_at(&self, purge: &Purge) -> Option<Duration> {
        let position = self.places.agreed(purge.id)?;
        self.records.committed.get(&position).copied()
    }

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
