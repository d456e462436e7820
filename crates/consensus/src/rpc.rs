//! What voters say to each other, as bytes: one message, one answer.
//!
//! Every message names its sender inside the vote it carries. [`Message::refusal`] compares that
//! with whom the connection proved to be, before anything reaches Raft: a member of the mesh can
//! so speak only for itself, and only a leader's vote may append.

use bytes::Bytes;
use model::Instance;
use model::limits::FRAME_BYTES_MAX;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use serde::{Deserialize, Serialize};
use wire::codec::{self, Malformed};

use crate::raft::{SnapshotMeta, TypeConfig, Vote};

/// A question to a peer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    Snapshot(Part),
}

/// What a peer answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    /// This many bytes of the snapshot are here.
    Held(u64),
    /// The snapshot is installed, or will not be because of a higher vote.
    Ended(Vote),
    Refused(Refusal),
}

/// A part of a snapshot on its way. Parts of one transfer arrive in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    /// Tells this transfer from earlier ones of the same sender.
    pub(crate) transfer: u64,
    /// The index that the machine's state contains.
    pub(crate) index: u64,
    pub(crate) total_bytes: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

/// Why a message was not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it does not decode")]
    Malformed,
    #[error("it speaks for another node than its sender")]
    NotTheSender,
    #[error("its vote does not allow it")]
    WrongVote,
    #[error("it is larger than a snapshot may be")]
    TooLarge,
    #[error("the raft group there has stopped")]
    Stopped,
}

impl Message {
    pub(crate) fn encode(&self) -> Bytes {
        codec::encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
        codec::decode(bytes, FRAME_BYTES_MAX)
    }

    /// Why `from` may not say this, if so.
    pub(crate) fn refusal(&self, from: Instance) -> Option<Refusal> {
        let (vote, leads) = match self {
            Message::Append(append) => (&append.vote, true),
            Message::Vote(request) => (&request.vote, false),
            Message::Snapshot(part) => (&part.vote, true),
        };
        if vote.leader_id().voted_for() != Some(from.0) {
            return Some(Refusal::NotTheSender);
        }
        (vote.is_committed() != leads).then_some(Refusal::WrongVote)
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Bytes {
        codec::encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Answer, Malformed> {
        codec::decode(bytes, FRAME_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload, Membership};

    use super::*;
    use crate::raft::{Entry, LogId};

    fn log_id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(2, 7), index)
    }

    fn append(vote: Vote) -> Message {
        let members = Membership::new(vec![[7, 8].into()], None);
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Bytes::from_static(b"command")),
            EntryPayload::Membership(members),
        ];
        let entries = (5..).zip(payloads);
        Message::Append(AppendEntriesRequest {
            vote,
            prev_log_id: Some(log_id(4)),
            entries: entries
                .map(|(index, payload)| Entry { log_id: log_id(index), payload })
                .collect(),
            leader_commit: None,
        })
    }

    #[test]
    fn messages_survive_the_journey() {
        let vote = Vote::new_committed(2, 7);
        let (sent, Message::Append(got)) =
            (append(vote), Message::decode(&append(vote).encode()).unwrap())
        else {
            unreachable!("an append decodes to an append")
        };
        assert!(matches!(sent, Message::Append(sent) if sent.entries == got.entries));
        for answer in [
            Answer::Append(AppendEntriesResponse::Conflict),
            Answer::Held(9),
            Answer::Ended(vote),
            Answer::Refused(Refusal::WrongVote),
        ] {
            assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
        }
    }

    #[test]
    fn the_bytes_of_a_vote_request_are_pinned() {
        let request = VoteRequest::new(Vote::new(2, 7), Some(log_id(4)));
        let expect = [
            &[1u8][..],
            &[1, 0, 0, 0],
            &2u64.to_le_bytes(),
            &7u64.to_le_bytes(),
            &[0],
            &[1],
            &2u64.to_le_bytes(),
            &7u64.to_le_bytes(),
            &4u64.to_le_bytes(),
        ];
        assert_eq!(Message::Vote(request).encode().as_ref(), expect.concat());
    }

    #[test]
    fn a_sender_speaks_for_itself_and_only_a_leader_appends() {
        let vote_for = |vote| Message::Vote(VoteRequest::new(vote, None));
        let cases = [
            (append(Vote::new_committed(2, 7)), 7, None),
            (append(Vote::new_committed(2, 7)), 8, Some(Refusal::NotTheSender)),
            (append(Vote::new(2, 7)), 7, Some(Refusal::WrongVote)),
            (vote_for(Vote::new(2, 7)), 7, None),
            (vote_for(Vote::new(2, 7)), 8, Some(Refusal::NotTheSender)),
            (vote_for(Vote::new_committed(2, 7)), 7, Some(Refusal::WrongVote)),
        ];
        for (message, from, expect) in cases {
            assert_eq!(message.refusal(Instance(from)), expect, "{message:?} from {from}");
        }
    }

    #[test]
    fn foreign_bytes_are_an_error() {
        for bytes in [&[][..], &[9, 9, 9], &[1, 250, 0, 0, 0], &[1]] {
            assert!(Message::decode(bytes).is_err() && Answer::decode(bytes).is_err());
        }
    }
}
