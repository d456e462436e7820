//! Where accounts go: counters for metrics and status, and one log line at debug level.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{NodeName, Tier};
use serve::Account;
use wire::exchange::Sample;
use wire::gossip::Served;

use crate::canary::Canary;

/// Counts and logs what was answered.
pub(crate) struct Journal {
    metrics: Arc<admin::Metrics>,
    canary: Arc<Canary>,
    requests: [AtomicU64; 3],
    hits: [AtomicU64; 3],
}

impl Journal {
    /// Counts into `metrics` too, and lets `canary` pick among hits.
    pub(crate) fn new(metrics: Arc<admin::Metrics>, canary: Arc<Canary>) -> Journal {
        Journal { metrics, canary, requests: Default::default(), hits: Default::default() }
    }

    /// Requests and hits so far, by tier.
    pub(crate) fn served(&self) -> [Served; 3] {
        Tier::ALL.map(|tier| {
            let count = |of: &[AtomicU64; 3]| of[tier as usize].load(Ordering::Relaxed);
            Served { requests: count(&self.requests), hits: count(&self.hits) }
        })
    }
}

impl serve::Journal for Journal {
    fn wants_sample(&self) -> bool {
        self.canary.is_due()
    }

    fn sample(&self, judge: NodeName, sample: Sample) {
        self.canary.pick(judge, sample);
    }

    fn record(&self, account: &Account) {
        let tier = account.tier as usize;
        self.requests[tier].fetch_add(1, Ordering::Relaxed);
        self.hits[tier].fetch_add(u64::from(account.is_hit()), Ordering::Relaxed);
        self.metrics.record(account);
        tracing::debug!(
            tier = %account.tier,
            method = %account.method,
            host = account.host.as_ref().map(tracing::field::display),
            path = account.path.as_ref().map(tracing::field::display),
            status = account.status.as_u16(),
            verdict = ?account.verdict,
            source = ?account.source,
            collapsed = account.collapsed,
            detail = account.detail,
            took_us = u64::try_from(account.took.as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}
