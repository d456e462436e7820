//! What a node counts, as OpenMetrics text. Every handle is made at the start, since looking one up
//! takes a lock: recording is a handful of atomic additions, and a scrape disturbs no request.
//!
//! What is counted here comes from accounts and receipts; what is read off elsewhere comes in as
//! [`Readings`] before a scrape. Names begin with `shoal_` and end with their unit.

mod labels;
mod readings;
mod timings;

use follow::{Receipt, SubmitError};
use model::{Level, Tier};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use serve::Account;
use serve::account::Source;

use labels::{Outcome, OutcomeLabels, TierLabels, Verdict, VerdictLabels};
use readings::Gauges;
use timings::Timings;

pub use readings::Readings;

/// The media type of what [`Metrics::encode`] writes.
pub(crate) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a purge may be waited for, in their order.
const LEVELS: [Level; 3] = [Level::Committed, Level::Applied, Level::Fenced];

/// The registry of one node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answered: [[Answered; Verdict::ALL.len()]; Tier::ALL.len()],
    origin_fetches: [Counter; Tier::ALL.len()],
    purges: [[Counter; Outcome::ALL.len()]; LEVELS.len()],
    time_to_fenced: Timings,
    gauges: Gauges,
}

/// The handles of one tier and verdict.
#[derive(Debug)]
struct Answered {
    requests: Counter,
    body_bytes: Counter,
    time_to_head: Timings,
}

impl Metrics {
    /// A registry in which everything is zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("shoal");
        Metrics {
            answered: answered(&mut registry),
            origin_fetches: origin_fetches(&mut registry),
            purges: purges(&mut registry),
            time_to_fenced: time_to_fenced(&mut registry),
            gauges: Gauges::register(&mut registry),
            registry,
        }
    }

    /// Counts a request that has been answered.
    pub fn record(&self, account: &Account) {
        let tier = account.tier as usize;
        let answered = &self.answered[tier][Verdict::of(account) as usize];
        answered.requests.inc();
        answered.body_bytes.inc_by(account.body_bytes.unwrap_or(0));
        answered.time_to_head.observe(account.took);
        if account.source == Source::Origin && !account.collapsed {
            self.origin_fetches[tier].inc();
        }
    }

    /// Counts a purge that was submitted here, to come as far as `wanted`.
    pub fn purged(&self, wanted: Level, answer: &Result<Receipt, SubmitError>) {
        self.purges[wanted as usize][Outcome::of(wanted, answer) as usize].inc();
        let fenced = answer.as_ref().ok().and_then(|receipt| receipt.progressed.fenced);
        if let Some(took) = fenced.filter(|_| wanted == Level::Fenced) {
            self.time_to_fenced.observe(took);
        }
    }

    /// Takes over what was read off the rest of the node.
    pub fn observe(&self, readings: &Readings) {
        self.gauges.set(readings);
    }

    /// Everything as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a string takes all that is written to it");
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

fn answered(registry: &mut Registry) -> [[Answered; Verdict::ALL.len()]; Tier::ALL.len()] {
    let requests = Family::<VerdictLabels, Counter>::default();
    let body_bytes = Family::<VerdictLabels, Counter>::default();
    let time_to_head = Family::<VerdictLabels, Timings>::default();
    let help = "Requests answered, by the tier that was asked and how it came by the answer";
    registry.register("requests", help, requests.clone());
    let help = "Bytes of the bodies of answers whose length was known at their head";
    registry.register_with_unit("response_body", help, Unit::Bytes, body_bytes.clone());
    let help = "From the arrival of a request to the head of its answer";
    registry.register_with_unit("time_to_head", help, Unit::Seconds, time_to_head.clone());
    Tier::ALL.map(|tier| {
        Verdict::ALL.map(|verdict| {
            let labels = VerdictLabels { tier: tier.as_str(), verdict: verdict.as_str() };
            Answered {
                requests: requests.get_or_create_owned(&labels),
                body_bytes: body_bytes.get_or_create_owned(&labels),
                time_to_head: time_to_head.get_or_create_owned(&labels),
            }
        })
    })
}

fn origin_fetches(registry: &mut Registry) -> [Counter; Tier::ALL.len()] {
    let family = Family::<TierLabels, Counter>::default();
    let help = "Requests for which this node asked an origin, each once however many waited";
    registry.register("origin_fetches", help, family.clone());
    Tier::ALL.map(|tier| family.get_or_create_owned(&TierLabels { tier: tier.as_str() }))
}

fn time_to_fenced(registry: &mut Registry) -> Timings {
    let timings = Timings::default();
    let help = "From the leader's receipt of a purge until no node could serve what it covers";
    registry.register_with_unit("purge_time_to_fenced", help, Unit::Seconds, timings.clone());
    timings
}

fn purges(registry: &mut Registry) -> [[Counter; Outcome::ALL.len()]; LEVELS.len()] {
    let family = Family::<OutcomeLabels, Counter>::default();
    let help = "Purges submitted here, by the level waited for and what became of them";
    registry.register("purges", help, family.clone());
    LEVELS.map(|level| {
        Outcome::ALL.map(|outcome| {
            let level = level.to_string();
            family.get_or_create_owned(&OutcomeLabels { level, outcome: outcome.as_str() })
        })
    })
}

#[cfg(test)]
mod tests;
