//! The walk: the hops that a request may take from here, in the order to try them.
//!
//! Rank only rises: a node asked at one tier asks tiers above it, and the origin last, so there is
//! no loop whatever the views say. At each tier the walk names the first alive owners in ring order
//! up to this node itself; where that is the first of them, the tier is skipped, since this node is
//! that tier for the key. The caller takes the next hop while the last one failed, and stops at the
//! first answer: nothing has to be worked out again after a failure. The walk decides nothing about
//! what counts as one.

use model::limits::TIER_ATTEMPTS_MAX;
use model::{CacheKey, Region, Tier};

use crate::view::{Seat, View};

/// Attempts at each of the two tiers that have owners.
const PEERS_MAX: usize = 2 * TIER_ATTEMPTS_MAX;

/// Whom to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Another node, to be asked at a tier.
    Peer {
        /// Which node.
        seat: Seat,
        /// The rank at which it is asked; its own walk starts above it.
        tier: Tier,
    },
    /// The origin itself: always the last hop.
    Origin,
}

/// The hops left to try. An iterator without allocation.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The peers, and [`Hop::Origin`] from there on.
    hops: [Hop; PEERS_MAX + 1],
    peers: usize,
    taken: usize,
    rank: Tier,
}

/// The walk of `key` for node `me` (`None`: not in the view) in `region`, which was asked at
/// `rank`. Peers that are not `alive` are stepped over; `me` is taken to be alive.
///
/// A peer is named once. One that failed as regional owner is not asked again as shield owner: it
/// has had its attempt at both.
pub fn walk(
    view: &View,
    me: Option<Seat>,
    region: &Region,
    rank: Tier,
    key: &CacheKey,
    alive: impl Fn(Seat) -> bool,
) -> Walk {
    let mut walk = Walk { hops: [Hop::Origin; PEERS_MAX + 1], peers: 0, taken: 0, rank };
    for tier in Tier::ALL.into_iter().filter(|tier| *tier > rank) {
        let owners = view.owners(tier, region, key).iter().copied();
        let mut alive_or_me = owners.clone().filter(|seat| Some(*seat) == me || alive(*seat));
        if walk.peers == 0 && me.is_some() && alive_or_me.next() == me {
            walk.rank = tier;
        }
        // Behind this node itself nobody is asked: once those before it failed, it is the owner.
        let ahead = owners.take_while(|seat| Some(*seat) != me);
        for seat in ahead.filter(|seat| alive(*seat)).take(TIER_ATTEMPTS_MAX) {
            walk.add(seat, tier);
        }
    }
    walk
}

impl Walk {
    /// The highest tier that this node itself is for the key, from the rank at which it was asked
    /// on: where its requests for the key meet, whoever they come from.
    pub const fn rank(&self) -> Tier {
        self.rank
    }

    fn add(&mut self, seat: Seat, tier: Tier) {
        let names = |hop: &Hop| matches!(hop, Hop::Peer { seat: named, .. } if *named == seat);
        if !self.hops[..self.peers].iter().any(names) {
            self.hops[self.peers] = Hop::Peer { seat, tier };
            self.peers += 1;
        }
    }
}

impl Iterator for Walk {
    type Item = Hop;

    fn next(&mut self) -> Option<Hop> {
        let hop = self.hops[..=self.peers].get(self.taken).copied()?;
        self.taken += 1;
        Some(hop)
    }
}

#[cfg(test)]
mod tests {
    use model::LogPosition;
    use proptest::prelude::*;

    use super::*;
    use crate::view::tests::{any_members, member, shuffled};

    /// Four regionals in `eu`, three shields in `us`, and one edge in each.
    fn two_regions() -> View {
        let eu = ["r1", "r2", "r3", "r4"].map(|name| member(name, "eu", "regional", 100));
        let us = ["s1", "s2", "s3"].map(|name| member(name, "us", "shield", 100));
        let edges = [("e1", "eu"), ("e2", "us")].map(|(name, at)| member(name, at, "edge", 100));
        View::build(LogPosition::ZERO, eu.into_iter().chain(us).chain(edges))
    }

