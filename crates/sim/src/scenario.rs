//! The scenario: everything that a seed decides before the first event.
//!
//! Who is in the mesh, how far apart they are, what the site looks like, and how much goes wrong.
//! It is drawn once and never changes.

mod pace;
mod globe;

use std::time::Duration;

use consensus::Timings;
use model::{Instance, Member, Region, Tier, Tiers};

use crate::content::Site;
use crate::dice::Dice;

pub(crate) use globe::Globe;

use pace::Pace;

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Nothing: the network is slow and viewers are many, that is all.
    Calm,
    /// Now and then a node dies or stands still, a link is cut, the leader moves, the origin
    /// stumbles. Clocks drift.
    Ordinary,
    /// All of that, much of the time and several at once.
    Heavy,
    /// Seldom, but then a whole region at once.
    Correlated,
    /// Directed: an edge dies, purges are fenced without it, and it comes back with its cache, cut
    /// off from all others, while viewers ask it.
    Comeback,
    /// Directed: a voter falls behind, the others are lost with their disks, and the mesh goes on
    /// by force with what that one has; the lost ones join anew.
    Recovery,
}

impl Profile {
    /// The profiles of chance, mildest first.
    pub const ALL: [Profile; 4] =
        [Profile::Calm, Profile::Ordinary, Profile::Heavy, Profile::Correlated];
    /// The profiles that direct one course of events, for what chance brings about too seldom.
    pub const DIRECTED: [Profile; 2] = [Profile::Comeback, Profile::Recovery];

    /// The profile's name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Ordinary => "ordinary",
            Profile::Heavy => "heavy",
            Profile::Correlated => "correlated",
            Profile::Comeback => "comeback",
            Profile::Recovery => "recovery",
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is real in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Both stories of every node, on a pretend Raft group and pretend gossip: many nodes, a
    /// quarter of an hour.
    L0,
    /// The same on the real openraft and chitchat: few nodes, half a minute.
    L1,
}

impl Level {
    /// Both.
    pub const ALL: [Level; 2] = [Level::L0, Level::L1];

    /// The level's name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::L0 => "l0",
            Level::L1 => "l1",
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How often the origin stumbles, in percent of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stumbles {
    /// No answer at all.
    pub(crate) refused: usize,
    /// The body breaks off.
    pub(crate) cut: usize,
}

/// What a seed decided.
pub(crate) struct Scenario {
    /// What is real.
    pub(crate) level: Level,
    /// How much goes wrong.
    pub(crate) profile: Profile,
    /// How fast things happen.
    pub(crate) pace: Pace,
    /// The nodes; those that vote come first.
    pub(crate) members: Vec<Member>,
    /// How fast the clock of each node runs.
    pub(crate) rates: Vec<f64>,
    /// The region of each node, by number.
    places: Vec<usize>,
    /// One-way latency from each region to each.
    delays: Vec<Vec<Duration>>,
    /// What is left of caches when a process dies.
    pub(crate) caches: Caches,
    /// What of the followed log a dead process leaves behind.
    pub(crate) shelves: Shelves,
    /// The site behind the mesh.
    pub(crate) site: Site,
    /// How long viewers come.
    pub(crate) open_for: Duration,
    /// How long everybody rests afterwards, with all faults healed.
    pub(crate) rest: Duration,
    /// Entries that one node's store holds.
    pub(crate) store_entries_max: usize,
    /// How often the origin stumbles.
    pub(crate) stumbles: Stumbles,
    /// How patient voters are.
    pub(crate) timings: Timings,
    /// How long nodes may serve without hearing of later purges.
    pub(crate) lease_ms: u32,
    /// What becomes of purges that run ahead of the log.
    pub(crate) heralds: Heralds,
}

/// What becomes of purges that run ahead of the log: they may be lost, since nothing rests on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heralds {
    /// They arrive.
    Heard,
    /// Not one arrives.
    Lost,
}

/// What is left of a cache when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caches {
    /// Nothing.
    Cold,
    /// The copies, but nothing that was known about them.
    Warm,
}

/// What of the followed log a dead process leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelves {
    /// All of it.
    Whole,
    /// Now and then the last entries are lost.
    Torn,
}

