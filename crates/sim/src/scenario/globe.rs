//! The globe: large meshes whose regions stand in a circle, and where nothing goes wrong.

use std::time::Duration;

use consensus::Timings;
use model::{Member, Tier, Tiers};

use super::pace::Pace;
use super::{Heralds, Level, Profile, Scenario, VOTERS, member};
use crate::dice::Dice;
use crate::tree::Voters;

/// Milliseconds from one end of a region to the other.
const WITHIN_MS: u64 = 3;
/// Milliseconds to the next region, and to the farthest.
const BETWEEN_MS: [u64; 2] = [20, 120];
/// Milliseconds that nodes may serve without hearing of later purges.
const LEASE_MS: u32 = 10_000;

/// A mesh of equal regions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Globe {
    /// What is real.
    pub(crate) level: Level,
    /// How many regions there are.
    pub(crate) regions: usize,
    /// Regionals in each; one of them votes where a voter stands.
    pub(crate) regionals: usize,
    /// Edges in each.
    pub(crate) edges: usize,
    /// Where voters stand.
    pub(crate) voters: Voters,
}

impl Globe {
    /// 450 nodes.
    pub(crate) fn whole(voters: Voters) -> Globe {
        Globe { level: Level::L0, regions: 15, regionals: 2, edges: 28, voters }
    }

    /// Who stands where, voters first.
    fn kinds(self) -> Vec<(usize, &'static str, Tiers)> {
        let inner = Tiers::only(Tier::Regional).and(Tier::Shield);
        let middle = Tiers::only(Tier::Regional);
        let voting: [usize; VOTERS] = match self.voters {
            Voters::Near => [0, 1, 2],
            Voters::Apart => [0, 1, 2].map(|third| third * self.regions / VOTERS),
        };
        let others = (0..self.regions).flat_map(|region| {
            let vote = voting.iter().filter(|voting| **voting == region).count();
            std::iter::repeat_n((region, "middle", middle), self.regionals.saturating_sub(vote))
        });
        let edge = Tiers::only(Tier::Edge);
        let edges = (0..self.regions)
            .flat_map(|region| std::iter::repeat_n((region, "edge", edge), self.edges));
        let voters = voting.map(|region| (region, "voter", inner));
        voters.into_iter().chain(others).chain(edges).collect()
    }

    fn delay(self, one: usize, other: usize) -> Duration {
        let around = one.abs_diff(other).min(self.regions - one.abs_diff(other)) as u64;
        let farthest = (self.regions / 2) as u64;
        let [near, far] = BETWEEN_MS;
        Duration::from_millis(match around {
            0 => WITHIN_MS,
            _ => near + (around - 1) * (far - near) / (farthest - 1).max(1),
        })
    }
}

impl Scenario {
    /// A mesh where nothing goes wrong.
    pub(crate) fn globe(globe: Globe, dice: &mut Dice) -> Scenario {
        let kinds = globe.kinds();
        let named = |(number, (region, kind, tiers)): (usize, (usize, &str, Tiers))| {
            member(number, &format!("r{region}"), kind, tiers, dice)
        };
        let members: Vec<Member> = kinds.iter().copied().enumerate().map(named).collect();
        let row = |one| (0..globe.regions).map(|other| globe.delay(one, other)).collect();
        let calm = Scenario::draw(globe.level, Profile::Calm, dice);
        Scenario {
            rates: vec![1.0; members.len()],
            places: kinds.iter().map(|(region, ..)| *region).collect(),
            members,
            delays: (0..globe.regions).map(row).collect(),
            pace: Pace::of(globe.level, LEASE_MS),
            lease_ms: LEASE_MS,
            timings: Timings::wan(),
            heralds: Heralds::Heard,
            ..calm
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_globe_has_as_many_nodes_as_it_says_and_its_voters_stand_where_they_should() {
        for (voters, expect) in [(Voters::Near, [0, 1, 2]), (Voters::Apart, [0, 5, 10])] {
            let scenario = Scenario::globe(Globe::whole(voters), &mut Dice::new(1));
            assert_eq!((scenario.members.len(), scenario.regions()), (450, 15));
            assert_eq!([0, 1, 2].map(|voter| scenario.region_of(voter)), expect);
            let tiers = |tier| scenario.members.iter().filter(|m| m.tiers.contains(tier)).count();
            assert_eq!((tiers(Tier::Regional), tiers(Tier::Edge)), (30, 420));
            let delays = [0, 1, 7, 8, 14].map(|region| scenario.latency(0, region).as_millis());
            assert_eq!(delays, [3, 20, 120, 120, 20]);
        }
    }
}
