//! The log on its way: commands going up to the leader, entries coming down the tree,
//! acknowledgements going back.
//!
//! Entries and snapshots are opaque here: `control` knows what they mean, `follow` puts the two
//! together.

use bytes::Bytes;
use model::limits::{COMMAND_BYTES_MAX, FRAME_BYTES_MAX, MEMBERS_MAX};
use model::{Level, LogPosition, NodeName};
use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};

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
    /// In the log at `position`, with the encoded outcome of applying it; `level` says how far it
    /// came.
    Committed {
        /// Where it stands in the log.
        position: LogPosition,
        /// What applying it said.
        outcome: Bytes,
        /// The level reached.
        level: Level,
        /// Milliseconds from receipt by the leader to commit.
        committed_ms: u64,
        /// Who had applied it when the answer was sent, and after how many milliseconds.
        applied: Vec<(NodeName, u64)>,
        /// Live nodes that had not.
        pending: Vec<NodeName>,
    },
    /// Not the leader, and the leader is not known: try another node.
    NoLeader,
    /// The deadline passed; the command may or may not be in the log.
    Unknown(String),
    /// Refused before it reached the log.
    Refused(String),
}

/// The first frame of a follow stream, from child to parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The child's applied position: entries after it are wanted.
    pub applied: LogPosition,
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
        commands: Vec<Bytes>,
    },
    /// Nothing new: the parent is alive and has applied this much.
    Beat(LogPosition),
}

/// What a child sends up: positions applied, for itself and everyone below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    /// Node and position, only those that changed.
    pub applied: Vec<(NodeName, LogPosition)>,
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
message!(Up, MEMBERS_MAX * 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_stream_reads_back() {
        let first = LogPosition::new(0, 4);
        let part = Bytes::from_static(b"state");
        for down in [
            Down::Snapshot { position: first, part, last: true },
            Down::Entries { first, commands: vec![Bytes::from_static(b"x"), Bytes::new()] },
            Down::Beat(first),
        ] {
            assert_eq!(Down::decode(&down.encode()).unwrap(), down);
        }
        let up = Up { applied: vec![("edge-1".parse().unwrap(), first)] };
        assert_eq!(Up::decode(&up.encode()).unwrap(), up);
    }

    #[test]
    fn the_bytes_of_a_subscription_are_pinned() {
        let bytes = Subscribe { applied: LogPosition::new(1, 2) }.encode();
        assert_eq!(bytes.as_ref(), [1, 2, 0, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_while_decoding() {
        let bytes = codec::encode(&(vec![("Not A Name", LogPosition::ZERO)],));
        assert!(Up::decode(&bytes).is_err());
    }
}
