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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::RwLock;

    use model::{Instance, Region};
    use tokio::time::Instant;

    use super::*;
    use crate::mesh::Links;

    /// Everybody in one region; who is dead, and since when.
    struct Town {
        everybody: Vec<Instance>,
        dead: RwLock<BTreeSet<Instance>>,
        since: RwLock<Moment>,
    }

    impl Roster for Town {
        fn candidates(&self) -> Vec<Candidate> {
            let region: Region = "town".parse().unwrap();
            let dead = self.dead.read().unwrap();
            let candidate = |instance: &Instance| Candidate {
                instance: *instance,
                region: region.clone(),
                may_vote: true,
                alive: !dead.contains(instance),
                since: *self.since.read().unwrap(),
            };
            self.everybody.iter().map(candidate).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_founder_gets_company_and_a_dead_voter_a_successor() {
        let links = Links::default();
        let mut nodes = Vec::new();
        for number in 1..=4 {
            nodes.push(links.node(number).await);
        }
        nodes[0].group.bootstrap().await.unwrap();
        let start = Instant::now();
        let clock = move || Moment::at(start.elapsed());
        let roster = Arc::new(Town {
            everybody: nodes.iter().map(|node| node.me).collect(),
            dead: RwLock::default(),
            since: RwLock::new(Moment::START),
        });
        let rules = Rules { gone_after: Duration::from_secs(30), lag_max: 8 };
        let pilots: Vec<_> = nodes
            .iter()
            .map(|node| tokio::spawn(run(node.group.clone(), roster.clone(), rules, clock)))
            .collect();
        let three = |role: &crate::Role| role.voters.len() == 3 && !role.joint;
        let role = nodes[0].until("three voters", three).await;
        assert_eq!(role.voters, [Instance(1), Instance(2), Instance(3)]);

        let lost = nodes.remove(2);
        *roster.since.write().unwrap() = clock();
        roster.dead.write().unwrap().insert(lost.me);
        links.cut(lost.me);
        let early = clock().plus(rules.gone_after);
        let replaced = [Instance(1), Instance(2), Instance(4)];
        let mut changes = nodes[0].group.changes();
        let successor = changes.wait_for(|role| role.voters == replaced && !role.joint);
        tokio::time::timeout(rules.gone_after * 2, successor).await.unwrap().unwrap();
        assert!(clock() > early, "a seat was given away too early");
        for pilot in pilots {
            pilot.abort();
        }
    }
}
