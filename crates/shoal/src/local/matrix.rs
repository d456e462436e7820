//! What lies between nodes: how long, how lossy and how narrow each directed way is, and who does
//! not reach whom.
//!
//! A value that is asked for the fate of one packet. The relay before each process asks it, and so
//! does the testbed's link emulator, so a fault means the same wherever a mesh runs. A packet's
//! time is drawn anew each time; whoever carries packets keeps their order ([`Pace`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::NodeName;
use tokio::time::Instant;

/// How one direction behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Time a packet takes.
    pub delay: Duration,
    /// How much longer it may take: evenly drawn from nothing to this.
    pub jitter: Duration,
    /// The share of packets that is lost, 0 to 1.
    pub loss: f64,
    /// The share of packets that overtakes those before it, 0 to 1.
    pub reorder: f64,
    /// Bytes that pass in a second; no limit if not said.
    pub bytes_per_second: Option<u64>,
}

impl Shape {
    /// A way of this length and no other vice.
    pub fn delay(delay: Duration) -> Shape {
        Shape { delay, ..Shape::default() }
    }

    /// Both, one after the other.
    #[must_use]
    pub fn and(self, more: Shape) -> Shape {
        let narrower = self.bytes_per_second.into_iter().chain(more.bytes_per_second).min();
        Shape {
            delay: self.delay + more.delay,
            jitter: self.jitter + more.jitter,
            loss: 1.0 - (1.0 - self.loss) * (1.0 - more.loss),
            reorder: self.reorder.max(more.reorder),
            bytes_per_second: narrower,
        }
    }
}

/// One direction between two; a stranger has no name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Who sends.
    pub from: Option<NodeName>,
    /// Who is to hear it.
    pub to: Option<NodeName>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It arrives.
    Arrives {
        /// How long it takes.
        after: Duration,
        /// Whether it overtakes what was sent before it.
        overtakes: Overtakes,
        /// How narrow the way is.
        bytes_per_second: Option<u64>,
    },
    /// It does not arrive.
    Lost,
}

/// Whether a packet keeps its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overtakes {
    /// It arrives after what was sent before it.
    Nobody,
    /// It arrives as soon as it can.
    Others,
}

/// Who does not reach whom, and how long the others take.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// Nodes that nobody hears.
    pub mute: BTreeSet<NodeName>,
    /// Nodes that hear nobody.
    pub deaf: BTreeSet<NodeName>,
    /// Directed pairs between which nothing passes.
    pub cut: BTreeSet<(NodeName, NodeName)>,
    /// How directed pairs behave.
    pub ways: BTreeMap<(NodeName, NodeName), Shape>,
    /// How all other directed pairs behave.
    pub usual: Shape,
    /// What comes on top for whatever a node sends or hears.
    pub burdens: BTreeMap<NodeName, Shape>,
}

impl Matrix {
    /// How a way behaves; nothing if nothing passes.
    pub fn shape(&self, way: &Way) -> Option<Shape> {
        let Way { from, to } = way;
        let mute = from.as_ref().is_some_and(|from| self.mute.contains(from));
        let deaf = to.as_ref().is_some_and(|to| self.deaf.contains(to));
        let pair = from.clone().zip(to.clone());
        let cut = pair.as_ref().is_some_and(|pair| self.cut.contains(pair));
        if mute || deaf || cut {
            return None;
        }
        let shape = pair.and_then(|pair| self.ways.get(&pair).copied()).unwrap_or(self.usual);
        let ends = [from, to].into_iter().flatten();
        Some(ends.filter_map(|end| self.burdens.get(end)).fold(shape, |sum, more| sum.and(*more)))
    }

    /// What becomes of a packet that is sent now.
    pub fn fate(&self, way: &Way) -> Fate {
        let Some(shape) = self.shape(way) else { return Fate::Lost };
        if shape.loss > 0.0 && rand::random_bool(shape.loss.min(1.0)) {
            return Fate::Lost;
        }
        let overtakes = match shape.reorder > 0.0 && rand::random_bool(shape.reorder.min(1.0)) {
            true => Overtakes::Others,
            false => Overtakes::Nobody,
        };
        let after = shape.delay + shape.jitter.mul_f64(rand::random_range(0.0..=1.0));
        Fate::Arrives { after, overtakes, bytes_per_second: shape.bytes_per_second }
    }

    /// Nothing is cut or burdened any more; what the ways are like stays.
    pub fn heal(&mut self) {
        self.mute.clear();
        self.deaf.clear();
        self.cut.clear();
        self.burdens.clear();
    }
}

/// When packets of one direction leave: in their order, and no faster than the way is wide.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Instant>,
    free: Option<Instant>,
}

impl Pace {
    /// When a packet of `bytes` that came at `now` is due, if it arrives at all.
    pub fn due(&mut self, now: Instant, fate: Fate, bytes: usize) -> Option<Instant> {
        let Fate::Arrives { after, overtakes, bytes_per_second } = fate else { return None };
        let mut begins = now;
        if let Some(width) = bytes_per_second {
            begins = self.free.map_or(now, |free| free.max(now));
            let takes = Duration::from_secs_f64(bytes as f64 / width.max(1) as f64);
            self.free = Some(begins + takes);
            begins += takes;
        }
        let due = begins + after;
        match overtakes {
            Overtakes::Others => Some(due),
            Overtakes::Nobody => {
                let due = self.last.map_or(due, |last| last.max(due));
                self.last = Some(due);
                Some(due)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn ways_and_burdens_add_up() {
        let [a, b] = ["a", "b"].map(|name| name.parse::<NodeName>().unwrap());
        let mut matrix = Matrix { usual: Shape::delay(MS), ..Matrix::default() };
        matrix.ways.insert((a.clone(), b.clone()), Shape::delay(10 * MS));
        let burden = Shape { loss: 0.5, bytes_per_second: Some(9), ..Shape::delay(5 * MS) };
        matrix.burdens.insert(b.clone(), burden);
        let there = matrix.shape(&Way { from: Some(a.clone()), to: Some(b.clone()) }).unwrap();
        let back = matrix.shape(&Way { from: Some(b), to: Some(a) }).unwrap();
        assert_eq!((there.delay, back.delay), (15 * MS, 6 * MS));
        assert_eq!((there.loss, back.bytes_per_second), (0.5, Some(9)));
        matrix.heal();
        assert!(matrix.burdens.is_empty() && matrix.ways.len() == 1);
    }

    #[test]
    fn packets_keep_their_order_and_a_narrow_way_holds_them_up() {
        let now = Instant::now();
        let fate = |after, overtakes, bytes_per_second| Fate::Arrives {
            after,
            overtakes,
            bytes_per_second,
        };
        let mut pace = Pace::default();
        let slow = pace.due(now, fate(9 * MS, Overtakes::Nobody, None), 1);
        let quick = pace.due(now, fate(MS, Overtakes::Nobody, None), 1);
        let rude = pace.due(now, fate(MS, Overtakes::Others, None), 1);
        assert_eq!([slow, quick, rude], [Some(now + 9 * MS), Some(now + 9 * MS), Some(now + MS)]);
        let mut pace = Pace::default();
        let narrow = |pace: &mut Pace| pace.due(now, fate(MS, Overtakes::Nobody, Some(1000)), 100);
        assert_eq!(narrow(&mut pace), Some(now + 101 * MS));
        assert_eq!(narrow(&mut pace), Some(now + 201 * MS));
        assert_eq!(pace.due(now, Fate::Lost, 1), None);
    }
}
