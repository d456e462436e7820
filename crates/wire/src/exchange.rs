//! What one tier asks the next, and the head of what it answers. Body chunks follow as plain
//! frames.
//!
//! Only GET and HEAD travel between tiers: everything else goes from the edge straight to the
//! origin.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::limits::{FRAME_BYTES_MAX, HEADER_FIELDS_MAX, SLICE_BYTES, SLICED_BYTES_MAX, TAGS_MAX};
use model::{Attributes, DistributionName, Host, LogPosition, Path, Tier};
use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};

/// A request for one object, from a lower tier to a higher one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The tier in which the answering node is asked; it may only ask higher ones itself.
    pub tier: Tier,
    /// What is wanted.
    pub attributes: Attributes,
    /// End-to-end fields, validators of the asker's own copy among them.
    pub headers: HeaderMap,
    /// The log applied by the asker: nobody answers from behind it (rule R2).
    pub applied: LogPosition,
    /// The slice that is wanted if the object is a large one. The answer is then a 206 of one
    /// slice: this one, if there is such a slice.
    pub slice: Option<u64>,
}

/// The first frame of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A response; its body follows.
    Response(AnswerHead),
    /// The asked node is behind the asker and could not catch up in time.
    Behind(LogPosition),
    /// The tiers above tried and failed: asking a sibling would only repeat it.
    Failed(Failure),
}

/// Why the tiers above have no response to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The origin could not be reached, or broke off before a whole head.
    Unreachable,
    /// The origin was silent beyond its timeout.
    TimedOut,
    /// The asked node has no such distribution, or is not of the asked tier.
    Misdirected,
    /// The limit on requests at once to the origin is reached, or content kept changing.
    Overloaded,
}

impl Failure {
    const ALL: [Failure; 4] =
        [Failure::Unreachable, Failure::TimedOut, Failure::Misdirected, Failure::Overloaded];
}

/// Status, fields and provenance of a response between tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// Final status.
    pub status: StatusCode,
    /// End-to-end fields.
    pub headers: HeaderMap,
    /// Travels with the object through every tier, never re-stamped (rule R2).
    pub as_of: LogPosition,
    /// Age when this head was sent.
    pub age: Duration,
    /// How long ago, when this head was sent, it was proven that no purge committed by then covers
    /// the content.
    pub proof_age: Duration,
    /// Bytes of the body, where known.
    pub body_bytes: Option<u64>,
    /// `Cache-Status` members of the tiers above, origin side first (RFC 9211 §2).
    pub trail: String,
}

/// A hit that a node wants checked by the shield owner of its key: what it served, and what it knew
/// when it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Whose content.
    pub distribution: DistributionName,
    /// The host that was asked for.
    pub host: Host,
    /// Canonical path and query.
    pub path: Path,
    /// Marks of the copy's tags.
    pub tags: Vec<u64>,
    /// The copy's `as_of`.
    pub as_of: LogPosition,
    /// The log applied by the node when it served the copy.
    pub applied: LogPosition,
    /// The copy's `ETag`, empty if it has none.
    pub etag: Bytes,
}

/// What the shield owner says of a [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// Nothing speaks against it.
    Sound,
    /// A purge that the node had applied covers the copy.
    Old,
    /// The shield has the same fetch with another validator.
    Differs,
    /// The shield cannot tell.
    Unknown,
}

impl Sample {
    /// The sample as one message.
    pub fn encode(&self) -> Bytes {
        codec::encode(self)
    }

    /// The inverse, for a peer's bytes.
    pub fn decode(frame: &[u8]) -> Result<Sample, Malformed> {
        let sample: Sample = codec::decode(frame, FRAME_BYTES_MAX)?;
        match sample.tags.len() {
            0..=TAGS_MAX => Ok(sample),
            _ => Err(Malformed::Value("number of tags")),
        }
    }
}

/// An interim response (RFC 9110 §15.2) that overtakes the answer on its way to a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Its status, `103` for one.
    pub status: StatusCode,
    /// End-to-end fields.
    pub headers: HeaderMap,
}

/// A frame of an answer up to its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Another one follows.
    Hint(Hint),
    /// The head.
    Answer(Answer),
}

