//! Faults as nouns: what is done to whom. A fault on the network is drawn into the matrix; what is
//! active is the truth, and the matrix is drawn anew whenever that changes, so overlapping faults
//! end each in their own time.

use std::time::Duration;

use model::NodeName;
use serde::{Deserialize, Serialize};
use shoal::local::{Matrix, Shape};

use crate::disk::Pace;

/// Which direction of a node is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// Nothing gets in or out.
    #[default]
    Both,
    /// It hears nobody.
    In,
    /// Nobody hears it.
    Out,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Fault {
    /// SIGKILL; at the end it starts again on its disk.
    Kill,
    /// SIGSTOP, or the freezer of its container; SIGCONT at the end.
    Pause,
    /// These against all others.
    Partition,
    /// Each of these against everybody.
    Isolate { direction: Direction },
    /// Everything to and from these takes longer and is narrow.
    Slow { delay_ms: u64 },
    /// A share of the packets to and from these is lost.
    Loss { percent: f64 },
    /// SIGKILL and at once a new process.
    Restart,
    /// One after the other: SIGTERM, wait, start, wait until ready.
    Rolling,
    /// The same, into another build of the program.
    Upgrade { program: std::path::PathBuf },
    /// No byte is left on its disk.
    DiskFull,
    /// Whatever it reads from and writes to its disk takes long.
    SlowDisk {
        #[serde(flatten)]
        pace: Pace,
    },
    /// It starts again with clocks at another speed.
    Clock { rate: f64 },
    /// The origin answers 503.
    OriginError,
    /// The origin takes this much longer.
    OriginSlow { delay_ms: u64 },
}

/// The words of faults that last until they are healed.
pub(crate) const LASTING: [&str; 11] = [
    "kill",
    "pause",
    "partition",
    "isolate",
    "slow",
    "loss",
    "disk-full",
    "slow-disk",
    "clock",
    "origin-error",
    "origin-slow",
];

/// How narrow a slow node's ways are.
const SLOW_BYTES_PER_SECOND: u64 = 1_000_000;

impl Fault {
    /// Its name, as it is typed.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Pause => "pause",
            Fault::Partition => "partition",
            Fault::Isolate { .. } => "isolate",
            Fault::Slow { .. } => "slow",
            Fault::Loss { .. } => "loss",
            Fault::Restart => "restart",
            Fault::Rolling => "rolling",
            Fault::Upgrade { .. } => "upgrade",
            Fault::DiskFull => "disk-full",
            Fault::SlowDisk { .. } => "slow-disk",
            Fault::Clock { .. } => "clock",
            Fault::OriginError => "origin-error",
            Fault::OriginSlow { .. } => "origin-slow",
        }
    }

    /// How it was asked for, beyond its word; empty if there is nothing more to say.
    pub(crate) fn options(&self) -> String {
        match self {
            Fault::Isolate { direction: Direction::In } => "--direction in".into(),
            Fault::Isolate { direction: Direction::Out } => "--direction out".into(),
            Fault::Slow { delay_ms } | Fault::OriginSlow { delay_ms } => {
                format!("--delay {delay_ms}ms")
            }
            Fault::Loss { percent } => format!("--percent {percent:.1}"),
            Fault::SlowDisk { pace: Pace { operations: Some(operations), .. } } => {
                format!("--delay {}ms", 1_000 / operations.max(&1))
            }
            Fault::SlowDisk { pace: Pace { bytes, .. } } => {
                format!("--rate {}", bytes.unwrap_or(0))
            }
            Fault::Clock { rate } => format!("--rate {rate:.3}"),
            Fault::Upgrade { program } => format!("--program {}", program.display()),
            Fault::Isolate { direction: Direction::Both }
            | Fault::Kill
            | Fault::Pause
            | Fault::Partition
            | Fault::Restart
            | Fault::Rolling
            | Fault::DiskFull
            | Fault::OriginError => String::new(),
        }
    }

    /// Whether it can be done to nodes, and to origins.
    pub(crate) fn suits(&self) -> (bool, bool) {
        match self {
            Fault::Kill
            | Fault::Partition
            | Fault::Isolate { .. }
            | Fault::Slow { .. }
            | Fault::Loss { .. } => (true, true),
            Fault::OriginError | Fault::OriginSlow { .. } => (false, true),
            Fault::Pause
            | Fault::Restart
            | Fault::Rolling
            | Fault::Upgrade { .. }
            | Fault::DiskFull
            | Fault::SlowDisk { .. }
            | Fault::Clock { .. } => (true, false),
        }
    }

    /// Whether it is drawn into the network, and nothing else.
    pub(crate) fn is_network(&self) -> bool {
        matches!(
            self,
            Fault::Partition | Fault::Isolate { .. } | Fault::Slow { .. } | Fault::Loss { .. }
        )
    }

    /// Whether it lasts until it is healed, or is over when it has happened.
    pub(crate) fn lasts(&self) -> bool {
        match self {
            Fault::Restart | Fault::Rolling | Fault::Upgrade { .. } => false,
            Fault::Kill
            | Fault::Pause
            | Fault::Partition
            | Fault::Isolate { .. }
            | Fault::Slow { .. }
            | Fault::Loss { .. }
            | Fault::DiskFull
            | Fault::SlowDisk { .. }
            | Fault::Clock { .. }
            | Fault::OriginError
            | Fault::OriginSlow { .. } => true,
        }
    }

    /// What it does to the network; `members` are all, origins included.
    pub(crate) fn draw(&self, matrix: &mut Matrix, whom: &[NodeName], members: &[NodeName]) {
        match self {
            Fault::Partition => {
                for one in whom {
                    for other in members.iter().filter(|other| !whom.contains(other)) {
                        matrix.cut.insert((one.clone(), other.clone()));
                        matrix.cut.insert((other.clone(), one.clone()));
                    }
                }
            }
            Fault::Isolate { direction } => {
                if matches!(direction, Direction::Both | Direction::Out) {
                    matrix.mute.extend(whom.iter().cloned());
                }
                if matches!(direction, Direction::Both | Direction::In) {
                    matrix.deaf.extend(whom.iter().cloned());
                }
            }
            Fault::Slow { delay_ms } => {
                let delay = Duration::from_millis(*delay_ms);
                let width = Some(SLOW_BYTES_PER_SECOND);
                burden(matrix, whom, Shape { bytes_per_second: width, ..Shape::delay(delay) });
            }
            Fault::Loss { percent } => {
                burden(matrix, whom, Shape { loss: percent / 100.0, ..Shape::default() });
            }
            Fault::Kill
            | Fault::Pause
            | Fault::Restart
            | Fault::Rolling
            | Fault::Upgrade { .. }
            | Fault::DiskFull
            | Fault::SlowDisk { .. }
            | Fault::Clock { .. }
            | Fault::OriginError
            | Fault::OriginSlow { .. } => {}
        }
    }
}

