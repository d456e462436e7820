//! The one codec: a version byte, then bincode with fixed-width integers, bounded, trailing bytes
//! refused.
//!
//! Bincode is positional, so a changed type needs a new version; `tests` pin the bytes of every
//! message.

use bincode::Options;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of every message between nodes. Nodes that speak another refuse each other in the
/// hello.
pub const VERSION: u8 = 1;

/// Foreign bytes that are not a message.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// No bytes at all.
    #[error("an empty message")]
    Empty,
    /// Another protocol version.
    #[error("message version {0}, expected {VERSION}")]
    Version(u8),
    /// More bytes than the message may have.
    #[error("a message of {0} bytes, expected at most {1}")]
    TooLong(usize, usize),
    /// The body does not decode.
    #[error("a message that does not decode")]
    Body(#[source] bincode::Error),
    /// The body decodes, but to a value that cannot be.
    #[error("a message with an impossible {0}")]
    Value(&'static str),
}

fn options(limit: usize) -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(limit as u64)
}

/// Encodes one message.
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    let mut out = vec![VERSION];
    options(usize::MAX)
        .serialize_into(&mut out, message)
        .expect("our messages hold no type that bincode refuses, and memory is not a file");
    out.into()
}

/// Decodes one message of at most `limit` bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, Malformed> {
    let strict = options(limit).reject_trailing_bytes();
    strict.deserialize(body(bytes, limit)?).map_err(Malformed::Body)
}

/// The same for a message that a newer node may have made longer: what follows is skipped.
pub fn decode_start<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, Malformed> {
    let lenient = options(limit).allow_trailing_bytes();
    lenient.deserialize(body(bytes, limit)?).map_err(Malformed::Body)
}

fn body(bytes: &[u8], limit: usize) -> Result<&[u8], Malformed> {
    if bytes.len() > limit {
        return Err(Malformed::TooLong(bytes.len(), limit));
    }
    match bytes.split_first() {
        None => Err(Malformed::Empty),
        Some((&VERSION, body)) => Ok(body),
        Some((&version, _)) => Err(Malformed::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_version_byte_and_fixed_width_little_endian() {
        assert_eq!(encode(&(1u16, "ab")).as_ref(), [1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
    }

    #[test]
    fn foreign_bytes_are_refused_and_never_trusted_with_a_length() {
        let huge = [VERSION, 255, 255, 255, 255, 255, 255, 255, 127];
        assert!(matches!(decode::<String>(&huge, 64), Err(Malformed::Body(_))));
        assert!(matches!(decode::<u8>(&[], 64), Err(Malformed::Empty)));
        assert!(matches!(decode::<u8>(&[9, 1], 64), Err(Malformed::Version(9))));
        assert!(matches!(decode::<u8>(&[VERSION, 1, 2], 64), Err(Malformed::Body(_))));
        assert!(matches!(decode::<u8>(&[VERSION, 1], 1), Err(Malformed::TooLong(2, 1))));
        assert_eq!(decode::<u8>(&[VERSION, 7], 2).unwrap(), 7);
        assert_eq!(decode_start::<u8>(&[VERSION, 7, 8], 3).unwrap(), 7);
        assert!(matches!(decode_start::<u8>(&[VERSION, 7, 8], 2), Err(Malformed::TooLong(3, 2))));
    }
}
