//! How far a command has come: which live nodes have applied it, which have not.

use std::collections::BTreeMap;

use model::{LogPosition, NodeName};

/// What the root of the log tree knows of everybody's applied position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    applied: BTreeMap<NodeName, LogPosition>,
}

impl Progress {
    /// Notes that `node` has applied up to `position`. What is known only rises, so that news which
    /// took a detour through a former parent changes nothing. A node that starts anew has an empty
    /// cache, and the next purge stands beyond whatever was known of it.
    pub fn note(&mut self, node: NodeName, position: LogPosition) {
        let known = self.applied.entry(node).or_default();
        *known = position.max(*known);
    }

    /// Forgets those that are no longer in the roster.
    pub fn retain(&mut self, belongs: impl Fn(&NodeName) -> bool) {
        self.applied.retain(|node, _| belongs(node));
    }

    /// The last position heard of `node`.
    pub fn of(&self, node: &NodeName) -> Option<LogPosition> {
        self.applied.get(node).copied()
    }

    /// Everyone heard of.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeName, LogPosition)> {
        self.applied.iter().map(|(node, position)| (node, *position))
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
    use super::*;

    #[test]
    fn late_news_through_a_former_parent_turns_nothing_back() {
        let node: NodeName = "a".parse().unwrap();
        let mut progress = Progress::default();
        progress.note(node.clone(), LogPosition::new(0, 5));
        progress.note(node.clone(), LogPosition::new(0, 3));
        assert_eq!(progress.of(&node), Some(LogPosition::new(0, 5)));
    }

    #[test]
    fn a_node_never_heard_of_is_pending() {
        let [a, b, c] = ["a", "b", "c"].map(|name| name.parse::<NodeName>().unwrap());
        let mut progress = Progress::default();
        progress.note(a.clone(), LogPosition::new(0, 5));
        progress.note(b.clone(), LogPosition::new(0, 4));
        let live = [a, b.clone(), c.clone()];
        assert_eq!(progress.pending(LogPosition::new(0, 5), &live), [b, c]);
        assert_eq!(progress.pending(LogPosition::new(0, 4), &live).len(), 1);
    }
}
