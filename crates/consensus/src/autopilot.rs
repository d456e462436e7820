//! Who votes: a decision over what the leader sees, one change of the membership at a time.
//!
//! Three voters as soon as three nodes can vote, five as soon as seven can; five stay while five
//! can. With one or two nodes in the roster there is one voter: of two, either one's failure would
//! stop both. Failures alone never shrink the group below three, only a shorter roster does.
//!
//! A newcomer is promoted before the one it replaces is removed, and only once it has the log.
//! Growth goes in pairs, so that an even count lasts one step. Voters spread over the regions.
//! Nothing is removed that would leave fewer living voters than a quorum.

mod decide;
mod run;

use std::time::Duration;

use model::{Instance, Moment, Region};

pub use decide::next_step;
pub use run::{Roster, run};

/// A node of the roster, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its Raft id.
    pub instance: Instance,
    /// Where it stands.
    pub region: Region,
    /// Whether its tiers allow it a vote.
    pub may_vote: bool,
    /// Whether it is seen alive.
    pub alive: bool,
    /// Since when it is seen so.
    pub since: Moment,
}

/// A member of the group that has no vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learner {
    /// Its Raft id.
    pub instance: Instance,
    /// The index up to which it holds the log, 0 if unknown.
    pub matched: u64,
}

/// How patient the autopilot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a node must be dead before its seat is given away.
    pub gone_after: Duration,
    /// How many entries a learner may be behind when it gets its vote.
    pub lag_max: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { gone_after: Duration::from_secs(30), lag_max: 64 }
    }
}

/// The group and the roster at one moment.
#[derive(Clone, Debug)]
pub struct Seats {
    /// The leader that decides.
    pub me: Instance,
    /// Whose votes count.
    pub voters: Vec<Instance>,
    /// Who receives the log without a vote.
    pub learners: Vec<Learner>,
    /// Whether an earlier change of voters is half done.
    pub joint: bool,
    /// The index up to which the log is agreed.
    pub committed: u64,
    /// The roster. Whoever is missing from it is gone for good.
    pub candidates: Vec<Candidate>,
    /// How patient to be.
    pub rules: Rules,
}

/// One change of the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Complete a change that an earlier leader left half done.
    Settle,
    /// Send this node the log.
    AddLearner(Instance),
    /// Give this learner a vote.
    Promote(Instance),
    /// Take this node's vote, or stop sending it the log.
    Remove(Instance),
}
