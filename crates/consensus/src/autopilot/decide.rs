//! The decision itself: pure, so that a table can hold every case.
//!
//! A voter is *fit* while the roster lists it, its tiers allow a vote and it is not gone. The group
//! wants a number of fit voters; short of it a newcomer comes in, above it or beside it whoever is
//! not fit goes out. The number is checked again after every step.

use std::cmp::Reverse;

use model::{Instance, Moment, Region};

use super::{Candidate, Learner, Seats, Step};

/// The next change worth making at `now`, if any.
pub fn next_step(now: Moment, view: &Seats) -> Option<Step> {
    let alive = view.voters.iter().filter(|voter| view.is_alive(**voter)).count();
    if alive < quorum(view.voters.len()) {
        return None;
    }
    if view.joint {
        return Some(Step::Settle);
    }
    if let Some(junk) = view.learners.iter().find(|learner| !view.is_fit(now, learner.instance)) {
        return Some(Step::Remove(junk.instance));
    }
    let fit: Vec<&Candidate> = view.fit_voters(now);
    let wanted = view.wanted();
    let step = match fit.len() < wanted {
        true => view.newcomer(&fit, wanted),
        false => view.leaver(now, &fit, wanted).map(Step::Remove).or_else(|| view.idle_learner()),
    };
    step.or_else(|| view.out_of_even(now, &fit, wanted))
}

const fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl Seats {
    /// How many voters the roster calls for.
    fn wanted(&self) -> usize {
        let listed = self.candidates.iter().filter(|candidate| candidate.may_vote).count();
        let able = self.candidates.iter().filter(|candidate| self.is_able(candidate)).count();
        let voters = self.voters.len();
        match listed {
            0..3 => 1,
            _ if able >= 7 || (able >= 5 && voters >= 4) => 5,
            _ if able >= 3 || voters >= 2 => 3,
            _ => 1,
        }
    }

    /// Adds or promotes somebody, if somebody is there; `None` also while a learner catches up.
    fn newcomer(&self, fit: &[&Candidate], wanted: usize) -> Option<Step> {
        let replaces = fit.len() < self.voters.len();
        let alone = replaces || self.voters.len().is_multiple_of(2);
        let needed = if alone { 1 } else { 2.min(wanted - fit.len()) };
        let mut spread: Vec<&Region> = fit.iter().map(|voter| &voter.region).collect();
        let mut chosen: Vec<&Learner> = Vec::new();
        while chosen.len() < needed {
            let taken = |instance| chosen.iter().any(|learner| learner.instance == instance);
            let free = |learner: &&Learner| !taken(learner.instance);
            let learners = self.learners.iter().filter(free);
            let learning = learners.filter_map(|learner| {
                let candidate = self.candidate(learner.instance)?;
                self.is_able(candidate).then_some((candidate, learner))
            });
            let (candidate, learner) =
                learning.min_by_key(|(candidate, _)| rank(&spread, candidate)).map_or_else(
                    || (self.outsider(&spread), None),
                    |(candidate, learner)| (Some(candidate), Some(learner)),
                );
            match learner {
                None => return candidate.map(|candidate| Step::AddLearner(candidate.instance)),
                Some(learner) => chosen.push(learner),
            }
            spread.extend(candidate.map(|candidate| &candidate.region));
        }
        let ready = |learner: &&&Learner| {
            learner.matched.saturating_add(self.rules.lag_max) >= self.committed
        };
        let all_ready = chosen.iter().filter(ready).count() == chosen.len();
        all_ready.then(|| Step::Promote(chosen[0].instance))
    }

    /// The best able node that is no member yet.
    fn outsider(&self, spread: &[&Region]) -> Option<&Candidate> {
        let outside = self.candidates.iter().filter(|candidate| {
            let learns = self.learners.iter().any(|one| one.instance == candidate.instance);
            self.is_able(candidate) && !learns && !self.voters.contains(&candidate.instance)
        });
        outside.min_by_key(|candidate| rank(spread, candidate))
    }

    /// Whoever is not fit goes first, then whoever is too many; this leader last of all.
    fn leaver(&self, now: Moment, fit: &[&Candidate], wanted: usize) -> Option<Instance> {
        let mut unfit: Vec<Instance> = self.voters.clone();
        unfit.retain(|voter| !self.is_fit(now, *voter));
        unfit.sort_by_key(|voter| (*voter == self.me, self.is_alive(*voter), *voter));
        let surplus = || (fit.len() > wanted).then(|| self.most_crowded(fit)).flatten();
        let leaver = unfit.first().copied().or_else(surplus)?;
        self.may_lose(leaver).then_some(leaver)
    }

    /// A voter of the region that has most; never this leader.
    fn most_crowded(&self, fit: &[&Candidate]) -> Option<Instance> {
        let crowd = |region: &Region| fit.iter().filter(|voter| voter.region == *region).count();
        let others = fit.iter().filter(|voter| voter.instance != self.me);
        let key = |voter: &&&Candidate| (!voter.alive, crowd(&voter.region), voter.instance);
        others.max_by_key(key).map(|voter| voter.instance)
    }

    /// A learner that nobody needs any more.
    fn idle_learner(&self) -> Option<Step> {
        let last = self.learners.iter().map(|learner| learner.instance).max_by_key(|one| *one);
        last.map(Step::Remove)
    }

    /// With an even count and nobody to add, one voter less survives as many failures.
    fn out_of_even(&self, now: Moment, fit: &[&Candidate], wanted: usize) -> Option<Step> {
        let waiting = fit.len() < wanted && !self.learners.is_empty();
        let calm =
            self.voters.iter().all(|voter| self.is_alive(*voter) || !self.is_fit(now, *voter));
        if self.voters.len() % 2 == 1 || waiting || !calm {
            return None;
        }
        let leaver = self.leaver(now, fit, fit.len().saturating_sub(1))?;
        Some(Step::Remove(leaver))
    }

    /// Whether a quorum of what remains would be alive.
    fn may_lose(&self, leaver: Instance) -> bool {
        let rest = self.voters.iter().filter(|voter| **voter != leaver);
        let alive = rest.filter(|voter| self.is_alive(**voter)).count();
        let remaining = self.voters.len() - 1;
        remaining > 0 && alive >= quorum(remaining)
    }

    fn fit_voters(&self, now: Moment) -> Vec<&Candidate> {
        let fit = self.voters.iter().filter(|voter| self.is_fit(now, **voter));
        fit.filter_map(|voter| self.candidate(*voter)).collect()
    }

    /// Listed, allowed to vote, and not dead for long.
    fn is_fit(&self, now: Moment, instance: Instance) -> bool {
        self.candidate(instance).is_some_and(|candidate| {
            let gone =
                !self.is_alive(instance) && now.since(candidate.since) > self.rules.gone_after;
            candidate.may_vote && !gone
        })
    }

    /// Allowed to vote and alive.
    fn is_able(&self, candidate: &Candidate) -> bool {
        candidate.may_vote && self.is_alive(candidate.instance)
    }

    /// The leader that decides is alive, whatever gossip says of it.
    fn is_alive(&self, instance: Instance) -> bool {
        instance == self.me || self.candidate(instance).is_some_and(|candidate| candidate.alive)
    }

    fn candidate(&self, instance: Instance) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.instance == instance)
    }
}

/// Lower is better: few voters in its region, then the smaller instance.
fn rank(spread: &[&Region], candidate: &Candidate) -> (usize, Reverse<()>, Instance) {
    let neighbours = spread.iter().filter(|region| ***region == candidate.region).count();
    (neighbours, Reverse(()), candidate.instance)
}
