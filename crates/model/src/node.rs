//! Nodes: which tiers they serve, and what the roster in the log says of each.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{Invalid, NodeName, Region};

/// A cache tier. The order is the rank: along a request it only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Where viewers connect.
    Edge,
    /// One owner per key and region.
    Regional,
    /// One owner per key and mesh: the only node that should speak to the origin for it.
    Shield,
}

impl Tier {
    /// All tiers in rank order.
    pub const ALL: [Tier; 3] = [Tier::Edge, Tier::Regional, Tier::Shield];

    /// The tier's name as written in configuration and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Edge => "edge",
            Tier::Regional => "regional",
            Tier::Shield => "shield",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A non-empty set of tiers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Tiers(u8);

impl Tiers {
    /// Every tier: the default, one node alone is a whole CDN.
    pub const ALL: Tiers = Tiers(0b111);

    /// The set of exactly `tier`.
    pub const fn only(tier: Tier) -> Tiers {
        Tiers(1 << tier as u8)
    }

    /// This set and `tier`.
    pub const fn and(self, tier: Tier) -> Tiers {
        Tiers(self.0 | 1 << tier as u8)
    }

    /// Whether `tier` is in the set.
    pub const fn contains(self, tier: Tier) -> bool {
        self.0 & (1 << tier as u8) != 0
    }

    /// Whether a node of these tiers may vote in the Raft group. Pure edges never do: they are
    /// many, and face the world.
    pub const fn may_vote(self) -> bool {
        self.contains(Tier::Regional) || self.contains(Tier::Shield)
    }

    /// The members in rank order.
    pub fn iter(self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(move |tier| self.contains(*tier))
    }
}

impl FromStr for Tiers {
    type Err = Invalid;
    fn from_str(given: &str) -> Result<Self, Invalid> {
        let refuse =
            || Invalid::new("tiers", given, "a comma-separated list of edge, regional and shield");
        let mut set = 0;
        for word in given.split(',') {
            let tier = Tier::ALL
                .into_iter()
                .find(|tier| tier.as_str() == word.trim())
                .ok_or_else(refuse)?;
            set |= 1 << tier as u8;
        }
        Ok(Tiers(set))
    }
}

impl TryFrom<Vec<String>> for Tiers {
    type Error = Invalid;
    fn try_from(words: Vec<String>) -> Result<Self, Invalid> {
        words.join(",").parse()
    }
}

impl From<Tiers> for Vec<String> {
    fn from(tiers: Tiers) -> Self {
        tiers.iter().map(|tier| tier.to_string()).collect()
    }
}

impl fmt::Display for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Tier::as_str).collect();
        f.pad(&words.join(","))
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A data directory's identity, drawn at random when it is created: the Raft id of the node that
/// runs on it. A node that lost its directory comes back as another instance, so a forgotten vote
/// can never be cast twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instance(pub u64);

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One line of the roster: who belongs to the mesh, as agreed in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Unique in the mesh; the certificate carries it.
    pub name: NodeName,
    /// The data directory behind the name.
    pub instance: Instance,
    /// Where it stands.
    pub region: Region,
    /// What it serves.
    pub tiers: Tiers,
    /// Share of keys relative to the others; 100 is ordinary, 200 owns twice as many.
    pub capacity: u32,
    /// Where its peers reach it (UDP).
    pub address: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_read_and_print_the_same_words_in_rank_order() {
        let tiers: Tiers = "shield, edge".parse().unwrap();
        assert_eq!(tiers.to_string(), "edge,shield");
        assert!(tiers.contains(Tier::Shield) && !tiers.contains(Tier::Regional));
        for bad in ["", "edge,", "Edge", "origin"] {
            assert!(bad.parse::<Tiers>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pure_edge_never_votes() {
        assert!(!Tiers::only(Tier::Edge).may_vote());
        assert!(Tiers::only(Tier::Shield).may_vote() && Tiers::ALL.may_vote());
    }
}
