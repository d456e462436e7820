//! Owners: the members responsible for a key at a tier.
//!
//! A region has a ring of its own for the regional tier; all shields share one, since every shield
//! covers every region. A member has the same points on both, so in a mesh of one region and equal
//! tiers the regional owner of a key is its shield owner too, and the hop between them is saved.
//! This never asks who is alive: that is for the walk.

use model::{CacheKey, Region, Tier};

use crate::view::{Seat, View};

impl View {
    /// The owner of `key` at `tier` as seen from `region`, then its successors in ring order:
    /// distinct, at most [`model::limits::OWNERS_MAX`]. Empty where nobody serves the tier, and for
    /// [`Tier::Edge`], which viewers choose and no key does.
    pub fn owners(&self, tier: Tier, region: &Region, key: &CacheKey) -> &[Seat] {
        match tier {
            Tier::Edge => &[],
            Tier::Regional => self.regional.get(region).map_or(&[], |ring| ring.owners(key)),
            Tier::Shield => self.shield.owners(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::LogPosition;

    use super::*;
    use crate::view::tests::member;

    #[test]
    fn each_region_has_owners_of_its_own_and_all_share_the_shields() {
        let members = [
            member("a", "eu", "regional", 100),
            member("b", "eu", "regional", 100),
            member("c", "us", "regional,shield", 100),
            member("d", "us", "shield", 100),
            member("e", "us", "edge", 100),
        ];
        let view = View::build(LogPosition::ZERO, members);
        let key = CacheKey::of(&[b"/"]);
        let names = |tier, region: &str| {
            let owners = view.owners(tier, &region.parse().unwrap(), &key).iter();
            let mut names: Vec<&str> =
                owners.map(|seat| view.member(*seat).name.as_str()).collect();
            names.sort_unstable();
            names.concat()
        };
        for (tier, region, expect) in [
            (Tier::Edge, "eu", ""),
            (Tier::Regional, "eu", "ab"),
            (Tier::Regional, "us", "c"),
            (Tier::Regional, "ap", ""),
            (Tier::Shield, "eu", "cd"),
            (Tier::Shield, "ap", "cd"),
        ] {
            assert_eq!(names(tier, region), expect, "{tier} in {region}");
        }
    }

    #[test]
    fn where_the_same_nodes_serve_both_tiers_both_owners_are_one_node() {
        let all = ["a", "b", "c", "d", "e"].map(|name| member(name, "eu", "regional,shield", 100));
        let view = View::build(LogPosition::ZERO, all);
        let eu = "eu".parse().unwrap();
        for number in 0..100_u8 {
            let key = CacheKey::of(&[&[number]]);
            let regional = view.owners(Tier::Regional, &eu, &key);
            assert_eq!(regional, view.owners(Tier::Shield, &eu, &key));
        }
    }
}
