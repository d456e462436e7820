//! The hello that opens every connection, and the byte that opens every stream.
//!
//! A prefix that never changes (magic, protocol, length) stands before the body, so that nodes of
//! different protocols can still tell each other so; only the body is a codec message. How a range
//! of protocols is said is [`Form`](crate::protocol::Form)'s. Behind one, a body may grow at its
//! end: who does not know what follows skips it.
//! Nothing here decides whom to welcome: `transport` compares, with the certificate beside it.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use model::limits::HELLO_BYTES_MAX;
use model::{Instance, Invalid, NodeName, Region};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};
use crate::protocol::{Form, Protocols};

/// Bytes of the prefix: the magic, the protocol, and the length of the body, little-endian.
pub const PREFIX_BYTES: usize = MAGIC.len() + 2 + 2;

const MAGIC: [u8; 5] = *b"SHOAL";

/// What a mesh is called: one DNS label, like every name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mesh(Region);

impl FromStr for Mesh {
    type Err = Invalid;
    fn from_str(given: &str) -> Result<Self, Invalid> {
        given.parse().map(Mesh).map_err(|invalid| Invalid { what: "mesh name", ..invalid })
    }
}

impl fmt::Display for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The two connections that a node holds to a peer, so that bodies never queue control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Small messages that must not wait.
    Control,
    /// Bodies.
    Bulk,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Lane::Control => "control",
            Lane::Bulk => "bulk",
        })
    }
}

/// How a stream of some kind is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One message, no answer, on a stream in one direction.
    Cast,
    /// One request, one answer.
    Call,
    /// Frames in both directions until both have ended.
    Channel,
}

/// What a stream is about: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One gossip message.
    Gossip,
    /// One message of the Raft group.
    Raft,
    /// A command on its way to the leader.
    Submit,
    /// The log, as it grows.
    Follow,
    /// One request for an object.
    Exchange,
    /// One small question about the log or the cache.
    Ask,
}

impl Kind {
    /// All kinds, in the order of their bytes.
    pub const ALL: [Kind; 6] =
        [Kind::Gossip, Kind::Raft, Kind::Submit, Kind::Follow, Kind::Exchange, Kind::Ask];

    /// The byte that opens a stream of this kind.
    pub const fn byte(self) -> u8 {
        match self {
            Kind::Gossip => 1,
            Kind::Raft => 2,
            Kind::Submit => 3,
            Kind::Follow => 4,
            Kind::Exchange => 5,
            Kind::Ask => 6,
        }
    }

    /// The kind that `byte` opens.
    pub fn from_byte(byte: u8) -> Result<Kind, Malformed> {
        let named = |kind: &Kind| kind.byte() == byte;
        Kind::ALL.into_iter().find(named).ok_or(Malformed::Value("stream kind"))
    }

    /// The lane on which this kind travels.
    pub const fn lane(self) -> Lane {
        match self {
            Kind::Gossip | Kind::Raft | Kind::Submit | Kind::Follow | Kind::Ask => Lane::Control,
            Kind::Exchange => Lane::Bulk,
        }
    }

    /// How a stream of this kind is used.
    pub const fn shape(self) -> Shape {
        match self {
            Kind::Gossip => Shape::Cast,
            Kind::Raft | Kind::Submit | Kind::Ask => Shape::Call,
            Kind::Follow | Kind::Exchange => Shape::Channel,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Gossip => "gossip",
            Kind::Raft => "raft",
            Kind::Submit => "submit",
            Kind::Follow => "follow",
            Kind::Exchange => "exchange",
            Kind::Ask => "ask",
        })
    }
}

/// What stands before a hello and before its answer, in every protocol there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The protocol of whoever wrote it, or the newest of them.
    pub protocol: u16,
    /// Bytes that follow.
    pub body_bytes: usize,
}

impl Prefix {
    /// Decodes a prefix; the protocol is the caller's to judge.
    pub fn decode(bytes: &[u8; PREFIX_BYTES]) -> Result<Prefix, Malformed> {
        let [magic @ .., p0, p1, b0, b1] = *bytes;
        if magic != MAGIC {
            return Err(Malformed::Value("magic"));
        }
        let body_bytes = usize::from(u16::from_le_bytes([b0, b1]));
        if body_bytes > HELLO_BYTES_MAX {
            return Err(Malformed::TooLong(body_bytes, HELLO_BYTES_MAX));
        }
        Ok(Prefix { protocol: u16::from_le_bytes([p0, p1]), body_bytes })
    }