/// Where nodes may stand.
pub(crate) const REGIONS: [&str; 3] = ["eu", "us", "ap"];
/// Nodes that vote.
pub(crate) const VOTERS: usize = 3;

impl Scenario {
    /// What `dice` decide under `profile`.
    pub(crate) fn draw(level: Level, profile: Profile, dice: &mut Dice) -> Scenario {
        let regions = dice.within(1..=REGIONS.len());
        let stumbles = match profile {
            Profile::Calm => Stumbles { refused: 0, cut: 0 },
            Profile::Ordinary | Profile::Correlated | Profile::Comeback | Profile::Recovery => {
                Stumbles { refused: 1, cut: 3 }
            }
            Profile::Heavy => Stumbles { refused: 3, cut: 8 },
        };
        let roomy = profile == Profile::Calm || dice.chance(50);
        let members = match level {
            Level::L0 => tree(regions, dice),
            Level::L1 => members(regions, dice),
        };
        let lease_ms = match level {
            Level::L0 => *dice.pick(&[1_000, 2_000, 5_000, 10_000]),
            Level::L1 => *dice.pick(&[1_000, 2_000, 3_000, 5_000]),
        };
        let (open_for, rest) = match level {
            Level::L0 => (Duration::from_secs(860), Duration::from_secs(40)),
            Level::L1 => (Duration::from_secs(12), Duration::from_secs(20)),
        };
        Scenario {
            level,
            profile,
            pace: Pace::of(level, lease_ms),
            rates: members.iter().map(|_| rate(profile, dice)).collect(),
            places: members.iter().map(place).collect(),
            members,
            delays: delays(dice),
            caches: match dice.chance(50) && profile != Profile::Comeback {
                true => Caches::Cold,
                false => Caches::Warm,
            },
            shelves: if dice.chance(50) { Shelves::Whole } else { Shelves::Torn },
            site: Site::draw(level, dice),
            open_for,
            rest,
            store_entries_max: if roomy { 1_000 } else { dice.within(3..=12) },
            stumbles,
            timings: timings(regions, dice),
            lease_ms,
            heralds: if dice.chance(50) { Heralds::Heard } else { Heralds::Lost },
        }
    }

    /// How many regions there may be nodes in.
    pub(crate) fn regions(&self) -> usize {
        self.delays.len()
    }

    /// One-way latency between two regions, or within one.
    pub(crate) fn latency(&self, one: usize, other: usize) -> Duration {
        self.delays[one][other]
    }

    /// The number of the region in which `node` stands.
    pub(crate) fn region_of(&self, node: usize) -> usize {
        self.places[node]
    }

    /// The nodes that serve viewers.
    pub(crate) fn edges(&self) -> impl Iterator<Item = usize> {
        let serves = |node: &usize| self.members[*node].tiers.contains(Tier::Edge);
        (0..self.members.len()).filter(serves)
    }

    /// How long nodes may serve without hearing of later purges.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(u64::from(self.lease_ms))
    }
}

/// The number of the region of a member.
fn place(member: &Member) -> usize {
    REGIONS.iter().position(|name| *name == member.region.as_str()).unwrap_or(0)
}

/// One to five milliseconds within a region, 20 to 120 between two.
fn delays(dice: &mut Dice) -> Vec<Vec<Duration>> {
    let near: [Duration; REGIONS.len()] = std::array::from_fn(|_| dice.millis(1..=5));
    let far: [Duration; REGIONS.len()] = std::array::from_fn(|_| dice.millis(20..=120));
    let delay = |one: usize, other: usize| match one == other {
        true => near[one],
        false => far[one + other - 1],
    };
    let all = 0..REGIONS.len();
    all.clone().map(|one| all.clone().map(|other| delay(one, other)).collect()).collect()
}

