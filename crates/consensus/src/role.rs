//! What part a node plays in its group right now, read off openraft's metrics.
//!
//! A reading, never a promise: by the time it is looked at, another node may lead. Whoever needs
//! certainty asks [`Group::confirm_leadership`](crate::Group::confirm_leadership).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Instance;
use openraft::ServerState;
use openraft::error::Fatal;
use tokio::sync::watch;

use crate::raft::Metrics;

/// A node's part in the group.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Role {
    /// Whether its vote counts.
    pub voter: bool,
    /// Who leads, as far as it knows; it may name a leader that died a moment ago.
    pub leader: Option<Instance>,
    /// Whether it leads. A leader cut off from its quorum still does, see `quorum_acked_recently`.
    pub leads: bool,
    /// The present term.
    pub term: u64,
    /// Whose votes count, itself included if so.
    pub voters: Vec<Instance>,
    /// Who receives the log without a vote.
    pub learners: Vec<Instance>,
    /// Whether the membership is between two sets of voters.
    pub joint: bool,
    /// The index up to which it knows the log to be agreed.
    pub committed: u64,
    /// The index up to which Raft has applied the log here; the machine may be further.
    pub applied: u64,
    /// Whether it leads and a quorum answered it within the longest election timeout.
    pub quorum_acked_recently: bool,
    /// Whether the group has stopped, for instance because the disk failed.
    pub stopped: bool,
}

impl Role {
    /// The role that `metrics` describe. `patience` is how old a quorum's answer may be.
    pub(crate) fn of(metrics: &Metrics, committed: u64, patience: Duration) -> Role {
        let membership = metrics.membership_config.membership();
        let voters: Vec<Instance> = membership.voter_ids().map(Instance).collect();
        Role {
            voter: voters.contains(&Instance(metrics.id)),
            leader: metrics.current_leader.map(Instance),
            leads: metrics.state == ServerState::Leader,
            term: metrics.current_term,
            voters,
            learners: membership.learner_ids().map(Instance).collect(),
            joint: membership.get_joint_config().len() > 1,
            committed,
            applied: metrics.last_applied.map_or(0, |id| id.index),
            quorum_acked_recently: quorum_acked(metrics, patience),
            stopped: metrics.running_state.is_err() || metrics.state == ServerState::Shutdown,
        }
    }

    /// Whether only positions differ, which change with every command.
    pub(crate) fn same_seat(&self, other: &Role) -> bool {
        let Role { committed, applied, .. } = *other;
        Role { committed, applied, ..self.clone() } == *other
    }
}

/// Whether these are the metrics of a leader that a quorum answered within `patience`.
pub(crate) fn quorum_acked(metrics: &Metrics, patience: Duration) -> bool {
    let acked = metrics.millis_since_quorum_ack.map(Duration::from_millis);
    metrics.state == ServerState::Leader && acked.is_some_and(|since| since <= patience)
}

/// Publishes the role whenever it changes, for as long as openraft runs.
pub(crate) async fn publish(
    mut metrics: watch::Receiver<Metrics>,
    seats: watch::Sender<Role>,
    committed: Arc<AtomicU64>,
    patience: Duration,
) {
    loop {
        let committed = committed.load(Ordering::Acquire);
        let role = {
            let now = metrics.borrow_and_update();
            match &now.running_state {
                Ok(()) | Err(Fatal::Stopped) => {}
                Err(reason) => tracing::error!(%reason, "the raft group stopped for good"),
            }
            Role::of(&now, committed, patience)
        };
        seats.send_if_modified(|seat| {
            let moved = !seat.same_seat(&role);
            *seat = role;
            moved
        });
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_no_change_of_seat() {
        let role = Role { term: 4, leads: true, ..Role::default() };
        assert!(role.same_seat(&Role { committed: 9, applied: 8, ..role.clone() }));
        assert!(!role.same_seat(&Role { term: 5, ..role.clone() }));
        assert!(!role.same_seat(&Role { quorum_acked_recently: true, ..role.clone() }));
    }
}
