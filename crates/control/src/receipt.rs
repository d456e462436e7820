//! How far commands have come: who had applied what when, as the root of the log tree heard it.
//!
//! Nothing is kept per command: positions only rise, so each node's timeline answers for all of
//! them, however many there were.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::{LogPosition, Moment, NodeName};

/// When a rising position reached which height: a bounded number of samples, the oldest forgotten.
#[derive(Clone, Debug)]
pub struct Timeline {
    samples: VecDeque<(LogPosition, Moment)>,
    grain: Duration,
    samples_max: usize,
}

impl Timeline {
    /// Keeps at most `samples_max` samples, and of those closer than `grain` only the later one.
    pub fn new(grain: Duration, samples_max: usize) -> Timeline {
        Timeline { samples: VecDeque::new(), grain, samples_max }
    }

    /// `position` was reached at `now`, or some time before.
    pub fn note(&mut self, position: LogPosition, now: Moment) {
        if position <= self.reached() {
            return;
        }
        let second = self.samples.len().checked_sub(2).and_then(|at| self.samples.get(at));
        let close = second.is_some_and(|(_, before)| now.since(*before) < self.grain);
        if close || self.samples.len() >= self.samples_max {
            match close {
                true => self.samples.pop_back(),
                false => self.samples.pop_front(),
            };
        }
        self.samples.push_back((position, now));
    }

    /// The highest position reached.
    pub fn reached(&self) -> LogPosition {
        self.samples.back().map_or(LogPosition::ZERO, |(position, _)| *position)
    }

    /// The latest moment at which `position` may have been reached; nothing if it was not, or so
    /// long ago that it is forgotten.
    pub fn when(&self, position: LogPosition) -> Option<Moment> {
        let at = self.samples.partition_point(|(reached, _)| *reached < position);
        let forgotten = at == 0 && self.samples.len() >= self.samples_max;
        self.samples.get(at).filter(|_| !forgotten).map(|(_, moment)| *moment)
    }

    /// The highest position that was surely reached by `moment`.
    pub fn reached_by(&self, moment: Moment) -> LogPosition {
        let after = self.samples.partition_point(|(_, noted)| *noted <= moment);
        let last = after.checked_sub(1).and_then(|at| self.samples.get(at));
        last.map_or(LogPosition::ZERO, |(position, _)| *position)
    }
}

/// Samples kept of each node.
const SAMPLES_MAX: usize = 512;
/// Between two samples of a node.
const GRAIN: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
struct Node {
    applied: Timeline,
    cut: u64,
}

impl Default for Node {
    fn default() -> Self {
        Node { applied: Timeline::new(GRAIN, SAMPLES_MAX), cut: 0 }
    }
}

/// What the root of the log tree knows of everybody's applied position.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    epoch: u16,
    nodes: BTreeMap<NodeName, Node>,
}

impl Progress {
    /// The mesh goes on in `epoch`: what was heard of positions in those before it, and what will
    /// be, is about another log (R17).
    pub fn enter(&mut self, epoch: u16) {
        if self.epoch < epoch {
            self.epoch = epoch;
            let forget = |node: &mut Node| *node = Node { cut: node.cut, ..Node::default() };
            self.nodes.values_mut().for_each(forget);
        }
    }

    /// Notes that `node` has applied up to `position`, and cut off so many responses since it
    /// started. What is known only rises, so that news which took a detour through a former parent
    /// changes nothing. A node that starts anew has an empty cache, and the next purge stands
    /// beyond whatever was known of it.
    pub fn note(&mut self, node: NodeName, position: LogPosition, cut: u64, now: Moment) {
        let known = self.nodes.entry(node).or_default();
        if position.epoch() >= self.epoch {
            known.applied.note(position, now);
        }
        known.cut = known.cut.max(cut);
    }

    /// Forgets those that are no longer in the roster.
    pub fn retain(&mut self, belongs: impl Fn(&NodeName) -> bool) {
        self.nodes.retain(|node, _| belongs(node));
    }

