//! The autopilot at work: look, decide, change, look again. Only while this node leads.
//!
//! It never waits inside a decision: whether a learner has caught up is read off the replication
//! metrics at the next look, since openraft itself calls a learner ready that is thousands of
//! entries behind.

use std::sync::Arc;
use std::time::Duration;

use model::Moment;
use tokio::time::MissedTickBehavior;

use super::{Candidate, Learner, Rules, Seats, Step, next_step};
use crate::error::ChangeError;
use crate::group::Group;

/// How often the leader looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one change may take before the next look; it may still complete afterwards.
const CHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// Who is listed in the mesh, and who of them is seen alive.
pub trait Roster: Send + Sync + 'static {
    /// Every listed node, this one included; nothing while the roster is not known yet.
    fn candidates(&self) -> Vec<Candidate>;
}

/// Keeps the group in shape until dropped. `clock` tells the moments that the roster uses.
pub async fn run(
    group: Group,
    roster: Arc<dyn Roster>,
    rules: Rules,
    clock: impl Fn() -> Moment + Send,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(view) = look(&group, &*roster, rules) else { continue };
        let Some(step) = next_step(clock(), &view) else { continue };
        match obey(&group, step).await {
            Ok(()) => tracing::info!(?step, "changed the voters"),
            Err(error) => tracing::warn!(?step, %error, "could not change the voters yet"),
        }
    }
}

/// What this node sees, if it leads and its quorum is with it.
fn look(group: &Group, roster: &dyn Roster, rules: Rules) -> Option<Seats> {
    let role = group.role();
    let candidates = roster.candidates();
    if !role.quorum_acked_recently || candidates.is_empty() {
        return None;
    }
    let learner = |instance| Learner { instance, matched: group.matched(instance).unwrap_or(0) };
    Some(Seats {
        me: group.me(),
        voters: role.voters,
        learners: role.learners.into_iter().map(learner).collect(),
        joint: role.joint,
        committed: role.committed,
        candidates,
        rules,
    })
}

async fn obey(group: &Group, step: Step) -> Result<(), ChangeError> {
    match step {
        Step::Settle => group.settle(CHANGE_DEADLINE).await,
        Step::AddLearner(peer) => group.add_learner(peer, CHANGE_DEADLINE).await,
        Step::Promote(peer) => group.promote(peer, CHANGE_DEADLINE).await,
        Step::Remove(peer) => group.remove(peer, CHANGE_DEADLINE).await,
    }
}
