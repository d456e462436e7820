//! How fast things happen in a run: a short one is busy all the time, a long one is like a quarter
//! of an hour of life. Nothing here is drawn.

use std::time::Duration;

use control::lease::wait_for;

use super::Level;

/// How fast things happen in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Milliseconds between two arrivals of viewers, at most.
    pub(crate) viewers_ms: usize,
    /// Milliseconds between two changes at the origin, at most.
    pub(crate) changes_ms: usize,
    /// How many times longer faults are apart than in a short run.
    pub(crate) faults_apart: usize,
    /// Milliseconds that a fault lasts, at most.
    pub(crate) fault_ms: usize,
    /// Between two looks at all replicas.
    pub(crate) looks: Duration,
    /// How long an operator waits for one answer.
    pub(crate) patience: Duration,
}

impl Pace {
    /// The pace of runs at `level` in a mesh with leases of so many milliseconds.
    pub(crate) fn of(level: Level, lease_ms: u32) -> Pace {
        let lease = Duration::from_millis(u64::from(lease_ms));
        match level {
            Level::L0 => Pace {
                viewers_ms: 700,
                changes_ms: 5_000,
                faults_apart: 6,
                fault_ms: 4 * lease_ms as usize,
                looks: Duration::from_secs(15),
                patience: wait_for(lease) * 2,
            },
            Level::L1 => Pace {
                viewers_ms: 90,
                changes_ms: 1_400,
                faults_apart: 1,
                fault_ms: 6_000,
                looks: Duration::from_millis(500),
                patience: wait_for(lease) + Duration::from_secs(3),
            },
        }
    }
}