    /// The last position heard of `node`.
    pub fn of(&self, node: &NodeName) -> Option<LogPosition> {
        self.nodes.get(node).map(|known| known.applied.reached())
    }

    /// When `node` was first heard to have applied `position`.
    pub fn when(&self, node: &NodeName, position: LogPosition) -> Option<Moment> {
        self.nodes.get(node)?.applied.when(position)
    }

    /// Everyone heard of: what it has applied, and how many responses it has cut off.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeName, LogPosition, u64)> {
        self.nodes.iter().map(|(node, known)| (node, known.applied.reached(), known.cut))
    }

    /// Responses cut off by everyone heard of.
    pub fn cut(&self) -> u64 {
        self.nodes.values().map(|known| known.cut).sum()
    }

    /// Those of `live` that are not known to have applied `position`.
    pub fn pending<'a>(
        &self,
        position: LogPosition,
        live: impl IntoIterator<Item = &'a NodeName>,
    ) -> Vec<NodeName> {
        let behind = |node: &&NodeName| self.of(node).is_none_or(|applied| applied < position);
        live.into_iter().filter(behind).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn at(index: u64) -> LogPosition {
        LogPosition::new(0, index)
    }

    fn ms(millis: u64) -> Moment {
        Moment::START.plus(Duration::from_millis(millis))
    }

    #[test]
    fn late_news_through_a_former_parent_turns_nothing_back() {
        let node: NodeName = "a".parse().unwrap();
        let mut progress = Progress::default();
        progress.note(node.clone(), at(5), 2, ms(10));
        progress.note(node.clone(), at(3), 1, ms(20));
        assert_eq!(progress.of(&node), Some(at(5)));
        assert_eq!(progress.when(&node, at(4)), Some(ms(10)));
        assert_eq!(progress.cut(), 2);
    }

    #[test]
    fn what_is_applied_of_a_log_that_was_recovered_is_not_applied_of_the_next() {
        let node: NodeName = "a".parse().unwrap();
        let mut progress = Progress::default();
        progress.note(node.clone(), at(9), 0, ms(1));
        progress.enter(1);
        assert_eq!(progress.pending(at(5), [&node]), slice::from_ref(&node), "heard before");
        progress.note(node.clone(), at(9), 1, ms(2));
        assert_eq!(progress.pending(at(5), [&node]), slice::from_ref(&node), "heard late");
        progress.note(node.clone(), LogPosition::new(1, 6), 1, ms(3));
        assert_eq!(progress.pending(at(5), [&node]), []);
        assert_eq!((progress.when(&node, at(5)), progress.cut()), (Some(ms(3)), 1));
    }

    #[test]
    fn a_node_never_heard_of_is_pending() {
        let [a, b, c] = ["a", "b", "c"].map(|name| name.parse::<NodeName>().unwrap());
        let mut progress = Progress::default();
        progress.note(a.clone(), at(5), 0, ms(1));
        progress.note(b.clone(), at(4), 0, ms(1));
        let live = [a, b.clone(), c.clone()];
        assert_eq!(progress.pending(at(5), &live), [b, c]);
        assert_eq!(progress.pending(at(4), &live).len(), 1);
    }

    #[test]
    fn a_timeline_answers_late_rather_than_early() {
        let mut timeline = Timeline::new(Duration::from_millis(5), 3);
        for (index, millis) in [(1, 0), (2, 10), (3, 12), (4, 14), (5, 30)] {
            timeline.note(at(index), ms(millis));
        }
        assert_eq!(timeline.when(at(3)), Some(ms(14)), "merged with its neighbour");
        assert_eq!(timeline.when(at(6)), None);
        assert_eq!(timeline.reached_by(ms(29)), at(4));
        assert_eq!(timeline.reached_by(ms(30)), at(5));
        timeline.note(at(6), ms(50));
        assert_eq!(timeline.when(at(1)), None, "forgotten, not said to be later");
        assert_eq!(timeline.when(at(5)), Some(ms(30)));
    }
}
