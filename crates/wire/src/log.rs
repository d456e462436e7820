//! The log on its way: commands going up to the leader, entries coming down the tree, leases with
//! them, acknowledgements going back.
//!
//! Commands, outcomes and snapshots are opaque here: `control` knows what they mean, `follow` puts
//! the two together.

use std::time::Duration;

use bytes::Bytes;
use model::limits::{COMMAND_BYTES_MAX, COMMANDS_PER_ENTRY_MAX, FRAME_BYTES_MAX, MEMBERS_MAX};
use model::{Level, LogPosition, NodeName};
use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};
use crate::exchange::Finding;

/// A command on its way to the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The encoded command, with the id that makes sending it twice harmless.
    pub command: Bytes,
    /// How far it must come before the answer.
    pub level: Level,
    /// How long the asker still waits.
    pub patience_ms: u64,
    /// Nodes that may still pass it on.
    pub hops: u8,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// In the log, with the encoded outcome of applying it.
    Committed {
        /// What applying it said.
        outcome: Bytes,
        /// How far it came.
        reach: Reach,
    },
    /// Not the leader, and the leader is not known: try another node.
    NoLeader,
    /// The deadline passed; the command may or may not be in the log.
    Unknown(String),
    /// Refused before it reached the log.
    Refused(String),
}

/// How far a command had come when its leader wrote this. Times count from the leader's receipt of
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Where it stands in the log.
    pub position: LogPosition,
    /// The level reached.
    pub level: Level,
    /// Milliseconds until it was committed.
    pub committed_ms: u64,
    /// Milliseconds until nobody could serve what it covers any more.
    pub fenced_ms: Option<u64>,
    /// Who had applied it, and after how many milliseconds.
    pub applied: Vec<(NodeName, u64)>,
    /// Live nodes that had not.
    pub pending: Vec<NodeName>,
    /// Nodes that had not, and can serve nothing since their lease expired.
    pub expired: Vec<NodeName>,
    /// Responses cut off by nodes while it spread.
    pub cut: u64,
}

/// What a node asks another beside handing over a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// How far is the log, confirmed by a quorum after this was asked? (R22)
    Confirm {
        /// Nodes that may still pass it on.
        hops: u8,
    },
    /// How far has the command at `position` come? Answered when it has come as far as `level`.
    Reach {
        /// Where it stands in the log.
        position: LogPosition,
        /// How far it must come before the answer.
        level: Level,
        /// How long the asker still waits.
        patience_ms: u64,
        /// Nodes that may still pass it on.
        hops: u8,
    },
    /// What would this encoded command remove from the cache? Nothing happens.
    Plan(Bytes),
    /// An encoded [`Entry`] of commands on their way into the log: forget what they cover already
    /// (R24).
    Tentative(Bytes),
    /// Was it right to serve this? An encoded sample of a hit.
    Sample(Bytes),
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// A quorum confirmed the leader's log through this position.
    Confirmed(LogPosition),
    /// How far the command has come.
    Reached(Reach),
    /// What would go.
    Planned {
        /// Copies.
        copies: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// What the asked node says of a sampled hit.
    Sampled(Finding),
    /// Nothing to tell.
    Heard,
    /// Not the leader, and the leader is not known, or no quorum answered: try another node.
    NoLeader,
}

/// The commands that share one position of the log, each encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry(pub Vec<Bytes>);

/// The first frame of a follow stream, from child to parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The child's applied position: entries after it are wanted.
    pub applied: LogPosition,
    /// Drawn at random by the child's process.
    pub incarnation: u64,
}

/// A token on its way down (see `control::lease`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which request of the child this answers.
    pub asked: u64,
    /// The leader's term.
    pub term: u64,
    /// The last position that it vouches for.
    pub through: LogPosition,
    /// What the parent had applied, which the child must have before it uses the token (R7).
    pub applied: LogPosition,
    /// How old it was when it was sent, rounded up.
    pub age: Duration,
    /// How old it may become.
    pub lease: Duration,
}

/// What a parent sends down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// One part of a snapshot; parts come in order and `last` ends it.
    Snapshot {
        /// The position that the whole snapshot reflects.
        position: LogPosition,
        /// The next bytes of it.
        part: Bytes,
        /// Whether this part is the final one.
        last: bool,
    },
    /// Consecutive entries.
    Entries {
        /// The position of the first.
        first: LogPosition,
        /// One per position; empty ones only advance the position.
        entries: Vec<Bytes>,
    },
    /// Nothing new: the parent is alive and has applied this much.
    Beat(LogPosition),
    /// A lease, asked for by the child.
    Grant(Grant),
    /// An encoded [`Entry`] of commands on their way into the log (R24).
    Tentative(Bytes),
}

