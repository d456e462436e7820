//! A view: the members of the mesh as of one position in the log, and the rings they form.
//!
//! It is built whole from the roster and never changed, so that it can be swapped behind a request
//! in flight. Liveness is not part of it: if the dead left the rings, jitter in gossip would
//! reshuffle keys. The same members give the same view, in whatever order they come.

use std::collections::BTreeMap;

use model::limits::MEMBERS_MAX;
use model::{LogPosition, Member, NodeName, Region, Tier};

use crate::ring::Ring;

/// A member's number within one view, in the order of names. Another view may seat it elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub(crate) u16);

impl Seat {
    /// The seat as an index into [`View::members`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Who belongs to the mesh, and who owns what.
pub struct View {
    version: LogPosition,
    members: Vec<Member>,
    pub(crate) regional: BTreeMap<Region, Ring>,
    pub(crate) shield: Ring,
}

impl View {
    /// The view of the roster as of `version`. The log admits each name once and at most
    /// [`MEMBERS_MAX`] of them; what exceeds that is left out here too.
    pub fn build(version: LogPosition, members: impl IntoIterator<Item = Member>) -> View {
        let mut members: Vec<Member> = members.into_iter().collect();
        members.sort_by(|a, b| (&a.name, a.instance).cmp(&(&b.name, b.instance)));
        members.dedup_by(|later, first| later.name == first.name);
        members.truncate(MEMBERS_MAX);

        let seats = || (0..=u16::MAX).map(Seat).zip(&members);
        let serving = |tier| seats().filter(move |(_, member)| member.tiers.contains(tier));
        let mut regions: BTreeMap<&Region, Vec<(Seat, &Member)>> = BTreeMap::new();
        for (seat, member) in serving(Tier::Regional) {
            regions.entry(&member.region).or_default().push((seat, member));
        }
        let regional = regions
            .into_iter()
            .map(|(region, members)| (region.clone(), Ring::build(members)))
            .collect();
        let shield = Ring::build(serving(Tier::Shield));
        View { version, members, regional, shield }
    }

    /// The position of the roster that this view shows.
    pub const fn version(&self) -> LogPosition {
        self.version
    }

    /// Everyone, by name; a [`Seat`] is an index into it.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Who sits at `seat`.
    ///
    /// # Panics
    /// If the seat is another view's and this one has fewer members.
    pub fn member(&self, seat: Seat) -> &Member {
        &self.members[seat.index()]
    }

    /// Where the node called `name` sits, if it is a member.
    pub fn seat_of(&self, name: &NodeName) -> Option<Seat> {
        let index = self.members.binary_search_by(|member| member.name.cmp(name)).ok()?;
        u16::try_from(index).ok().map(Seat)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{CacheKey, Instance};
    use proptest::prelude::*;

    use super::*;

    /// A member of region `region` with these tiers and this capacity.
    pub(crate) fn member(name: &str, region: &str, tiers: &str, capacity: u32) -> Member {
        Member {
            name: name.parse().unwrap(),
            instance: Instance(1),
            region: region.parse().unwrap(),
            tiers: tiers.parse().unwrap(),
            capacity,
            address: ([127, 0, 0, 1], 7000).into(),
        }
    }

    /// Up to 16 members with unique names, of every kind.
    pub(crate) fn any_members() -> impl Strategy<Value = Vec<Member>> {
        let tiers = "edge|regional|shield|edge,regional|edge,shield|edge,regional,shield";
        let capacity = prop_oneof![Just(0), Just(100), 1..300_u32];
        let kinds = proptest::collection::vec(("eu|us|ap", tiers, capacity), 0..=16);
        kinds.prop_map(|kinds| {
            let name = |at: usize| format!("n{}", at * 7 % 17);
            let one = |(at, (region, tiers, capacity)): (usize, (String, String, u32))| {
                member(&name(at), &region, &tiers, capacity)
            };
            kinds.into_iter().enumerate().map(one).collect()
        })
    }

    /// The members, and the same ones in another order.
    pub(crate) fn shuffled(
        members: impl Strategy<Value = Vec<Member>>,
    ) -> impl Strategy<Value = (Vec<Member>, Vec<Member>)> {
        members.prop_flat_map(|members| (Just(members.clone()), Just(members).prop_shuffle()))
    }

    #[test]
    fn seats_are_numbered_by_name() {
        let members = ["c", "a", "b"].map(|name| member(name, "eu", "edge", 100));
        let view = View::build(LogPosition::new(0, 7), members);
        let names: Vec<&str> = view.members().iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        for (index, name) in names.iter().enumerate() {
            let seat = view.seat_of(&name.parse().unwrap()).unwrap();
            assert_eq!((seat.index(), view.member(seat).name.as_str()), (index, *name));
        }
        assert_eq!(view.seat_of(&"d".parse().unwrap()), None);
        assert_eq!(view.version(), LogPosition::new(0, 7));
    }

    #[test]
    fn a_name_counts_once_and_the_roster_ends_at_its_limit() {
        let name = |at| member(&format!("n{at}"), "eu", "edge", 100);
        let build = |size| View::build(LogPosition::ZERO, (0..size).chain(0..2).map(name));
        assert_eq!(build(MEMBERS_MAX).members().len(), MEMBERS_MAX);
        assert_eq!(build(MEMBERS_MAX + 1).members().len(), MEMBERS_MAX);
    }

    #[test]
    fn a_view_of_nobody_has_no_owners() {
        let view = View::build(LogPosition::ZERO, []);
        for tier in Tier::ALL {
            let owners = view.owners(tier, &"eu".parse().unwrap(), &CacheKey::of(&[]));
            assert!(owners.is_empty(), "{tier}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_node_that_joins_takes_keys_and_moves_no_others(
            members in any_members(),
            newcomer in ("eu|us", "regional|shield|edge,regional,shield", 1..200_u32),
            keys in proptest::collection::vec(any::<[u8; 32]>(), 32),
        ) {
            let newcomer = member("newcomer", &newcomer.0, &newcomer.1, newcomer.2);
            let grown = members.iter().cloned().chain([newcomer.clone()]);
            let grown = View::build(LogPosition::ZERO, grown);
            let view = View::build(LogPosition::ZERO, members);
            let eu = "eu".parse().unwrap();
            for key in keys.into_iter().map(CacheKey::from_bytes) {
                for tier in Tier::ALL {
                    let names = |view: &View| -> Vec<NodeName> {
                        let owners = view.owners(tier, &eu, &key);
                        owners.iter().map(|seat| view.member(*seat).name.clone()).collect()
                    };
                    let mut after = names(&grown);
                    after.retain(|name| *name != newcomer.name);
                    prop_assert!(names(&view).starts_with(&after));
                }
            }
        }
    }
}