type Fields = Vec<(String, Bytes)>;

#[derive(Serialize, Deserialize)]
struct QuestionWire {
    tier: u8,
    distribution: DistributionName,
    host: Host,
    path: Path,
    headers: Fields,
    applied: LogPosition,
    slice: Option<u64>,
}

#[derive(Serialize, Deserialize)]
enum AnswerWire {
    Response {
        status: u16,
        headers: Fields,
        as_of: LogPosition,
        age_ms: u64,
        proof_age_ms: u64,
        body_bytes: Option<u64>,
        trail: String,
    },
    Behind(LogPosition),
    Failed(u8),
    Hint {
        status: u16,
        headers: Fields,
    },
}

impl Question {
    /// The question as one frame.
    pub fn encode(&self) -> Bytes {
        codec::encode(&QuestionWire {
            tier: self.tier as u8,
            distribution: self.attributes.distribution.clone(),
            host: self.attributes.host.clone(),
            path: self.attributes.path.clone(),
            headers: fields(&self.headers),
            applied: self.applied,
            slice: self.slice,
        })
    }

    /// The inverse, for a peer's bytes.
    pub fn decode(frame: &[u8]) -> Result<Question, Malformed> {
        let wire: QuestionWire = codec::decode(frame, FRAME_BYTES_MAX)?;
        let tier = Tier::ALL.get(usize::from(wire.tier)).ok_or(Malformed::Value("tier"))?;
        if wire.slice.is_some_and(|number| number >= SLICED_BYTES_MAX / SLICE_BYTES) {
            return Err(Malformed::Value("slice"));
        }
        Ok(Question {
            tier: *tier,
            attributes: Attributes {
                distribution: wire.distribution,
                host: wire.host,
                path: wire.path,
            },
            headers: header_map(wire.headers)?,
            applied: wire.applied,
            slice: wire.slice,
        })
    }
}

impl Answer {
    /// The answer's head as one frame.
    pub fn encode(&self) -> Bytes {
        codec::encode(&match self {
            Answer::Behind(applied) => AnswerWire::Behind(*applied),
            Answer::Failed(failure) => AnswerWire::Failed(*failure as u8),
            Answer::Response(head) => AnswerWire::Response {
                status: head.status.as_u16(),
                headers: fields(&head.headers),
                as_of: head.as_of,
                age_ms: u64::try_from(head.age.as_millis()).unwrap_or(u64::MAX),
                // Rounded up: a proof may seem older than it is, never younger.
                proof_age_ms: u64::try_from(head.proof_age.as_nanos().div_ceil(1_000_000))
                    .unwrap_or(u64::MAX),
                body_bytes: head.body_bytes,
                trail: head.trail.clone(),
            },
        })
    }

    /// The inverse, for a peer's bytes.
    pub fn decode(frame: &[u8]) -> Result<Answer, Malformed> {
        match Opening::decode(frame)? {
            Opening::Answer(answer) => Ok(answer),
            Opening::Hint(_) => Err(Malformed::Value("answer")),
        }
    }
}

impl Hint {
    /// The hint as one frame.
    pub fn encode(&self) -> Bytes {
        let (status, headers) = (self.status.as_u16(), fields(&self.headers));
        codec::encode(&AnswerWire::Hint { status, headers })
    }
}

impl Opening {
    /// A peer's bytes, as what they are.
    pub fn decode(frame: &[u8]) -> Result<Opening, Malformed> {
        Ok(Opening::Answer(match codec::decode(frame, FRAME_BYTES_MAX)? {
            AnswerWire::Hint { status, headers } => {
                let status = StatusCode::from_u16(status).ok();
                let status = status.filter(StatusCode::is_informational);
                let status = status.ok_or(Malformed::Value("interim status"))?;
                return Ok(Opening::Hint(Hint { status, headers: header_map(headers)? }));
            }
            AnswerWire::Behind(applied) => Answer::Behind(applied),
            AnswerWire::Failed(code) => {
                let failure = Failure::ALL.get(usize::from(code));
                Answer::Failed(*failure.ok_or(Malformed::Value("failure"))?)
            }
            AnswerWire::Response {
                status,
                headers,
                as_of,
                age_ms,
                proof_age_ms,
                body_bytes,
                trail,
            } => {
                let status =
                    StatusCode::from_u16(status).map_err(|_| Malformed::Value("status"))?;
                if HeaderValue::from_str(&trail).is_err() {
                    return Err(Malformed::Value("trail"));
                }
                Answer::Response(AnswerHead {
                    status,
                    headers: header_map(headers)?,
                    as_of,
                    age: Duration::from_millis(age_ms),
                    proof_age: Duration::from_millis(proof_age_ms),
                    body_bytes,
                    trail,
                })
            }
        }))
    }
}

