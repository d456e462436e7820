//! Mutants: meshes with one rule broken, to show that somebody is watching.
//!
//! A mutant is made of ports alone: a peer that edits what it passes on, a store that lies, a log
//! that forgets. The code of the nodes is the real one. Each names the promise whose checker must
//! catch it within [`SEEDS_MAX`] seeds.

mod peers;
mod memory;

use std::sync::Arc;

use follow::{Replica, Shelf};

use crate::checker::Promise;
use crate::scenario::Profile;

/// Seeds within which every mutant must be caught.
pub const SEEDS_MAX: u64 = 60;

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// An answer from a peer is taken for as fresh as the asker's own knowledge.
    Restamp,
    /// What the store returns is taken for as fresh as the node's own knowledge.
    StickyStore,
    /// A child claims to have applied more than it has.
    Deaf,
    /// Every node has rings of its own.
    ShuffledRings,
    /// The store keeps nothing.
    ForgetfulStore,
    /// A body that broke off on its way between peers ends cleanly.
    CleanCut,
    /// A peer that cannot be reached is said to have found the origin unreachable.
    BlameOrigin,
    /// A disk loses what a Raft group wrote to it since its process started.
    Amnesia,
    /// The disk keeps every entry twice.
    Stutter,
}

impl Mutant {
    /// All mutants.
    pub const ALL: [Mutant; 9] = [
        Mutant::Restamp,
        Mutant::StickyStore,
        Mutant::Deaf,
        Mutant::ShuffledRings,
        Mutant::ForgetfulStore,
        Mutant::CleanCut,
        Mutant::BlameOrigin,
        Mutant::Amnesia,
        Mutant::Stutter,
    ];

    /// The mutant's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mutant::Restamp => "restamp",
            Mutant::StickyStore => "sticky-store",
            Mutant::Deaf => "deaf",
            Mutant::ShuffledRings => "shuffled-rings",
            Mutant::ForgetfulStore => "forgetful-store",
            Mutant::CleanCut => "clean-cut",
            Mutant::BlameOrigin => "blame-origin",
            Mutant::Amnesia => "amnesia",
            Mutant::Stutter => "stutter",
        }
    }

    /// The promise that it breaks.
    pub const fn breaks(self) -> Promise {
        match self {
            Mutant::Restamp | Mutant::StickyStore | Mutant::Deaf => Promise::NoOld,
            Mutant::ShuffledRings | Mutant::ForgetfulStore => Promise::OneFetch,
            Mutant::CleanCut => Promise::Whole,
            Mutant::BlameOrigin => Promise::Alive,
            Mutant::Amnesia | Mutant::Stutter => Promise::Receipts,
        }
    }

    /// The weather in which it is looked for.
    pub const fn profile(self) -> Profile {
        match self {
            Mutant::ShuffledRings | Mutant::ForgetfulStore => Profile::Calm,
            Mutant::Restamp | Mutant::StickyStore | Mutant::Deaf => Profile::Ordinary,
            Mutant::CleanCut | Mutant::BlameOrigin | Mutant::Amnesia | Mutant::Stutter => {
                Profile::Heavy
            }
        }
    }
}

/// Dresses the ports of one node: as they are, or as the mutant has them.
pub(crate) struct Dress {
    /// The mutant, if this run has one.
    pub(crate) mutant: Option<Mutant>,
    /// The node.
    pub(crate) node: usize,
    /// What it has applied.
    pub(crate) replica: Arc<Replica>,
}

impl Dress {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The other nodes, as requests see them.
    pub(crate) fn serve_peers(&self, inner: Arc<dyn serve::Peers>) -> Arc<dyn serve::Peers> {
        let meddle = if self.is(Mutant::Restamp) {
            peers::restamp
        } else if self.is(Mutant::CleanCut) {
            peers::clean_cut
        } else if self.is(Mutant::BlameOrigin) {
            peers::blame_origin
        } else {
            return inner;
        };
        Arc::new(peers::Meddler { inner, meddle, replica: self.replica.clone() })
    }

    /// The other nodes, as commands see them.
    pub(crate) fn follow_peers(&self, inner: Arc<dyn follow::Peers>) -> Arc<dyn follow::Peers> {
        if self.is(Mutant::Deaf) { Arc::new(peers::Boaster(inner)) } else { inner }
    }

    /// The cache.
    pub(crate) fn store(&self, inner: Arc<dyn serve::Store>) -> Arc<dyn serve::Store> {
        if self.is(Mutant::StickyStore) {
            Arc::new(memory::Sticky { inner, replica: self.replica.clone() })
        } else if self.is(Mutant::ForgetfulStore) {
            Arc::new(memory::Forgetful)
        } else {
            inner
        }
    }

    /// Who belongs and who is alive, as requests see it.
    pub(crate) fn members(&self, inner: Arc<dyn serve::Members>) -> Arc<dyn serve::Members> {
        let shuffled = self.is(Mutant::ShuffledRings);
        if shuffled { Arc::new(memory::Shuffled { inner, node: self.node }) } else { inner }
    }

    /// What is kept on disk.
    pub(crate) fn shelf(&self, inner: Arc<dyn Shelf>) -> Arc<dyn Shelf> {
        if self.is(Mutant::Stutter) { Arc::new(memory::Stutterer(inner)) } else { inner }
    }
}