    /// The prefix, and `content` after it.
    pub(crate) fn followed_by(self, content: &[u8]) -> Bytes {
        assert!(content.len() <= HELLO_BYTES_MAX, "names are short and so is every reason");
        let mut out = BytesMut::with_capacity(PREFIX_BYTES + content.len());
        out.put_slice(&MAGIC);
        out.put_u16_le(self.protocol);
        out.put_u16_le(content.len() as u16);
        out.put_slice(content);
        out.freeze()
    }
}

/// Who speaks: the first message of a connection, and the welcome in return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Which of the two connections this is.
    pub lane: Lane,
    /// The mesh that the speaker belongs to.
    pub mesh: Mesh,
    /// What the speaker is called; its certificate must agree.
    pub name: NodeName,
    /// The speaker's data directory.
    pub instance: Instance,
    /// The speaker's wall clock, to call out clocks that disagree.
    pub wall_unix_ms: u64,
}

impl Hello {
    /// Prefix and body, from a node that speaks `protocols`.
    pub fn encode(&self, form: Form, protocols: Protocols) -> Bytes {
        form.write(protocols, &codec::encode(self))
    }

    /// Decodes a body.
    pub fn decode(form: Form, body: &[u8]) -> Result<Hello, Malformed> {
        decode(form, body)
    }
}

/// Why two nodes do not talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// They speak different protocols.
    Protocol,
    /// They belong to different meshes.
    Mesh,
    /// One gives a name that its certificate does not.
    Name,
    /// They have the same name.
    Twin,
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Streams may follow.
    Welcome(Hello),
    /// The connection ends here.
    Refused {
        /// The reason.
        reason: Reason,
        /// The reason in words that name both nodes.
        text: String,
    },
}

impl Answer {
    /// Prefix and body, from a node that speaks `protocols`.
    pub fn encode(&self, form: Form, protocols: Protocols) -> Bytes {
        form.write(protocols, &codec::encode(self))
    }

    /// Decodes a body.
    pub fn decode(form: Form, body: &[u8]) -> Result<Answer, Malformed> {
        decode(form, body)
    }
}

