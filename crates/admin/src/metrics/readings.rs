//! What is not counted here but read off: the store, the log, the lease, the mesh, the Raft group.
//!
//! The program reads them when it is asked for its metrics, so that nothing has to keep them up to
//! date.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::LogPosition;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What a node reads off itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Bytes that the store holds.
    pub store_bytes: u64,
    /// Objects that the store holds.
    pub store_objects: u64,
    /// Fetches under way that requests read from.
    pub fills_running: u64,
    /// The log position applied.
    pub applied: LogPosition,
    /// The furthest log position heard of.
    pub head: LogPosition,
    /// Entries of all distributions' invalidation maps.
    pub invalidation_entries: u64,
    /// The age of the lease, if one is held.
    pub lease_age: Option<Duration>,
    /// Whether the lease has run out, or there is none.
    pub fenced: bool,
    /// Responses cut off since the start because a purge covered them.
    pub responses_cut: u64,
    /// Hits since the start that the canary had judged.
    pub canary_samples: u64,
    /// Those of them that should not have been served.
    pub canary_violations: u64,
    /// Other nodes that seem alive.
    pub peers_alive: u64,
    /// Whether this node leads the Raft group.
    pub leads: bool,
    /// The Raft term.
    pub term: u64,
}

#[derive(Debug, Default)]
pub(super) struct Gauges {
    store_bytes: Gauge,
    store_objects: Gauge,
    fills_running: Gauge,
    log_epoch: Gauge,
    log_applied_index: Gauge,
    log_head_index: Gauge,
    invalidation_entries: Gauge,
    lease_age: Gauge<f64, AtomicU64>,
    fenced: Gauge,
    responses_cut: Counter,
    canary_samples: Counter,
    canary_violations: Counter,
    peers_alive: Gauge,
    raft_is_leader: Gauge,
    raft_term: Gauge,
}

impl Gauges {
    pub(super) fn register(registry: &mut Registry) -> Gauges {
        let gauges = Gauges::default();
        let store_bytes = gauges.store_bytes.clone();
        registry.register_with_unit("store", "Bytes in the store", Unit::Bytes, store_bytes);
        let help = "Age of the lease under which copies are served; NaN without one";
        registry.register_with_unit("lease_age", help, Unit::Seconds, gauges.lease_age.clone());
        for (name, help, gauge) in [
            ("store_objects", "Objects in the store", &gauges.store_objects),
            ("fills_running", "Fetches that requests read from", &gauges.fills_running),
            ("log_epoch", "Mesh epoch of the log position applied", &gauges.log_epoch),
            ("log_applied_index", "Log index applied", &gauges.log_applied_index),
            ("log_head_index", "Furthest log index heard of", &gauges.log_head_index),
            ("invalidation_entries", "What purges left", &gauges.invalidation_entries),
            ("fenced", "1 while the node can vouch for no copy", &gauges.fenced),
            ("peers_alive", "Other nodes that seem alive", &gauges.peers_alive),
            ("raft_is_leader", "1 on the node that leads", &gauges.raft_is_leader),
            ("raft_term", "Term of the Raft group", &gauges.raft_term),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("responses_cut", "Responses cut off by purges", &gauges.responses_cut),
            ("canary_samples", "Hits that were judged again", &gauges.canary_samples),
            ("canary_violations", "Hits judged wrong", &gauges.canary_violations),
        ] {
            registry.register(name, help, counter.clone());
        }
        gauges
    }

    pub(super) fn set(&self, readings: &Readings) {
        for (gauge, value) in [
            (&self.store_bytes, readings.store_bytes),
            (&self.store_objects, readings.store_objects),
            (&self.fills_running, readings.fills_running),
            (&self.log_epoch, readings.applied.epoch().into()),
            (&self.log_applied_index, readings.applied.index()),
            (&self.log_head_index, readings.head.index()),
            (&self.invalidation_entries, readings.invalidation_entries),
            (&self.fenced, readings.fenced.into()),
            (&self.peers_alive, readings.peers_alive),
            (&self.raft_is_leader, readings.leads.into()),
            (&self.raft_term, readings.term),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.lease_age.set(readings.lease_age.map_or(f64::NAN, |age| age.as_secs_f64()));
        for (counter, reached) in [
            (&self.responses_cut, readings.responses_cut),
            (&self.canary_samples, readings.canary_samples),
            (&self.canary_violations, readings.canary_violations),
        ] {
            // Counted elsewhere: what a scrape adds another may have added meanwhile.
            counter.inner().fetch_max(reached, Ordering::Relaxed);
        }
    }
}
