//! Figures: what was measured in a tree, by scope, over several seeds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ScopeKind, Seen};

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Nodes in the tree.
    pub nodes: usize,
    /// How long a purge may take while a node is silent: a little more than a lease.
    pub wait: Duration,
    /// By what the purges covered.
    pub scopes: BTreeMap<ScopeKind, Measured>,
    /// While one node was cut off, for each seed.
    pub cut_off: Vec<CutOff>,
}

/// What was measured of some purges.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// For each purge and node: until the purge was in effect there.
    pub in_effect: Vec<Duration>,
    /// For each purge: until the last node had applied it.
    pub applied: Vec<Duration>,
    /// For each purge: what light and one disk would allow for that.
    pub bound: Vec<Duration>,
    /// For each purge: until its caller knew that it is fenced.
    pub fenced: Vec<Duration>,
}

/// Until a purge was fenced while one node was cut off.
#[derive(Clone, Copy, Debug)]
pub struct CutOff {
    /// Counted from its call.
    pub called: Duration,
    /// Counted from its commit.
    pub committed: Duration,
}

impl Figures {
    pub(super) fn of(nodes: usize, wait: Duration) -> Figures {
        Figures { nodes, wait, ..Figures::default() }
    }

    pub(super) fn note(&mut self, kind: ScopeKind, seen: &Seen) {
        let measured = self.scopes.entry(kind).or_default();
        measured.in_effect.extend(&seen.in_effect);
        measured.applied.push(seen.applied);
        measured.bound.push(seen.bound);
        measured.fenced.push(seen.fenced);
    }

    /// Adds what another seed said.
    pub fn add(&mut self, other: Figures) {
        (self.nodes, self.wait) = (other.nodes, other.wait);
        for (kind, measured) in other.scopes {
            self.scopes.entry(kind).or_default().add(&measured);
        }
        self.cut_off.extend(other.cut_off);
    }

    /// All scopes together.
    pub fn all(&self) -> Measured {
        let mut all = Measured::default();
        self.scopes.values().for_each(|measured| all.add(measured));
        all
    }
}

impl Measured {
    fn add(&mut self, other: &Measured) {
        self.in_effect.extend(&other.in_effect);
        self.applied.extend(&other.applied);
        self.bound.extend(&other.bound);
        self.fenced.extend(&other.fenced);
    }

    /// How many times what is possible it took until the last node had applied each purge.
    pub fn of_bound(&self) -> impl Iterator<Item = f64> {
        let pairs = self.applied.iter().zip(&self.bound);
        pairs.map(|(took, bound)| took.as_secs_f64() / bound.as_secs_f64().max(1e-3))
    }
}

/// The value that so many of a hundred do not exceed.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_a_hundred_do_not_exceed_a_percentile() {
        let values: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        for (percent, expect) in [(0, 1), (50, 100), (99, 198), (100, 200)] {
            assert_eq!(percentile(&values, percent), Duration::from_millis(expect), "{percent}");
        }
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
