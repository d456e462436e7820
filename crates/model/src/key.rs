//! The cache key: a strong hash of everything that tells two resources apart.

use std::fmt;

/// 256 bits, so that no viewer can aim two URLs at one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// Hashes `parts` in order, each prefixed with its length: no two lists of parts meet.
    pub fn of(parts: &[&[u8]]) -> CacheKey {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        CacheKey(hasher.finalize().into())
    }

    /// The key with these bytes, as a peer sent it.
    pub const fn from_bytes(bytes: [u8; 32]) -> CacheKey {
        CacheKey(bytes)
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key's place on a hash ring.
    pub fn ring_point(&self) -> u64 {
        let (first, _) = self.0.split_at(8);
        first.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }
}

/// What a part of a key is. The numbers are part of every key: they are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it says")]
pub enum Place {
    Distribution = 1,
    Host = 2,
    Path = 3,
    FieldName = 4,
    FieldValue = 5,
    CookieName = 6,
    CookieValue = 7,
    Codings = 8,
}

/// Makes a key from parts that say what they are: a place, a length, and the bytes. No two
/// different lists of parts are written the same way.
#[derive(Debug, Default)]
pub struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// Adds one part.
    pub fn part(&mut self, place: Place, bytes: &[u8]) {
        self.0.update(&[place as u8]);
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The key of all parts.
    pub fn finish(self) -> CacheKey {
        CacheKey(self.0.finalize().into())
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_parts_changes_the_key() {
        assert_ne!(CacheKey::of(&[b"ab", b"c"]), CacheKey::of(&[b"a", b"bc"]));
        assert_ne!(CacheKey::of(&[b"ab"]), CacheKey::of(&[b"ab", b""]));
        assert_eq!(CacheKey::of(&[b"ab"]), CacheKey::of(&[b"ab"]));
    }

    #[test]
    fn the_same_bytes_in_another_place_are_another_key() {
        let of = |parts: &[(Place, &[u8])]| {
            let mut hasher = KeyHasher::default();
            parts.iter().for_each(|(place, bytes)| hasher.part(*place, bytes));
            hasher.finish()
        };
        let one = of(&[(Place::FieldName, b"a"), (Place::FieldValue, b"b")]);
        assert_ne!(of(&[(Place::FieldName, b"a"), (Place::FieldName, b"b")]), one);
        assert_ne!(of(&[(Place::FieldName, b"ab"), (Place::FieldValue, b"")]), one);
        assert_ne!(of(&[(Place::FieldName, b"a")]), one);
        assert_eq!(of(&[(Place::FieldName, b"a"), (Place::FieldValue, b"b")]), one);
    }
}