    fn key() -> CacheKey {
        CacheKey::of(&[b"/style.css"])
    }

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    /// The walk of node `me` as text, with owners in the order of the key's rings: `R0` is the
    /// regional owner, `S1` the shield owner's first successor.
    fn steps(view: &View, me: Option<Seat>, from: &str, rank: Tier, dead: &[Seat]) -> String {
        let from = region(from);
        let rank_of = |tier, seat| {
            let owners = view.owners(tier, &from, &key());
            owners.iter().position(|owner| *owner == seat).unwrap()
        };
        let name = |hop| match hop {
            Hop::Peer { seat, tier: Tier::Regional } => {
                format!("R{}", rank_of(Tier::Regional, seat))
            }
            Hop::Peer { seat, tier } => format!("S{}", rank_of(tier, seat)),
            Hop::Origin => "origin".to_owned(),
        };
        let hops = walk(view, me, &from, rank, &key(), |seat| !dead.contains(&seat));
        hops.map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_node_that_is_its_own_owner_acts_as_that_tier() {
        let both = ["a", "b", "c"].map(|name| member(name, "eu", "regional,shield", 100));
        let view = View::build(LogPosition::ZERO, both);
        let from = region("eu");
        let owner = view.owners(Tier::Shield, &from, &key())[0];
        let second = view.owners(Tier::Shield, &from, &key())[1];
        let rank = |me: Option<Seat>, rank, dead: &[Seat]| {
            walk(&view, me, &from, rank, &key(), |seat| !dead.contains(&seat)).rank()
        };
        for asked in Tier::ALL {
            assert_eq!(rank(Some(owner), asked, &[]), Tier::Shield, "asked as {asked}");
            assert_eq!(rank(Some(second), asked, &[owner]), Tier::Shield, "the owner is dead");
            assert_eq!(rank(Some(second), asked, &[]), asked, "others own it");
            assert_eq!(rank(None, asked, &[]), asked, "not in the view");
        }
    }

    #[test]
    fn a_walk_names_two_owners_a_tier_and_then_the_origin() {
        let view = two_regions();
        let edge = view.seat_of(&"e1".parse().unwrap());
        let regional = view.owners(Tier::Regional, &region("eu"), &key()).to_vec();
        let shield = view.owners(Tier::Shield, &region("eu"), &key()).to_vec();
        let all = [&regional[..], &shield[..]].concat();
        for (me, from, rank, dead, expect) in [
            (edge, "eu", Tier::Edge, &[][..], "R0 R1 S0 S1 origin"),
            (None, "eu", Tier::Edge, &[], "R0 R1 S0 S1 origin"),
            (edge, "eu", Tier::Regional, &[], "S0 S1 origin"),
            (edge, "eu", Tier::Shield, &[], "origin"),
            (edge, "us", Tier::Edge, &[], "S0 S1 origin"),
            (edge, "mars", Tier::Edge, &[], "S0 S1 origin"),
            (edge, "eu", Tier::Edge, &regional[..1], "R1 R2 S0 S1 origin"),
            (edge, "eu", Tier::Edge, &regional[1..3], "R0 R3 S0 S1 origin"),
            (edge, "eu", Tier::Edge, &regional[..], "S0 S1 origin"),
            (edge, "eu", Tier::Edge, &shield[..2], "R0 R1 S2 origin"),
            (edge, "eu", Tier::Edge, &shield[..], "R0 R1 origin"),
            (edge, "eu", Tier::Edge, &all[..], "origin"),
        ] {
            assert_eq!(steps(&view, me, from, rank, dead), expect, "{from} {rank} {dead:?}");
        }
    }

    #[test]
    fn a_node_never_asks_itself_nor_anyone_behind_it() {
        let view = two_regions();
        let regional = view.owners(Tier::Regional, &region("eu"), &key()).to_vec();
        let shield = view.owners(Tier::Shield, &region("eu"), &key()).to_vec();
        for (me, rank, dead, expect) in [
            (regional[0], Tier::Edge, &[][..], "S0 S1 origin"),
            (regional[1], Tier::Edge, &[], "R0 S0 S1 origin"),
            (regional[2], Tier::Edge, &[], "R0 R1 S0 S1 origin"),
            (regional[1], Tier::Edge, &regional[..1], "S0 S1 origin"),
            (regional[2], Tier::Edge, &regional[..1], "R1 S0 S1 origin"),
            (regional[0], Tier::Edge, &regional[..1], "S0 S1 origin"),
            (shield[0], Tier::Regional, &[], "origin"),
            (shield[1], Tier::Regional, &[], "S0 origin"),
            (shield[1], Tier::Regional, &shield[..1], "origin"),
            (shield[2], Tier::Regional, &shield[..1], "S1 origin"),
        ] {
            let found = steps(&view, Some(me), "eu", rank, dead);
            assert_eq!(found, expect, "{me:?} {rank} {dead:?}");
        }
    }

    #[test]
    fn one_node_alone_goes_to_the_origin() {
        let view = View::build(LogPosition::ZERO, [member("a", "eu", "edge,regional,shield", 100)]);
        assert_eq!(steps(&view, Some(Seat(0)), "eu", Tier::Edge, &[]), "origin");
    }

    #[test]
    fn a_peer_that_owns_both_tiers_is_asked_once() {
        let all = ["a", "b", "c"].map(|name| member(name, "eu", "regional,shield", 100));
        let edge = member("e", "eu", "edge", 100);
        let view = View::build(LogPosition::ZERO, all.into_iter().chain([edge]));
        let me = view.seat_of(&"e".parse().unwrap());
        assert_eq!(steps(&view, me, "eu", Tier::Edge, &[]), "R0 R1 origin");
        assert_eq!(steps(&view, me, "eu", Tier::Regional, &[]), "S0 S1 origin");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_walk_rises_to_the_origin_past_living_peers_only(
            members in any_members(),
            living in any::<[bool; 16]>(),
            me in proptest::option::of(0..16_u16),
            rank in proptest::sample::select(&Tier::ALL[..]),
            at in "eu|us|ap",
            bytes in any::<[u8; 32]>(),
        ) {
            let view = View::build(LogPosition::ZERO, members);
            let me = me.map(Seat).filter(|seat| seat.index() < view.members().len());
            let (key, from) = (CacheKey::from_bytes(bytes), region(&at));
            let hops: Vec<Hop> =
                walk(&view, me, &from, rank, &key, |seat| living[seat.index()]).collect();

            prop_assert_eq!(hops.last(), Some(&Hop::Origin));
            let mut reached = (rank, 0);
            let mut asked = Vec::new();
            for hop in &hops[..hops.len() - 1] {
                let Hop::Peer { seat, tier } = *hop else { panic!("the origin before a peer") };
                prop_assert!(tier > rank && tier >= reached.0);
                reached = if tier == reached.0 { (tier, reached.1 + 1) } else { (tier, 1) };
                prop_assert!(reached.1 <= TIER_ATTEMPTS_MAX);
                prop_assert!(living[seat.index()] && Some(seat) != me && !asked.contains(&seat));
                let member = view.member(seat);
                prop_assert!(member.tiers.contains(tier));
                prop_assert!(tier != Tier::Regional || member.region == from);
                asked.push(seat);
            }
        }

        #[test]
        fn nodes_with_the_same_roster_walk_the_same_way(
            (members, order) in shuffled(any_members()),
            bytes in any::<[u8; 32]>(),
        ) {
            let one = View::build(LogPosition::ZERO, members);
            let other = View::build(LogPosition::ZERO, order);
            let (key, from) = (CacheKey::from_bytes(bytes), region("eu"));
            prop_assert_eq!(one.members(), other.members());
            let hops = |view| walk(view, None, &from, Tier::Edge, &key, |_| true);
            prop_assert!(hops(&one).eq(hops(&other)));
        }
    }
}
