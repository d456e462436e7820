//! How patient a group is: heartbeats, elections, snapshots.
//!
//! openraft's own defaults suit one rack (election 150-300 ms) and would elect without end across
//! regions. Every voter of a mesh should use the same timings. A failed leader is replaced within
//! about twice `election_max`: a follower waits out its lease first, then its own timeout.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::error::ConsensusError;

/// Entries in one append message; its bytes are bounded by the log store.
const APPEND_ENTRIES_MAX: u64 = 300;

/// The durations and counts that a group lives by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// The leader is heard of this often; also how long an append may take before it is repeated.
    pub heartbeat: Duration,
    /// The shortest silence after which a follower stands for election.
    pub election_min: Duration,
    /// The longest such silence, and how long a follower shields its leader from rivals.
    pub election_max: Duration,
    /// How long one part of a snapshot, or one large append, may be on its way.
    pub part: Duration,
    /// Entries between two snapshots; up to a fifth of them stays in the log behind a snapshot.
    pub snapshot_every_entries: u64,
}

impl Timings {
    /// Voters within a few milliseconds of each other.
    pub const fn lan() -> Timings {
        Timings {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(800),
            part: Duration::from_secs(10),
            snapshot_every_entries: 5_000,
        }
    }

    /// Voters in different regions: a heartbeat must hold the longest round trip and a disk, and
    /// the times of two candidates differ by more than a vote takes to arrive.
    pub const fn wan() -> Timings {
        Timings {
            heartbeat: Duration::from_millis(500),
            election_min: Duration::from_millis(700),
            election_max: Duration::from_millis(1_500),
            part: Duration::from_secs(30),
            snapshot_every_entries: 5_000,
        }
    }

    /// The same, as openraft wants it. The lag threshold must exceed the distance between two
    /// snapshots, or a follower behind the threshold would be sent the same snapshot for ever.
    pub(crate) fn config(&self) -> Result<Arc<Config>, ConsensusError> {
        let every = self.snapshot_every_entries;
        let config = Config {
            cluster_name: "shoal".into(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(self.part),
            max_payload_entries: APPEND_ENTRIES_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(every),
            replication_lag_threshold: every + every / 10 + 1,
            max_in_snapshot_log_to_keep: every / 5,
            ..Config::default()
        };
        let contradiction = |error| ConsensusError::Timings(Box::new(error));
        config.validate().map(Arc::new).map_err(contradiction)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_presets_are_consistent_and_contradictions_are_refused() {
        assert!(Timings::lan().config().is_ok() && Timings::wan().config().is_ok());
        let hasty = Timings { election_min: Duration::from_millis(50), ..Timings::lan() };
        assert!(matches!(hasty.config(), Err(ConsensusError::Timings(_))));
    }

    #[test]
    fn a_follower_is_called_lagging_only_beyond_the_next_snapshot() {
        let config = Timings::lan().config().unwrap();
        assert!(config.replication_lag_threshold > Timings::lan().snapshot_every_entries);
    }
}
