//! Which protocols a node speaks, and which one two nodes speak with each other.
//!
//! A program speaks a range, so that the nodes of a mesh can be upgraded one after the other: a
//! connection uses the highest protocol that both its ends speak. What a connection says first, the
//! hello, cannot depend on that. TLS has agreed on its [`Form`] by then, and neither form ever
//! changes; the range is where every later program looks for it.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::Malformed;
use crate::hello::Prefix;

/// What one end speaks: every protocol from `oldest` to `newest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    oldest: u16,
    newest: u16,
}

impl Protocols {
    /// What this program speaks. 3: hellos name a range.
    pub const ALL: Protocols = Protocols { oldest: 2, newest: 3 };

    /// A range, if it is one.
    pub const fn between(oldest: u16, newest: u16) -> Option<Protocols> {
        if oldest <= newest { Some(Protocols { oldest, newest }) } else { None }
    }

    /// What this program speaks up to `newest`; nothing if it does not speak that.
    pub const fn up_to(newest: u16) -> Option<Protocols> {
        let Protocols { oldest, newest: own } = Protocols::ALL;
        if newest <= own { Protocols::between(oldest, newest) } else { None }
    }

    /// The oldest one.
    pub const fn oldest(self) -> u16 {
        self.oldest
    }

    /// The newest one.
    pub const fn newest(self) -> u16 {
        self.newest
    }

    /// What two ends speak with each other.
    pub fn shared(self, other: Protocols) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.oldest == self.newest {
            true => write!(f, "protocol {}", self.newest),
            false => write!(f, "protocols {} to {}", self.oldest, self.newest),
        }
    }
}

/// How the hello of a connection and its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As protocol 2 has it: the prefix names the one protocol.
    Single,
    /// Since protocol 3: the prefix names the newest protocol, and the first two bytes behind it
    /// the oldest.
    Range,
}

impl Form {
    /// The protocol that goes with [`Form::Single`].
    const SINGLE: Protocols = Protocols { oldest: 2, newest: 2 };

    /// The forms in which a node that speaks `protocols` says hello, the best first. Everybody
    /// knows the old one, if only to refuse in words.
    pub fn known_to(protocols: Protocols) -> &'static [Form] {
        match protocols.newest > Form::SINGLE.newest {
            true => &[Form::Range, Form::Single],
            false => &[Form::Single],
        }
    }

    /// What TLS calls it (ALPN).
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Form::Single => b"shoal",
            Form::Range => b"shoal-range",
        }
    }

    /// The form that TLS calls so.
    pub fn from_alpn(name: &[u8]) -> Option<Form> {
        [Form::Single, Form::Range].into_iter().find(|form| form.alpn() == name)
    }

    /// What of `ours` can be spoken with a peer that speaks `theirs` after a hello of this form.
    pub fn agree(self, ours: Protocols, theirs: Protocols) -> Option<u16> {
        let shared = ours.shared(theirs)?;
        match self {
            Form::Range => Some(shared),
            Form::Single => Form::SINGLE.shared(Protocols { oldest: shared, newest: shared }),
        }
    }

    /// A prefix and `body`, from a node that speaks `protocols`.
    pub(crate) fn write(self, protocols: Protocols, body: &[u8]) -> Bytes {
        let mut content = BytesMut::with_capacity(2 + body.len());
        let protocol = match self {
            Form::Single => Form::SINGLE.newest,
            Form::Range => {
                content.put_u16_le(protocols.oldest);
                protocols.newest
            }
        };
        content.put_slice(body);
        Prefix { protocol, body_bytes: content.len() }.followed_by(&content)
    }

    /// What the writer of `content` speaks, and the rest of it.
    pub fn read(self, prefix: Prefix, content: &[u8]) -> Result<(Protocols, &[u8]), Malformed> {
        let newest = prefix.protocol;
        let impossible = Malformed::Value("range of protocols");
        match self {
            Form::Single => Ok((Protocols { oldest: newest, newest }, content)),
            Form::Range => {
                let Some((oldest, body)) = content.split_first_chunk() else {
                    return Err(impossible);
                };
                let range = Protocols::between(u16::from_le_bytes(*oldest), newest);
                Ok((range.ok_or(impossible)?, body))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(oldest: u16, newest: u16) -> Protocols {
        Protocols::between(oldest, newest).unwrap()
    }

    #[test]
    fn two_ends_speak_the_highest_that_both_know() {
        for (ours, theirs, shared) in [
            ((2, 3), (2, 3), Some(3)),
            ((2, 3), (2, 2), Some(2)),
            ((2, 3), (3, 7), Some(3)),
            ((2, 5), (3, 4), Some(4)),
            ((2, 3), (4, 7), None),
            ((5, 5), (2, 4), None),
        ] {
            let [ours, theirs] = [ours, theirs].map(|(oldest, newest)| range(oldest, newest));
            assert_eq!(ours.shared(theirs), shared, "{ours} and {theirs}");
            assert_eq!(theirs.shared(ours), shared, "{theirs} and {ours}");
            assert_eq!(Form::Range.agree(ours, theirs), shared);
        }
        assert_eq!(Form::Single.agree(Protocols::ALL, range(2, 2)), Some(2));
        assert_eq!(Form::Single.agree(range(3, 4), range(2, 2)), None);
        assert_eq!(Form::Single.agree(range(2, 4), range(3, 3)), None, "nobody says that like so");
    }

    #[test]
    fn a_node_is_pinned_within_what_the_program_speaks() {
        let Protocols { oldest, newest } = Protocols::ALL;
        assert_eq!(Protocols::up_to(newest), Some(Protocols::ALL));
        assert_eq!(Protocols::up_to(oldest), Some(range(oldest, oldest)));
        assert_eq!(Protocols::up_to(oldest - 1), None);
        assert_eq!(Protocols::up_to(newest + 1), None);
        assert_eq!(range(2, 2).to_string(), "protocol 2");
        assert_eq!(range(2, 3).to_string(), "protocols 2 to 3");
    }

    #[test]
    fn who_speaks_no_more_than_2_never_offers_the_range() {
        assert_eq!(Form::known_to(range(2, 2)), [Form::Single]);
        assert_eq!(Form::known_to(range(2, 3)), [Form::Range, Form::Single]);
        for form in [Form::Single, Form::Range] {
            assert_eq!(Form::from_alpn(form.alpn()), Some(form));
        }
        assert_eq!(Form::from_alpn(b"h3"), None);
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        let prefix = Prefix { protocol: 3, body_bytes: 2 };
        assert!(Form::Range.read(prefix, &[4, 0]).is_err());
        assert!(Form::Range.read(prefix, &[1]).is_err());
        let (protocols, rest) = Form::Range.read(prefix, &[2, 0, 9]).unwrap();
        assert_eq!((protocols, rest), (range(2, 3), &[9][..]));
    }
}
