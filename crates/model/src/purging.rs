//! How a distribution wants purges kept: what its nodes do when they cannot know of the latest one,
//! and what each choice costs.

use serde::{Deserialize, Serialize};

/// How purges bear on a distribution's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purging {
    /// How fresh a node's knowledge of purges has to be.
    #[serde(default)]
    pub freshness: Freshness,
    /// What a node does with its copies when that knowledge is too old.
    #[serde(default)]
    pub when_fenced: WhenFenced,
    /// Whether responses under way are cut off when a purge covers them, and when their node has
    /// known nothing for too long.
    #[serde(default = "yes")]
    pub stop_in_flight: bool,
    /// Whether viewers see `Surrogate-Key` and `Cache-Tag`.
    #[serde(default)]
    pub expose_tags: bool,
    /// What a request that changes something at the origin does to cached responses.
    #[serde(default)]
    pub unsafe_methods: UnsafeMethods,
    /// SHA-256, in hex, of the token that allows `PURGE` on the viewer port; off if there is none.
    #[serde(default)]
    pub viewer_token_sha256: Option<Digest>,
}

/// How fresh a node's knowledge of purges has to be before it serves a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// At most as old as the mesh's lease: a hit asks nobody.
    #[default]
    Leased,
    /// Confirmed by the voters after the request arrived: a hit costs a round trip to the leader
    /// (rule R22).
    Confirm,
}

/// What a node does with copies that it cannot vouch for (rule R23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFenced {
    /// Asks the origin about each copy, at most once per lease.
    #[default]
    Revalidate,
    /// Answers 503.
    Refuse,
    /// Serves them: no purge of this distribution is then ever `fenced`.
    StaleOk,
}

/// What a `POST`, `PUT`, `DELETE` or the like does to cached responses, once the origin has
/// answered it without an error (RFC 9111 §4.4, RFC 9875).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsafeMethods {
    /// Does away with what is cached for its URL, for the `Location` and `Content-Location` of the
    /// answer, and for the cache groups that it names, on every node. Each is a purge in the log,
    /// and the answer waits for it.
    #[default]
    Invalidate,
    /// Nothing, as CloudFront has it: for APIs that change things all the time and whose answers
    /// are not cached anyway.
    Ignore,
}

fn yes() -> bool {
    true
}

impl Default for Purging {
    fn default() -> Self {
        Purging {
            freshness: Freshness::default(),
            when_fenced: WhenFenced::default(),
            stop_in_flight: true,
            expose_tags: false,
            unsafe_methods: UnsafeMethods::default(),
            viewer_token_sha256: None,
        }
    }
}

/// A SHA-256 digest, written in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl TryFrom<String> for Digest {
    type Error = crate::Invalid;

    fn try_from(given: String) -> Result<Self, crate::Invalid> {
        let refuse = || crate::Invalid::new("SHA-256 digest", &given, "64 hex digits");
        if given.len() != 64 || !given.is_ascii() {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = &given[2 * at..2 * at + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refuse())?;
        }
        Ok(Digest(bytes))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_anything_else_is_refused() {
        let text = "0f".repeat(32);
        let digest = Digest::try_from(text.clone()).unwrap();
        assert_eq!(String::from(digest), text);
        for bad in ["", "0f", &"zz".repeat(32), &"é".repeat(32)] {
            assert!(Digest::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