/// Three voters, up to six regionals, up to 24 edges; mostly few.
fn tree(regions: usize, dice: &mut Dice) -> Vec<Member> {
    let (regionals, edges) = match dice.below(20) {
        0 => (6, 24),
        1..=5 => (dice.within(2..=4), dice.within(5..=10)),
        _ => (dice.within(0..=2), dice.within(2..=5)),
    };
    let inner = Tiers::only(Tier::Regional).and(Tier::Shield);
    let voters = (0..VOTERS).map(|at| (at % regions, "voter", inner));
    let middle = (0..regionals).map(|at| (at % regions, "middle", Tiers::only(Tier::Regional)));
    let outer = (0..edges).map(|at| (at % regions, "edge", Tiers::only(Tier::Edge)));
    let kinds: Vec<(usize, &str, Tiers)> = voters.chain(middle).chain(outer).collect();
    let kinds = kinds.into_iter().enumerate();
    kinds
        .map(|(number, (region, kind, tiers))| member(number, REGIONS[region], kind, tiers, dice))
        .collect()
}

/// Clocks are wrong by up to a tenth, which is what all promises allow for.
fn rate(profile: Profile, dice: &mut Dice) -> f64 {
    match profile {
        Profile::Calm => 1.0,
        Profile::Ordinary
        | Profile::Heavy
        | Profile::Correlated
        | Profile::Comeback
        | Profile::Recovery => dice.within(900..=1_100) as f64 / 1_000.0,
    }
}

/// Voters of several regions bear the longest round trip there is. Half of all groups take a
/// snapshot every few entries, so that nodes which were away get one.
fn timings(regions: usize, dice: &mut Dice) -> Timings {
    let near = Timings::lan();
    let far = Timings {
        heartbeat: Duration::from_millis(300),
        election_min: Duration::from_millis(900),
        election_max: Duration::from_millis(1_800),
        ..near
    };
    let snapshot_every_entries = *dice.pick(&[20, near.snapshot_every_entries]);
    Timings { snapshot_every_entries, ..if regions == 1 { near } else { far } }
}

/// Half of all meshes are of equal nodes with every tier, the others have nodes for each tier.
fn members(regions: usize, dice: &mut Dice) -> Vec<Member> {
    let layered = Tiers::only(Tier::Edge);
    let mut kinds: Vec<(usize, &str, Tiers)> = Vec::new();
    if dice.chance(50) {
        let nodes = dice.within(VOTERS..=6);
        kinds.extend((0..nodes).map(|at| (at % regions, "node", Tiers::ALL)));
    } else {
        for region in 0..regions {
            let inner = match dice.chance(50) {
                true => [Tiers::only(Tier::Regional), Tiers::only(Tier::Shield)],
                false => [Tiers::only(Tier::Regional).and(Tier::Shield); 2],
            };
            kinds.extend(inner.map(|tiers| (region, "inner", tiers)));
        }
        if regions == 1 {
            kinds.push((0, "inner", Tiers::only(Tier::Regional).and(Tier::Shield)));
        }
        for region in 0..regions {
            kinds.extend((0..dice.within(1..=3)).map(|_| (region, "edge", layered)));
        }
    }
    let mut members = Vec::new();
    for (number, (region, kind, tiers)) in kinds.into_iter().enumerate() {
        members.push(member(number, REGIONS[region], kind, tiers, dice));
    }
    members
}

fn member(number: usize, region: &str, kind: &str, tiers: Tiers, dice: &mut Dice) -> Member {
    let port = 7_000 + u16::try_from(number).expect("a mesh of the simulator has few nodes");
    Member {
        name: format!("{region}-{kind}-{number}").parse().expect("a DNS label"),
        instance: Instance(dice.roll()),
        region: region.parse::<Region>().expect("a DNS label"),
        tiers,
        // A tenth of the ordinary: rings that are built quickly.
        capacity: 10,
        address: ([127, 0, 0, 1], port).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mesh_has_voters_edges_and_somebody_for_every_tier() {
        for (seed, level) in (0..300).flat_map(|seed| Level::ALL.map(|level| (seed, level))) {
            let scenario = Scenario::draw(level, Profile::Calm, &mut Dice::new(seed));
            let voters = &scenario.members[..VOTERS];
            assert!(voters.iter().all(|member| member.tiers.may_vote()), "seed {seed}");
            assert!(scenario.edges().count() > 0, "seed {seed}");
            for tier in Tier::ALL {
                let serves = |member: &Member| member.tiers.contains(tier);
                assert!(scenario.members.iter().any(serves), "seed {seed} has no {tier}");
            }
        }
    }
}