fn fields(headers: &HeaderMap) -> Fields {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

fn header_map(fields: Fields) -> Result<HeaderMap, Malformed> {
    if fields.len() > HEADER_FIELDS_MAX * 2 {
        return Err(Malformed::Value("number of header fields"));
    }
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::try_from(name).map_err(|_| Malformed::Value("header name"))?;
        let value =
            HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Value("header value"))?;
        map.append(name, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let mut headers = HeaderMap::new();
        headers.append("accept", HeaderValue::from_static("a"));
        headers.append("accept", HeaderValue::from_static("b"));
        Question {
            tier: Tier::Shield,
            attributes: Attributes {
                distribution: "shop".parse().unwrap(),
                host: Host::parse("shop.example").unwrap(),
                path: Path::parse("/a?b").unwrap(),
            },
            headers,
            applied: LogPosition::new(1, 7),
            slice: Some(9_999),
        }
    }

    #[test]
    fn a_slice_that_no_object_has_is_refused() {
        let slices = SLICED_BYTES_MAX / SLICE_BYTES;
        let with = |number| Question { slice: Some(number), ..question() };
        assert!(Question::decode(&with(slices - 1).encode()).is_ok());
        assert!(Question::decode(&with(slices).encode()).is_err());
    }

    #[test]
    fn a_question_arrives_as_it_was_sent() {
        assert_eq!(Question::decode(&question().encode()).unwrap(), question());
    }

    #[test]
    fn every_answer_arrives_as_it_was_sent() {
        let head = AnswerHead {
            status: StatusCode::OK,
            headers: question().headers,
            as_of: LogPosition::new(0, 3),
            age: Duration::from_millis(1500),
            proof_age: Duration::from_millis(7),
            body_bytes: Some(12),
            trail: "shield-1; fwd=miss".into(),
        };
        let failures = Failure::ALL.map(Answer::Failed);
        let all = [Answer::Response(head), Answer::Behind(LogPosition::new(0, 9))];
        for answer in all.into_iter().chain(failures) {
            assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
        }
    }

    #[test]
    fn a_hint_is_told_from_an_answer() {
        let hint = Hint { status: StatusCode::EARLY_HINTS, headers: question().headers };
        assert_eq!(Opening::decode(&hint.encode()).unwrap(), Opening::Hint(hint.clone()));
        assert!(Answer::decode(&hint.encode()).is_err());
        let answer = Answer::Behind(LogPosition::ZERO);
        assert_eq!(Opening::decode(&answer.encode()).unwrap(), Opening::Answer(answer));
        let last = Hint { status: StatusCode::OK, ..hint };
        assert!(Opening::decode(&last.encode()).is_err(), "a final status is no hint");
    }

    #[test]
    fn any_cut_of_a_message_is_refused_without_a_panic() {
        let whole = question().encode();
        for end in 0..whole.len() {
            assert!(Question::decode(&whole[..end]).is_err(), "cut at {end}");
            let _ = Answer::decode(&whole[..end]);
        }
    }

    #[test]
    fn a_trail_that_could_split_a_header_is_refused() {
        let wire = AnswerWire::Response {
            status: 200,
            headers: vec![],
            as_of: LogPosition::ZERO,
            age_ms: 0,
            proof_age_ms: 0,
            body_bytes: None,
            trail: "a\r\nb: c".into(),
        };
        assert!(Answer::decode(&codec::encode(&wire)).is_err());
    }
}