fn decode<T: DeserializeOwned>(form: Form, body: &[u8]) -> Result<T, Malformed> {
    match form {
        Form::Single => codec::decode(body, HELLO_BYTES_MAX),
        Form::Range => codec::decode_start(body, HELLO_BYTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            lane: Lane::Bulk,
            mesh: "m".parse().unwrap(),
            name: "ab".parse().unwrap(),
            instance: Instance(7),
            wall_unix_ms: 258,
        }
    }

    fn split(bytes: &[u8]) -> (Prefix, &[u8]) {
        let (prefix, body) = bytes.split_first_chunk().unwrap();
        (Prefix::decode(prefix).unwrap(), body)
    }

    /// As a node says it that is pinned to 2, and as every node says it to one that knows no more.
    const SINGLE: (Form, Protocols) = (Form::Single, Protocols::ALL);
    const RANGE: (Form, Protocols) = (Form::Range, Protocols::ALL);

    fn said(hello: &Hello, (form, protocols): (Form, Protocols)) -> Bytes {
        hello.encode(form, protocols)
    }

    #[test]
    fn a_hello_of_protocol_2_is_these_bytes() {
        let golden = [
            b"SHOAL".as_slice(),
            &[2, 0, 40, 0],
            &[1, 1, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0, b'm'],
            &[2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b'],
            &[7, 0, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(said(&hello(), SINGLE), golden.concat());
        let pinned = Protocols::up_to(2).unwrap();
        assert_eq!(said(&hello(), (Form::Single, pinned)), golden.concat());
    }

    #[test]
    fn a_hello_that_names_a_range_is_these_bytes() {
        let single = said(&hello(), SINGLE);
        let golden = [b"SHOAL\x03\x00\x2a\x00\x02\x00".as_slice(), &single[PREFIX_BYTES..]];
        assert_eq!(said(&hello(), RANGE), golden.concat());
        let refused = Answer::Refused { reason: Reason::Name, text: "no".into() };
        let bytes = refused.encode(Form::Range, Protocols::ALL);
        assert_eq!(bytes[..11], *b"SHOAL\x03\x00\x15\x00\x02\x00");
        assert_eq!(bytes[11..], refused.encode(Form::Single, Protocols::ALL)[PREFIX_BYTES..]);
    }

    #[test]
    fn a_hello_behind_a_range_may_grow_at_its_end() {
        let bytes = said(&hello(), RANGE);
        let (prefix, content) = split(&bytes);
        let (protocols, body) = Form::Range.read(prefix, content).unwrap();
        assert_eq!(protocols, Protocols::ALL);
        let grown = [body, b"more"].concat();
        assert_eq!(Hello::decode(Form::Range, &grown).unwrap(), hello());
        assert!(Hello::decode(Form::Single, &grown).is_err());
        let answer = codec::encode(&Answer::Welcome(hello()));
        let grown = [&answer, b"more".as_slice()].concat();
        assert_eq!(Answer::decode(Form::Range, &grown).unwrap(), Answer::Welcome(hello()));
    }

    #[test]
    fn answers_of_protocol_2_are_these_bytes() {
        let refused = Answer::Refused { reason: Reason::Name, text: "no".into() };
        let golden = [
            b"SHOAL".as_slice(),
            &[2, 0, 19, 0],
            &[1, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, b'n', b'o'],
        ];
        assert_eq!(refused.encode(Form::Single, Protocols::ALL), golden.concat());
        let welcome = Answer::Welcome(hello()).encode(Form::Single, Protocols::ALL);
        assert_eq!(welcome[9..14], [1, 0, 0, 0, 0]);
        assert_eq!(welcome[14..], said(&hello(), SINGLE)[10..]);
    }

    #[test]
    fn what_was_said_is_what_is_heard() {
        for (form, newest) in [(Form::Single, 2), (Form::Range, Protocols::ALL.newest())] {
            let bytes = said(&hello(), (form, Protocols::ALL));
            let (prefix, content) = split(&bytes);
            assert_eq!((prefix.protocol, prefix.body_bytes), (newest, content.len()));
            let (_, body) = form.read(prefix, content).unwrap();
            assert_eq!(Hello::decode(form, body).unwrap(), hello());
            let answer = Answer::Welcome(hello());
            let bytes = answer.encode(form, Protocols::ALL);
            let (prefix, content) = split(&bytes);
            let (_, body) = form.read(prefix, content).unwrap();
            assert_eq!(Answer::decode(form, body).unwrap(), answer);
        }
    }

    #[test]
    fn another_protocol_can_be_named_whatever_its_body() {
        let prefix = Prefix::decode(b"SHOAL\x09\x01\x04\x00").unwrap();
        assert_eq!(prefix, Prefix { protocol: 0x0109, body_bytes: 4 });
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(Prefix::decode(b"SHOLE\x01\x00\x00\x00").is_err());
        let (limit, beyond) = (b"SHOAL\x01\x00\x00\x04", b"SHOAL\x01\x00\x01\x04");
        assert_eq!(Prefix::decode(limit).unwrap().body_bytes, HELLO_BYTES_MAX);
        assert!(matches!(Prefix::decode(beyond), Err(Malformed::TooLong(1025, 1024))));
        let bytes = said(&hello(), SINGLE);
        let (_, body) = split(&bytes);
        for end in 0..body.len() {
            for form in [Form::Single, Form::Range] {
                assert!(Hello::decode(form, &body[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn every_kind_has_its_own_byte() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_byte(kind.byte()).unwrap(), kind);
        }
        assert!(Kind::from_byte(0).is_err() && Kind::from_byte(7).is_err());
    }

    #[test]
    fn only_bodies_travel_in_bulk() {
        for kind in Kind::ALL {
            assert_eq!(kind.lane() == Lane::Bulk, kind == Kind::Exchange, "{kind}");
        }
    }
}
