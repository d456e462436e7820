//! The decision itself: pure, so that a table can hold every case.
//!
//! A node is *fit* while the roster lists it, its tiers allow a vote and it is not gone; it is
//! *able* while it is also alive. The group wants a number of fit voters. Short of it an able node
//! comes in, otherwise whoever is not fit, or too many, goes out. Every step is decided anew.

use model::{Instance, Moment, Region};

use super::{Candidate, Learner, Seats, Step};

/// The next change worth making at `now`, if any.
pub fn next_step(now: Moment, view: &Seats) -> Option<Step> {
    if view.joint {
        return Some(Step::Settle);
    }
    let alive = view.voters.iter().filter(|voter| view.is_alive(**voter)).count();
    if alive < quorum(view.voters.len()) {
        return None;
    }
    if let Some(stranger) = view.learners.iter().find(|one| view.candidate(one.instance).is_none())
    {
        return Some(Step::Remove(stranger.instance));
    }
    let fit = view.fit_voters(now);
    let wanted = view.wanted(now);
    if fit.len() < wanted {
        let leaver = || view.out_of_even(now, &fit).map(Step::Remove);
        return view.newcomer(&fit, wanted).or_else(leaver);
    }
    view.leaver(now, &fit, wanted).or_else(|| view.idle()).map(Step::Remove)
}

const fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl Seats {
    /// How many voters the roster calls for. Five are reached with living nodes only, but kept
    /// while nobody is gone for good, so that a restart does not shrink the group.
    fn wanted(&self, now: Moment) -> usize {
        let count = |counts: &dyn Fn(&Candidate) -> bool| {
            self.candidates.iter().filter(|candidate| counts(candidate)).count()
        };
        let listed = count(&|candidate| candidate.may_vote);
        let fit = count(&|candidate| self.is_fit(now, candidate.instance));
        let able = count(&|candidate| self.is_able(candidate));
        match self.voters.len() {
            _ if listed < 3 => 1,
            _ if able >= 7 => 5,
            4.. if fit >= 5 => 5,
            2.. => 3,
            _ if able >= 3 => 3,
            _ => 1,
        }
    }

    /// Adds or promotes somebody; nothing while a learner catches up or nobody is able. From an
    /// odd count, two learners are brought up to date before the first is promoted.
    fn newcomer(&self, fit: &[&Candidate], wanted: usize) -> Option<Step> {
        let replaces = fit.len() < self.voters.len();
        let completes = self.voters.len().is_multiple_of(2);
        let needed = if replaces || completes { 1 } else { 2.min(wanted - fit.len()) };
        let mut regions: Vec<&Region> = fit.iter().map(|voter| &voter.region).collect();
        let mut learning: Vec<&Learner> = Vec::new();
        for _ in 0..needed {
            let Some((candidate, learner)) = self.able_learner(&regions, &learning) else {
                let outsider = self.able_outsider(&regions)?;
                return Some(Step::AddLearner(outsider.instance));
            };
            regions.push(&candidate.region);
            learning.push(learner);
        }
        let ready = learning.iter().all(|learner| self.has_the_log(learner));
        learning.first().filter(|_| ready).map(|learner| Step::Promote(learner.instance))
    }

    fn able_learner(
        &self,
        regions: &[&Region],
        besides: &[&Learner],
    ) -> Option<(&Candidate, &Learner)> {
        let others = self.learners.iter().filter(|learner| !besides.contains(learner));
        let able = others.filter_map(|learner| {
            let candidate = self.candidate(learner.instance)?;
            self.is_able(candidate).then_some((candidate, learner))
        });
        able.min_by_key(|(candidate, _)| rank(regions, candidate))
    }

    fn able_outsider(&self, regions: &[&Region]) -> Option<&Candidate> {
        let outsiders = self.candidates.iter().filter(|candidate| {
            let learns = self.learners.iter().any(|one| one.instance == candidate.instance);
            self.is_able(candidate) && !learns && !self.voters.contains(&candidate.instance)
        });
        outsiders.min_by_key(|candidate| rank(regions, candidate))
    }

    /// Whoever is not fit goes first, then whoever is too many; this leader last of all.
    fn leaver(&self, now: Moment, fit: &[&Candidate], wanted: usize) -> Option<Instance> {
        let unfit = self.voters.iter().copied().filter(|voter| !self.is_fit(now, *voter));
        let order = |voter: &Instance| (*voter == self.me, self.is_alive(*voter), *voter);
        let surplus = || self.most_crowded(fit).filter(|_| fit.len() > wanted);
        unfit.min_by_key(order).or_else(surplus).filter(|leaver| self.may_lose(*leaver))
    }

    /// With an even count and nobody in sight to add, one voter less survives as many failures.
    fn out_of_even(&self, now: Moment, fit: &[&Candidate]) -> Option<Instance> {
        let hope = self.candidates.iter().any(|candidate| {
            let outside = !self.voters.contains(&candidate.instance);
            self.is_fit(now, candidate.instance) && (outside || !self.is_alive(candidate.instance))
        });
        let stuck = self.voters.len().is_multiple_of(2) && !hope;
        stuck.then(|| self.leaver(now, fit, fit.len().saturating_sub(1))).flatten()
    }

    /// A dead voter, or one of the region that has most; never this leader.
    fn most_crowded(&self, fit: &[&Candidate]) -> Option<Instance> {
        let crowd = |region: &Region| fit.iter().filter(|voter| voter.region == *region).count();
        let others = fit.iter().filter(|voter| voter.instance != self.me);
        let order = |voter: &&&Candidate| {
            (!self.is_alive(voter.instance), crowd(&voter.region), voter.instance)
        };
        others.max_by_key(order).map(|voter| voter.instance)
    }

    /// Whether a quorum of what remains would be alive.
    fn may_lose(&self, leaver: Instance) -> bool {
        let rest = self.voters.iter().filter(|voter| **voter != leaver);
        let alive = rest.filter(|voter| self.is_alive(**voter)).count();
        let remaining = self.voters.len() - 1;
        remaining > 0 && alive >= quorum(remaining)
    }

    /// A learner that is no longer needed. One that lost its vote while it was dead stays until it
    /// has heard so: else it would come back and stand for election for ever.
    fn idle(&self) -> Option<Instance> {
        let told =
            |learner: &&Learner| self.is_alive(learner.instance) && self.has_the_log(learner);
        self.learners.iter().filter(told).map(|learner| learner.instance).max()
    }

    fn has_the_log(&self, learner: &Learner) -> bool {
        learner.matched.saturating_add(self.rules.lag_max) >= self.committed
    }

    fn fit_voters(&self, now: Moment) -> Vec<&Candidate> {
        let fit = self.voters.iter().filter(|voter| self.is_fit(now, **voter));
        fit.filter_map(|voter| self.candidate(*voter)).collect()
    }

    fn is_fit(&self, now: Moment, instance: Instance) -> bool {
        self.candidate(instance).is_some_and(|candidate| {
            let gone_after = self.rules.gone_after;
            let gone = !self.is_alive(instance) && now.since(candidate.since) > gone_after;
            candidate.may_vote && !gone
        })
    }

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
fn rank(regions: &[&Region], candidate: &Candidate) -> (usize, Instance) {
    let neighbours = regions.iter().filter(|region| ***region == candidate.region).count();
    (neighbours, candidate.instance)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::autopilot::Rules;

    const NOW: Moment = Moment::at(Duration::from_secs(1_000));
    const COMMITTED: u64 = 10_000;

    /// What it is about, the voters, the learners and how far behind, the roster, the step.
    type Case<'a> = (&'a str, &'a [u64], &'a [(u64, u64)], &'a str, Option<Step>);

    /// One word per node: its number, its region, then `!` dead for long, `?` dead since a moment,
    /// `-` not allowed to vote.
    fn seats(voters: &[u64], learners: &[(u64, u64)], roster: &str) -> Seats {
        let candidates = roster.split_whitespace().map(|word| {
            let plain = word.trim_end_matches(['!', '?', '-']);
            let (number, region) = plain.split_at(plain.find(char::is_alphabetic).unwrap());
            let since = if word.contains('!') { 900 } else { 990 };
            Candidate {
                instance: Instance(number.parse().unwrap()),
                region: region.parse().unwrap(),
                may_vote: !word.contains('-'),
                alive: !word.contains(['!', '?']),
                since: Moment::at(Duration::from_secs(since)),
            }
        });
        let learner = |(number, behind): &(u64, u64)| Learner {
            instance: Instance(*number),
            matched: COMMITTED - behind,
        };
        Seats {
            me: Instance(1),
            voters: voters.iter().copied().map(Instance).collect(),
            learners: learners.iter().map(learner).collect(),
            joint: false,
            committed: COMMITTED,
            candidates: candidates.collect(),
            rules: Rules::default(),
        }
    }

    fn add(number: u64) -> Option<Step> {
        Some(Step::AddLearner(Instance(number)))
    }

    fn promote(number: u64) -> Option<Step> {
        Some(Step::Promote(Instance(number)))
    }

    fn remove(number: u64) -> Option<Step> {
        Some(Step::Remove(Instance(number)))
    }

    #[test]
    fn one_step_is_chosen_for_every_view() {
        let cases: &[Case] = &[
            ("alone", &[1], &[], "1a", None),
            ("two nodes, one voter", &[1], &[], "1a 2a", None),
            ("grow, other region first", &[1], &[], "1a 2a 3b", add(3)),
            ("grow in pairs", &[1], &[(3, 0)], "1a 2a 3b", add(2)),
            ("wait for both", &[1], &[(2, 900), (3, 0)], "1a 2a 3b", None),
            ("both are ready", &[1], &[(2, 64), (3, 0)], "1a 2a 3b", promote(3)),
            ("one behind by one too many", &[1], &[(2, 65), (3, 0)], "1a 2a 3b", None),
            ("then the other", &[1, 3], &[(2, 10)], "1a 2a 3b", promote(2)),
            ("three are enough for six", &[1, 2, 3], &[], "1a 2b 3c 4a 5b 6c", None),
            ("seven call for five", &[1, 2, 3], &[], "1a 2b 3c 4a 5b 6c 7d", add(7)),
            ("five stay while five can", &[1, 2, 3, 4, 5], &[], "1a 2a 3a 4a 5a", None),
            ("a restart shrinks nothing", &[1, 2, 3, 4, 5], &[], "1a 2a 3a 4a 5a?", None),
            ("four of five left", &[1, 2, 3, 4, 5], &[], "1a 2a 3a 4a 5a!", remove(5)),
            ("and on to three", &[1, 2, 3, 4], &[], "1a 2b 3b 4a 5a!", remove(4)),
            ("pure edges never vote", &[1], &[], "1a 2a- 3b-", None),
            ("the dead are not chosen", &[1], &[], "1a 2a 3a 4b? 5b!", add(2)),
            ("a dead voter, a spare", &[1, 2, 3], &[], "1a 2b 3c! 4b 5c", add(5)),
            ("replaced before removed", &[1, 2, 3], &[(5, 0)], "1a 2b 3c! 4b 5c", promote(5)),
            ("the spare is behind", &[1, 2, 3], &[(5, 65)], "1a 2b 3c! 4b 5c", None),
            ("then removed", &[1, 2, 3, 5], &[], "1a 2b 3c! 4b 5c", remove(3)),
            ("dead, but not for long", &[1, 2, 3], &[], "1a 2b 3c? 4b 5c", None),
            ("dead, and no spare", &[1, 2, 3], &[], "1a 2b 3c!", None),
            ("gone from the roster at once", &[1, 2, 3], &[], "1a 2b 4c", add(4)),
            ("a voter that may not vote", &[1, 2, 3], &[], "1a 2b 3c- 4c", add(4)),
            ("is removed once replaced", &[1, 2, 3, 4], &[], "1a 2b 3c- 4c", remove(3)),
            ("the roster shrank", &[1, 2, 3], &[], "1a 2b", remove(3)),
            ("and on to one", &[1, 2], &[], "1a 2b", remove(2)),
            ("no quorum", &[1, 2, 3], &[], "1a 2b! 3c! 4a 5b", None),
            ("never below a living quorum", &[1, 2, 3, 4, 5], &[], "1a 2b 3c- 4a? 5b?", None),
            ("even and no hope", &[1, 2], &[], "1a 2b 3c!", remove(2)),
            ("even, the third is restarting", &[1, 2], &[], "1a 2b 3c?", None),
            ("a learner to be told", &[1, 2, 3], &[(4, 900)], "1a 2b 3c 4a!", None),
            ("that hears it", &[1, 2, 3], &[(4, 900)], "1a 2b 3c 4a", None),
            ("and is idle then", &[1, 2, 3], &[(4, 0)], "1a 2b 3c 4a", remove(4)),
            ("a learner nobody lists", &[1, 2, 3], &[(4, 900)], "1a 2b 3c", remove(4)),
            ("a learner dead for a moment", &[1], &[(2, 0), (3, 0)], "1a 2a? 3b 4a", add(4)),
            ("this leader left the roster", &[1, 2, 3], &[], "2b 3c 4a", add(4)),
            ("and goes last", &[1, 2, 3, 4, 5], &[], "2b 3c 4a 6a", remove(5)),
        ];
        for (what, voters, learners, roster, expect) in cases {
            let view = seats(voters, learners, roster);
            assert_eq!(next_step(NOW, &view), *expect, "{what}");
        }
    }

    #[test]
    fn a_half_done_change_is_completed_first() {
        let view = Seats { joint: true, ..seats(&[1, 2, 3], &[], "1a 2b 3c! 4c") };
        assert_eq!(next_step(NOW, &view), Some(Step::Settle));
    }

    /// Obeys until nothing is left to do; a learner has the log at once.
    fn settle(mut view: Seats) -> Vec<u64> {
        for _ in 0..50 {
            let Some(step) = next_step(NOW, &view) else {
                return view.voters.iter().map(|voter| voter.0).collect();
            };
            match step {
                Step::Settle => view.joint = false,
                Step::AddLearner(instance) => {
                    view.learners.push(Learner { instance, matched: COMMITTED });
                }
                Step::Promote(instance) => {
                    view.learners.retain(|learner| learner.instance != instance);
                    view.voters.push(instance);
                }
                Step::Remove(instance) => {
                    view.learners.retain(|learner| learner.instance != instance);
                    if view.voters.contains(&instance) {
                        view.voters.retain(|voter| *voter != instance);
                        view.learners.push(Learner { instance, matched: COMMITTED });
                    }
                }
            }
        }
        unreachable!("the steps never end: {view:?}")
    }

    #[test]
    fn the_steps_end_at_an_odd_count_spread_over_the_regions() {
        let cases: &[(&[u64], &str, &[u64])] = &[
            (&[1], "1a 2a 3a 4b 5c", &[1, 4, 5]),
            (&[1], "1a 2a 3a 4a 5b 6b 7b", &[1, 5, 2, 6, 3]),
            (&[1, 2, 3], "1a 2a! 3b 4a 5c", &[1, 3, 5]),
            (&[1, 2, 3, 4, 5], "1a 2a! 3b! 4a 5c", &[1, 4, 5]),
            (&[1, 2, 3], "1a", &[1, 2, 3]),
            (&[1, 2], "1a 2b 3c!", &[1]),
        ];
        for (voters, roster, expect) in cases {
            assert_eq!(settle(seats(voters, &[], roster)), *expect, "{roster}");
        }
    }
}
