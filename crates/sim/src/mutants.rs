//! Mutants: meshes with one rule broken, to show that somebody is watching.
//!
//! A mutant is made of ports alone: a peer that edits what it passes on, a store that lies, a log
//! that forgets. The code of the nodes is the real one. Each names the promise whose checker must
//! catch it within [`SEEDS_MAX`] seeds.

mod peers;
mod memory;
mod knowledge;

use std::sync::{Arc, Mutex};

use follow::{Cache, Follow, Group, Replica, Shelf};
use model::Moment;

use crate::checker::Promise;
use crate::host::Ledger;
use crate::scenario::{Level, Profile};

pub(crate) use knowledge::without_map;
pub(crate) use peers::forget_the_dead;

/// Seeds within which every mutant must be caught.
pub const SEEDS_MAX: u64 = 60;

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// A request to the origin is answered by one that left before `as_of` was read.
    EarlyAnswer,
    /// An answer from a peer is taken for as fresh as the asker's own knowledge.
    Restamp,
    /// A request joins whatever fetch of its page is under way.
    JoinAny,
    /// A leader mints tokens without asking a quorum.
    LeaseRead,
    /// Tokens overtake the entries that must come before them, and are used.
    EarlyGrant,
    /// Every node counts a token's age from zero.
    YoungToken,
    /// The clock of leases stands still while the machine sleeps.
    StoppedClock,
    /// A new process goes on with the lease of the last one from where that left it: nobody counted
    /// the time between.
    KeptToken,
    /// Nobody waits for a child whose connection broke.
    ForgetTheDead,
    /// A parent acknowledges what it has applied, whatever its children have.
    OwnAck,
    /// What the origin says about the age of its answer is ignored.
    Ageless,
    /// A purged copy is stale rather than gone: its old validators are used, and a 304 renews it.
    Revive,
    /// A snapshot brings the position without the map.
    TornSnapshot,
    /// What the store returns is taken for as fresh as the node's own knowledge.
    StickyStore,
    /// A child claims to have applied more than it has.
    Deaf,
    /// Responses under way are not looked at again.
    NoStop,
    /// Acknowledgements are not passed up.
    Mute,
    /// Every change of the log empties the cache.
    SweepAll,
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
    /// A child whose connection to a parent broke asks nobody for a lease any more.
    Sulk,
    /// A mesh that was recovered by force goes on in the epoch in which it lost its voters.
    SameEpoch,
}

/// What is known of a mutant.
struct About {
    name: &'static str,
    /// The rule of the purge protocol that it breaks, if it is one of those.
    rule: &'static str,
    breaks: Promise,
    level: Level,
    profile: Profile,
}

const fn about(
    name: &'static str,
    rule: &'static str,
    breaks: Promise,
    (level, profile): (Level, Profile),
) -> About {
    About { name, rule, breaks, level, profile }
}

impl Mutant {
    /// All mutants.
    pub const ALL: [Mutant; 26] = [
        Mutant::EarlyAnswer,
        Mutant::Restamp,
        Mutant::JoinAny,
        Mutant::LeaseRead,
        Mutant::EarlyGrant,
        Mutant::YoungToken,
        Mutant::StoppedClock,
        Mutant::KeptToken,
        Mutant::ForgetTheDead,
        Mutant::OwnAck,
        Mutant::Ageless,
        Mutant::Revive,
        Mutant::TornSnapshot,
        Mutant::StickyStore,
        Mutant::Deaf,
        Mutant::NoStop,
        Mutant::Mute,
        Mutant::SweepAll,
        Mutant::ShuffledRings,
        Mutant::ForgetfulStore,
        Mutant::CleanCut,
        Mutant::BlameOrigin,
        Mutant::Amnesia,
        Mutant::Stutter,
        Mutant::Sulk,
        Mutant::SameEpoch,
    ];

