//! Receipt: how far a committed command has come, as the root of the tree hears it from below.
//!
//! Every live node that applied it makes it `applied`; that nobody who did not can serve any more
//! makes it `fenced`. Gossip's opinion of who is alive never counts for the second (R11).

use std::time::Duration;

use futures_util::future::{Either, select};
use model::{Level, LogPosition, Moment, NodeName};
use wire::log::Reach;

use crate::Follow;

/// While waiting, the clock and who is alive are looked at this often.
const LOOK: Duration = Duration::from_millis(200);

/// How far a command has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progressed {
    /// Where it stands in the log.
    pub position: LogPosition,
    /// The level reached, which may be less than was waited for.
    pub level: Level,
    /// From the leader's receipt of it to commit.
    pub committed: Duration,
    /// Until nobody could serve what it covers any more.
    pub fenced: Option<Duration>,
    /// Nodes that had applied it when this was written, and after how long.
    pub applied: Vec<(NodeName, Duration)>,
    /// Live nodes that had not.
    pub pending: Vec<NodeName>,
    /// Nodes that had not, and can serve nothing since their lease expired.
    pub expired: Vec<NodeName>,
    /// Responses cut off while it spread.
    pub cut: u64,
}

impl Progressed {
    pub(crate) fn of(reach: Reach) -> Progressed {
        let Reach { position, level, committed_ms, fenced_ms, applied, pending, expired, cut } =
            reach;
        let applied = applied.into_iter().map(|(node, ms)| (node, Duration::from_millis(ms)));
        Progressed {
            position,
            level,
            committed: Duration::from_millis(committed_ms),
            fenced: fenced_ms.map(Duration::from_millis),
            applied: applied.collect(),
            pending,
            expired,
            cut,
        }
    }
}

/// What a receipt's times and counts start from.
#[derive(Clone, Copy)]
pub(crate) struct Began {
    /// When the leader received the command.
    pub(crate) at: Moment,
    /// How long until it was committed.
    pub(crate) committed: Duration,
    /// Responses that everybody had cut off by then.
    pub(crate) cut: u64,
}

impl Began {
    /// Of a command that is in the log already: from its commit, as far as it is remembered.
    pub(crate) fn of(node: &Follow, position: LogPosition) -> Began {
        let (committed, _) = node.fence.times(position);
        let at = committed.unwrap_or(node.host.now());
        Began { at, committed: Duration::ZERO, cut: node.cut_by_all() }
    }
}

/// Waits until the command at `position` has come as far as `level`, but not beyond `deadline`, nor
/// after this node lost office.
pub(crate) async fn wait(
    node: &Follow,
    position: LogPosition,
    level: Level,
    began: Began,
    deadline: Moment,
) -> Reach {
    loop {
        if has_come(node, position, level) {
            return write(node, position, began);
        }
        let left = node.left_until(deadline);
        if left == Duration::ZERO || !node.group.role().leads {
            return write(node, position, began);
        }
        let come = || has_come(node, position, level).then_some(());
        let signal = match level {
            Level::Committed | Level::Applied => &node.fence.changed,
            Level::Fenced => &node.fence.risen,
        };
        match select(signal.until(come), node.host.sleep(left.min(LOOK))).await {
            Either::Left(_) => {}
            Either::Right(_) => drop(node.look_for_fenced()),
        }
    }
}

fn has_come(node: &Follow, position: LogPosition, level: Level) -> bool {
    match level {
        Level::Committed => true,
        Level::Applied => pending(node, position).is_empty(),
        Level::Fenced => node.fence.fenced() >= position,
    }
}

fn pending(node: &Follow, position: LogPosition) -> Vec<NodeName> {
    let alive = node.members.peers().into_iter().filter(|peer| peer.alive);
    let live: Vec<NodeName> = alive.map(|peer| peer.name).collect();
    node.pending(position, &live)
}

fn write(node: &Follow, position: LogPosition, began: Began) -> Reach {
    let mut pending = pending(node, position);
    let fenced = node.fence.fenced() >= position;
    let mut expired = Vec::new();
    if fenced {
        let state = node.replica.state();
        let names: Vec<NodeName> = state.roster().map(|member| member.name.clone()).collect();
        expired = node.pending(position, &names);
        pending.clear();
    }
    let level = match (fenced, pending.is_empty()) {
        (true, _) => Level::Fenced,
        (false, true) => Level::Applied,
        (false, false) => Level::Committed,
    };
    let (_, fenced_at) = node.fence.times(position);
    let fenced_at = fenced_at.filter(|_| fenced);
    Reach {
        position,
        level,
        committed_ms: millis(began.committed),
        fenced_ms: fenced_at.map(|at| millis(at.since(began.at))),
        applied: node.applied_by(position, began.at),
        pending,
        expired,
        cut: node.cut_by_all().saturating_sub(began.cut),
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
