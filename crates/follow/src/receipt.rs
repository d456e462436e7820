//! Receipt: how far a committed command has come, as the root of the tree hears it from below.

use std::time::Duration;

use futures_util::future::{Either, select};
use model::{Level, LogPosition, Moment, NodeName};

use crate::Follow;

/// While waiting, who is alive is asked again this often: a node that died meanwhile is not waited
/// for.
const LIVENESS: Duration = Duration::from_millis(200);

/// What is known when the wait is over.
pub(crate) struct Reached {
    /// The level.
    pub(crate) level: Level,
    /// Who applied it, and after how many milliseconds.
    pub(crate) applied: Vec<(NodeName, u64)>,
    /// Live nodes that are not known to have.
    pub(crate) pending: Vec<NodeName>,
}

/// Waits until every live node has applied `position`, if `level` asks for it, but not beyond
/// `deadline`.
pub(crate) async fn wait(
    node: &Follow,
    position: LogPosition,
    level: Level,
    began: Moment,
    deadline: Moment,
) -> Reached {
    let mut reached = Reached { level: Level::Committed, applied: Vec::new(), pending: Vec::new() };
    if level == Level::Committed {
        return reached;
    }
    loop {
        let live = live(node);
        reached.look(node, position, began, &live);
        if reached.pending.is_empty() {
            reached.level = Level::Applied;
            return reached;
        }
        let left = node.left_until(deadline);
        if left == Duration::ZERO || !node.group.role().leads {
            return reached;
        }
        let pending = reached.pending.len();
        let fewer = || (node.pending(position, &live).len() < pending).then_some(());
        match select(node.heard.until(fewer), node.host.sleep(left.min(LIVENESS))).await {
            Either::Left(_) | Either::Right(_) => {}
        }
    }
}

fn live(node: &Follow) -> Vec<NodeName> {
    let alive = node.members.peers().into_iter().filter(|peer| peer.alive);
    alive.map(|peer| peer.name).collect()
}

impl Reached {
    fn look(&mut self, node: &Follow, position: LogPosition, began: Moment, live: &[NodeName]) {
        self.pending = node.pending(position, live);
        let took = node.host.now().since(began);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        for name in live {
            let known = self.applied.iter().any(|(applied, _)| applied == name);
            if !known && !self.pending.contains(name) {
                self.applied.push((name.clone(), took_ms));
            }
        }
    }
}