    const fn about(self) -> About {
        use Level::{L0, L1};
        use Profile::{Calm, Comeback, Heavy, Ordinary, Recovery};
        match self {
            Mutant::EarlyAnswer => about("early-answer", "R1", Promise::Fenced, (L0, Ordinary)),
            Mutant::Restamp => about("restamp", "R2", Promise::Earliest, (L1, Ordinary)),
            Mutant::JoinAny => about("join-any", "R4", Promise::Fenced, (L0, Ordinary)),
            Mutant::LeaseRead => about("lease-read", "R6", Promise::Fenced, (L0, Heavy)),
            Mutant::EarlyGrant => about("early-grant", "R7", Promise::Fenced, (L0, Heavy)),
            Mutant::YoungToken => about("young-token", "R8", Promise::Staleness, (L0, Heavy)),
            Mutant::StoppedClock => about("stopped-clock", "R9", Promise::Staleness, (L0, Heavy)),
            Mutant::KeptToken => about("kept-token", "R10", Promise::Fenced, (L0, Comeback)),
            Mutant::ForgetTheDead => about("forget-the-dead", "R11", Promise::Fenced, (L0, Heavy)),
            Mutant::OwnAck => about("own-ack", "R12", Promise::Fenced, (L0, Heavy)),
            Mutant::Ageless => about("ageless", "R13", Promise::Fenced, (L0, Ordinary)),
            Mutant::Revive => about("revive", "R14", Promise::Fenced, (L0, Ordinary)),
            Mutant::TornSnapshot => about("torn-snapshot", "R15", Promise::Monotonic, (L0, Heavy)),
            Mutant::StickyStore => about("sticky-store", "R5", Promise::Monotonic, (L1, Ordinary)),
            Mutant::Deaf => about("deaf", "R12", Promise::Fenced, (L1, Ordinary)),
            Mutant::NoStop => about("no-stop", "R21", Promise::Stops, (L0, Ordinary)),
            Mutant::Mute => about("mute", "R24", Promise::Waiting, (L0, Calm)),
            Mutant::SweepAll => about("sweep-all", "R16", Promise::Isolation, (L1, Calm)),
            Mutant::ShuffledRings => about("shuffled-rings", "", Promise::OneFetch, (L1, Calm)),
            Mutant::ForgetfulStore => about("forgetful-store", "", Promise::OneFetch, (L1, Calm)),
            Mutant::CleanCut => about("clean-cut", "", Promise::Whole, (L1, Heavy)),
            Mutant::BlameOrigin => about("blame-origin", "", Promise::Alive, (L1, Heavy)),
            Mutant::Amnesia => about("amnesia", "", Promise::Receipts, (L1, Heavy)),
            Mutant::Stutter => about("stutter", "", Promise::Receipts, (L1, Heavy)),
            Mutant::Sulk => about("sulk", "R24", Promise::Heals, (L0, Heavy)),
            Mutant::SameEpoch => about("same-epoch", "R17", Promise::Fenced, (L0, Recovery)),
        }
    }

    /// The mutant's name.
    pub const fn as_str(self) -> &'static str {
        self.about().name
    }

    /// The rule of the purge protocol that it breaks; empty if it is none of them.
    pub const fn rule(self) -> &'static str {
        self.about().rule
    }

    /// The promise that it breaks.
    pub const fn breaks(self) -> Promise {
        self.about().breaks
    }

    /// The level at which it is looked for.
    pub const fn level(self) -> Level {
        self.about().level
    }

    /// The weather in which it is looked for.
    pub const fn profile(self) -> Profile {
        self.about().profile
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
    /// Until when the lease of its last process is good, if no time passed between the two.
    pub(crate) last_lease: Option<Moment>,
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
        if self.is(Mutant::Sulk) {
            let sulks = Arc::default();
            let twist = Arc::new(move |channel| peers::sulk(Arc::clone(&sulks), channel));
            return Arc::new(peers::Twister { inner, twist });
        }
        let twist: fn(_, _) -> _ = if self.is(Mutant::Deaf) {
            peers::boast
        } else if self.is(Mutant::OwnAck) {
            peers::own_ack
        } else if self.is(Mutant::Mute) {
            peers::mute
        } else if self.is(Mutant::YoungToken) {
            peers::young_token
        } else if self.is(Mutant::EarlyGrant) {
            peers::early_grant
        } else {
            return inner;
        };
        let replica = self.replica.clone();
        let twist = Arc::new(move |channel| twist(replica.clone(), channel));
        Arc::new(peers::Twister { inner, twist })
    }

    /// The Raft group.
    pub(crate) fn group(&self, inner: Arc<dyn Group>) -> Arc<dyn Group> {
        match self.is(Mutant::LeaseRead) {
            true => Arc::new(knowledge::LeaseReader { inner, replica: self.replica.clone() }),
            false => inner,
        }
    }

    /// What purges act upon.
    pub(crate) fn cache(&self, inner: Arc<dyn Cache>) -> Arc<dyn Cache> {
        if self.is(Mutant::NoStop) { Arc::new(knowledge::Unstopped(inner)) } else { inner }
    }

    /// The way to the origin.
    pub(crate) fn origins(&self, inner: Arc<dyn serve::Origins>) -> Arc<dyn serve::Origins> {
        if self.is(Mutant::Ageless) { Arc::new(peers::Ageless(inner)) } else { inner }
    }

    /// What is known of the log.
    pub(crate) fn ledger(&self, follow: &Arc<Follow>) -> Arc<dyn serve::Ledger> {
        let honest = Ledger(follow.clone());
        match self.last_lease.filter(|_| self.is(Mutant::KeptToken)) {
            Some(last_lease) => Arc::new(knowledge::Heir { honest, last_lease }),
            None => Arc::new(honest),
        }
    }

    /// The cache.
    pub(crate) fn store(&self, inner: Arc<dyn serve::Store>) -> Arc<dyn serve::Store> {
        let replica = self.replica.clone();
        if self.is(Mutant::StickyStore) {
            Arc::new(memory::Altered { inner, alter: memory::sticky, replica })
        } else if self.is(Mutant::Revive) {
            Arc::new(memory::Reviver { inner, replica, revived: Mutex::default() })
        } else if self.is(Mutant::SweepAll) {
            Arc::new(memory::Altered { inner, alter: memory::sweep_all, replica })
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
