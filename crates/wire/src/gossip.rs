//! What a node says of itself in gossip: a handful of short key-value pairs, as chitchat carries
//! them.
//!
//! Gossip is hearsay: it decides where to try first, never what is true. Unknown keys are skipped,
//! so that newer nodes may say more.

use std::net::SocketAddr;
use std::time::Duration;

use model::{LogPosition, Tier};

/// Requests answered by one tier of one node, and how many of them from its own cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests that came to this tier.
    pub requests: u64,
    /// Of these, answered from this node's cache.
    pub hits: u64,
}

/// Hits that a node had judged again, and how many of them it should not have served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Canary {
    /// Hits judged.
    pub samples: u64,
    /// Of these, old ones.
    pub violations: u64,
}

/// What a lease's age is rounded up to: every change of a fact costs the whole mesh a little.
const LEASE_GRAIN_MS: u128 = 500;

/// A node's facts about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The log applied.
    pub applied: LogPosition,
    /// Whether it votes in the Raft group.
    pub votes: bool,
    /// The term in which it leads, if it does.
    pub leads: Option<u64>,
    /// Requests in flight, in coarse steps.
    pub load: u64,
    /// Where viewers reach it.
    pub http: Option<SocketAddr>,
    /// Where operators reach it.
    pub admin: Option<SocketAddr>,
    /// Per tier in rank order.
    pub served: [Served; 3],
    /// How old its lease is, if it holds one.
    pub lease: Option<Duration>,
    /// What the canary found.
    pub canary: Canary,
    /// The newest protocol it speaks; programs before protocol 3 do not say.
    pub protocol: Option<u16>,
}

impl Facts {
    /// The facts as pairs; a value that went away is the empty string.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let address = |given: Option<SocketAddr>| given.map(|a| a.to_string()).unwrap_or_default();
        let served = Tier::ALL.map(|tier| {
            let Served { requests, hits } = self.served[tier as usize];
            format!("{hits}/{requests}")
        });
        let lease = |age: Duration| {
            let grains = age.as_millis().div_ceil(LEASE_GRAIN_MS);
            (grains * LEASE_GRAIN_MS).to_string()
        };
        let Canary { samples, violations } = self.canary;
        vec![
            ("applied", self.applied.packed().to_string()),
            ("votes", u8::from(self.votes).to_string()),
            ("leads", self.leads.map(|term| term.to_string()).unwrap_or_default()),
            ("load", self.load.to_string()),
            ("http", address(self.http)),
            ("admin", address(self.admin)),
            ("served", served.join(" ")),
            ("lease", self.lease.map(lease).unwrap_or_default()),
            ("canary", format!("{violations}/{samples}")),
            ("protocol", self.protocol.map(|newest| newest.to_string()).unwrap_or_default()),
        ]
    }

    /// Reads what a peer says; a value that does not parse is as good as unsaid.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Facts {
        let mut facts = Facts::default();
        for (key, value) in pairs {
            match key {
                "applied" => {
                    facts.applied = LogPosition::from_packed(value.parse().unwrap_or_default());
                }
                "votes" => facts.votes = value == "1",
                "leads" => facts.leads = value.parse().ok(),
                "load" => facts.load = value.parse().unwrap_or_default(),
                "http" => facts.http = value.parse().ok(),
                "admin" => facts.admin = value.parse().ok(),
                "served" => facts.served = read_served(value),
                "lease" => facts.lease = value.parse().ok().map(Duration::from_millis),
                "canary" => facts.canary = read_canary(value),
                "protocol" => facts.protocol = value.parse().ok(),
                _ => {}
            }
        }
        facts
    }
}

fn read_served(value: &str) -> [Served; 3] {
    let mut served = [Served::default(); 3];
    for (slot, word) in served.iter_mut().zip(value.split(' ')) {
        let (hits, requests) = word.split_once('/').unwrap_or_default();
        slot.hits = hits.parse().unwrap_or_default();
        slot.requests = requests.parse().unwrap_or_default();
    }
    served
}

fn read_canary(value: &str) -> Canary {
    let (violations, samples) = value.split_once('/').unwrap_or_default();
    Canary {
        samples: samples.parse().unwrap_or_default(),
        violations: violations.parse().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_back_as_they_were_said() {
        let facts = Facts {
            applied: LogPosition::new(2, 40),
            votes: true,
            leads: Some(3),
            load: 10,
            http: "127.0.0.1:80".parse().ok(),
            admin: None,
            served: [Served { requests: 10, hits: 7 }, Served::default(), Served::default()],
            lease: Some(Duration::from_millis(1500)),
            canary: Canary { samples: 12, violations: 1 },
            protocol: Some(3),
        };
        let pairs = facts.pairs();
        assert_eq!(Facts::read(pairs.iter().map(|(key, value)| (*key, value.as_str()))), facts);
    }

    #[test]
    fn the_age_of_a_lease_is_said_in_steps_and_never_too_young() {
        for (age, said) in [(0, "0"), (1, "500"), (500, "500"), (501, "1000")] {
            let facts = Facts { lease: Some(Duration::from_millis(age)), ..Facts::default() };
            assert!(facts.pairs().contains(&("lease", said.to_owned())), "{age}");
        }
        assert!(Facts::default().pairs().contains(&("lease", String::new())));
    }

    #[test]
    fn nonsense_is_as_good_as_unsaid() {
        let said = [
            ("applied", "x"),
            ("served", "9"),
            ("http", "nowhere"),
            ("new", "thing"),
            ("lease", "-1"),
        ];
        assert_eq!(Facts::read(said), Facts::default());
    }
}