fn burden(matrix: &mut Matrix, whom: &[NodeName], more: Shape) {
    for name in whom {
        let burden = matrix.burdens.entry(name.clone()).or_default();
        *burden = burden.and(more);
    }
}

#[cfg(test)]
mod tests {
    use shoal::local::Way;

    use super::*;

    #[test]
    fn faults_are_written_as_they_are_typed() {
        let pace = Pace { operations: Some(5), bytes: None };
        let faults = [
            (Fault::Kill, ""),
            (Fault::Restart, ""),
            (Fault::DiskFull, ""),
            (Fault::Isolate { direction: Direction::In }, "--direction in"),
            (Fault::OriginSlow { delay_ms: 7 }, "--delay 7ms"),
            (Fault::Loss { percent: 2.5 }, "--percent 2.5"),
            (Fault::SlowDisk { pace }, "--delay 200ms"),
            (Fault::Clock { rate: 1.05 }, "--rate 1.050"),
        ];
        for (fault, options) in faults {
            let text = serde_json::to_value(&fault).unwrap();
            assert_eq!(text["kind"], fault.word());
            assert_eq!(LASTING.contains(&fault.word()), fault.lasts(), "{}", fault.word());
            assert_eq!(fault.options(), options);
            assert_eq!(serde_json::from_value::<Fault>(text).unwrap(), fault);
        }
    }

    #[test]
    fn a_partition_cuts_between_the_sides_and_not_within() {
        let members = ["a", "b", "c", "o"].map(|name| name.parse::<NodeName>().unwrap());
        let mut matrix = Matrix::default();
        Fault::Partition.draw(&mut matrix, &members[..2], &members);
        let open = |from: usize, to: usize| {
            let way = Way { from: Some(members[from].clone()), to: Some(members[to].clone()) };
            matrix.shape(&way).is_some()
        };
        assert!(open(0, 1) && open(2, 3) && !open(0, 2) && !open(3, 1));
    }

    #[test]
    fn an_asymmetric_cut_leaves_one_direction() {
        let [a, b] = ["a", "b"].map(|name| name.parse::<NodeName>().unwrap());
        let mut matrix = Matrix::default();
        let fault = Fault::Isolate { direction: Direction::In };
        fault.draw(&mut matrix, std::slice::from_ref(&a), &[a.clone(), b.clone()]);
        let there = matrix.shape(&Way { from: Some(b.clone()), to: Some(a.clone()) });
        let back = matrix.shape(&Way { from: Some(a), to: Some(b) });
        assert!(there.is_none() && back.is_some());
    }
}
