//! The canary: one hit a second is judged by another node, and a wrong one is told at once.
//!
//! Sampling costs a hit one atomic load. What cannot be judged (the shield is unreachable or
//! behind) is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use follow::Follow;
use model::NodeName;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use wire::exchange::{Finding, Sample};
use wire::log::{Ask, Told};

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);
/// How long a judge may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// One node's canary.
pub(crate) struct Canary {
    is_due: AtomicBool,
    samples: mpsc::Sender<(NodeName, Sample)>,
    judged: AtomicU64,
    violations: AtomicU64,
}

/// Samples on their way to their judges.
pub(crate) type Samples = mpsc::Receiver<(NodeName, Sample)>;

impl Canary {
    /// A canary, and what it has picked.
    pub(crate) fn new() -> (Canary, Samples) {
        let (samples, picked) = mpsc::channel(1);
        let canary = Canary {
            is_due: AtomicBool::new(false),
            samples,
            judged: AtomicU64::new(0),
            violations: AtomicU64::new(0),
        };
        (canary, picked)
    }

    /// Hits judged so far, and how many of them were wrong.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.judged.load(Ordering::Relaxed), self.violations.load(Ordering::Relaxed))
    }

    /// Whether the next hit is to be judged.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed) && self.is_due.swap(false, Ordering::Relaxed)
    }

    /// A hit that was picked.
    pub(crate) fn pick(&self, judge: NodeName, sample: Sample) {
        match self.samples.try_send((judge, sample)) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {}
        }
    }

    /// Has hits judged, for as long as the node runs.
    pub(crate) async fn watch(self: Arc<Self>, mut picked: Samples, follow: Arc<Follow>) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.is_due.store(true, Ordering::Relaxed);
            let Some((judge, sample)) = picked.recv().await else { return };
            let asked = follow.peers.ask(&judge, Ask::Sample(sample.encode()), PATIENCE).await;
            if let Ok(Told::Sampled(finding)) = asked {
                self.count(finding, &judge, &sample);
            }
        }
    }

    fn count(&self, finding: Finding, judge: &NodeName, sample: &Sample) {
        match finding {
            Finding::Unknown => return,
            Finding::Sound => {}
            // Two nodes can have asked the origin at one position of the log, and it can have
            // changed between them: no purge covers either copy, so nothing was violated.
            Finding::Differs => tracing::debug!(
                %judge, distribution = %sample.distribution, host = %sample.host,
                path = %sample.path, as_of = %sample.as_of,
                "the shield has another version of the same moment"
            ),
            Finding::Old => {
                self.violations.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    %judge,
                    distribution = %sample.distribution, host = %sample.host, path = %sample.path,
                    as_of = %sample.as_of, applied = %sample.applied,
                    "the canary found a hit that this node should not have served"
                );
            }
        }
        self.judged.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_purge_covers_is_a_violation() {
        let sample = Sample {
            distribution: "shop".parse().unwrap(),
            host: model::Host::parse("shop.example").unwrap(),
            path: model::Path::parse("/a").unwrap(),
            tags: Vec::new(),
            as_of: model::LogPosition::default(),
            applied: model::LogPosition::default(),
            etag: bytes::Bytes::new(),
        };
        for (finding, counted) in [
            (Finding::Sound, (1, 0)),
            (Finding::Differs, (1, 0)),
            (Finding::Unknown, (0, 0)),
            (Finding::Old, (1, 1)),
        ] {
            let (canary, _picked) = Canary::new();
            canary.count(finding, &"judge".parse().unwrap(), &sample);
            assert_eq!(canary.counts(), counted, "{finding:?}");
        }
    }
}