/// What a node has applied, as it travels up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The node.
    pub node: NodeName,
    /// What it has applied.
    pub applied: LogPosition,
    /// Responses that it has cut off since it started.
    pub cut: u64,
}

/// What a child sends up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// Applied by the child and by everybody it granted a lease (R12), and what it heard of whom:
    /// only what changed.
    Acknowledge {
        /// What binds: the least of all of them.
        through: LogPosition,
        /// For receipts.
        news: Vec<News>,
    },
    /// A lease, please. The number comes back with it.
    Ask(u64),
    /// The child has let go of every lease that it asked this parent for with numbers up to this
    /// one, and uses another's.
    Release(u64),
    /// An encoded [`Entry`] of commands on their way into the log (R24).
    Tentative(Bytes),
}

macro_rules! message {
    ($type:ty, $limit:expr) => {
        impl $type {
            /// The message as one frame.
            pub fn encode(&self) -> Bytes {
                codec::encode(self)
            }

            /// The inverse, for a peer's bytes.
            pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
                codec::decode(frame, $limit)
            }
        }
    };
}

message!(Submission, COMMAND_BYTES_MAX + 1024);
message!(Fate, COMMAND_BYTES_MAX);
message!(Subscribe, 1024);
message!(Down, FRAME_BYTES_MAX);
message!(Up, COMMAND_BYTES_MAX + 1024);
message!(Ask, COMMAND_BYTES_MAX + 1024);
message!(Told, COMMAND_BYTES_MAX);

const _: () = assert!(MEMBERS_MAX * 128 < COMMAND_BYTES_MAX, "news of everybody fits one frame");

impl Entry {
    /// The entry as the log keeps it.
    pub fn encode(&self) -> Bytes {
        codec::encode(self)
    }

    /// The inverse.
    pub fn decode(bytes: &[u8]) -> Result<Entry, Malformed> {
        let entry: Entry = codec::decode(bytes, ENTRY_BYTES_MAX)?;
        match entry.0.len() {
            1..=COMMANDS_PER_ENTRY_MAX => Ok(entry),
            _ => Err(Malformed::Value("number of commands")),
        }
    }
}

/// Bytes of one encoded entry: one command of any size, or several small ones.
const ENTRY_BYTES_MAX: usize = COMMAND_BYTES_MAX + 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_stream_reads_back() {
        let first = LogPosition::new(0, 4);
        let part = Bytes::from_static(b"state");
        for down in [
            Down::Snapshot { position: first, part, last: true },
            Down::Entries { first, entries: vec![Bytes::from_static(b"x"), Bytes::new()] },
            Down::Beat(first),
            Down::Tentative(Bytes::from_static(b"c")),
            Down::Grant(Grant {
                asked: 7,
                term: 2,
                through: first,
                applied: first,
                age: Duration::from_millis(3),
                lease: Duration::from_secs(10),
            }),
        ] {
            assert_eq!(Down::decode(&down.encode()).unwrap(), down);
        }
        let news = vec![News { node: "edge-1".parse().unwrap(), applied: first, cut: 1 }];
        for up in [
            Up::Acknowledge { through: first, news },
            Up::Ask(9),
            Up::Release(9),
            Up::Tentative(Bytes::from_static(b"c")),
        ] {
            assert_eq!(Up::decode(&up.encode()).unwrap(), up);
        }
    }

    #[test]
    fn the_bytes_of_a_subscription_are_pinned() {
        let bytes = Subscribe { applied: LogPosition::new(1, 2), incarnation: 3 }.encode();
        assert_eq!(bytes.as_ref(), [1, 2, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_while_decoding() {
        let news = vec![("Not A Name", LogPosition::ZERO, 0_u64)];
        let bytes = codec::encode(&(0_u32, LogPosition::ZERO, news));
        assert!(Up::decode(&bytes).is_err());
    }

    #[test]
    fn an_entry_holds_some_commands_but_not_too_many() {
        let entry = |count| Entry(vec![Bytes::from_static(b"c"); count]).encode();
        assert_eq!(Entry::decode(&entry(2)).unwrap().0.len(), 2);
        assert!(Entry::decode(&entry(COMMANDS_PER_ENTRY_MAX)).is_ok());
        assert!(Entry::decode(&entry(COMMANDS_PER_ENTRY_MAX + 1)).is_err());
        assert!(Entry::decode(&entry(0)).is_err());
    }
}
