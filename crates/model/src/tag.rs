//! Tags: names that an origin gives its responses (`Surrogate-Key`, `Cache-Tag`), so that one purge
//! reaches everything made from the same thing.
//!
//! A copy remembers its tags as 64-bit marks. Two tags with one mark are purged together, which
//! over-invalidates and so is safe.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::limits::TAG_BYTES_MAX;
use crate::name::Invalid;

/// One tag: printable ASCII without space or comma, compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Arc<str>);

impl Tag {
    /// Parses a tag as a purge names it or a response carries it.
    pub fn parse(given: &str) -> Result<Tag, Invalid> {
        let fits = given.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',');
        if given.is_empty() || given.len() > TAG_BYTES_MAX || !fits {
            let expected = "1 to 1024 printable ASCII characters without space or comma";
            return Err(Invalid::new("tag", given, expected));
        }
        Ok(Tag(given.into()))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What copies remember of it.
    pub fn mark(&self) -> u64 {
        mark(self.as_str())
    }
}

const TAG: u64 = 0x7461_6700;

fn mark(tag: &str) -> u64 {
    xxh3_64_with_seed(tag.as_bytes(), TAG)
}

impl TryFrom<String> for Tag {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        Tag::parse(&given)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> String {
        tag.0.as_ref().to_owned()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags of one copy, as marks in order without repetition. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<[u64]>>);

impl Tags {
    /// Of a response that has none, or whose tags are not known yet.
    pub const NONE: Tags = Tags(None);

    /// The marks of all `tags`.
    pub fn of<'a>(tags: impl Iterator<Item = &'a str>) -> Tags {
        Tags::from_marks(tags.map(mark).collect())
    }

    /// Tags that another node sent as marks.
    pub fn from_marks(mut marks: Vec<u64>) -> Tags {
        marks.sort_unstable();
        marks.dedup();
        Tags((!marks.is_empty()).then(|| marks.into()))
    }

    /// The marks.
    pub fn marks(&self) -> &[u64] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Those of both (rule R3).
    pub fn union(&self, other: &Tags) -> Tags {
        Tags::from_marks([self.marks(), other.marks()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_printable_word() {
        for good in ["a", "product-42", "Home/Page:1"] {
            assert_eq!(Tag::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a,b", "ä", "a\n", &"x".repeat(TAG_BYTES_MAX + 1)] {
            assert!(Tag::parse(bad).is_err(), "{bad}");
        }
        assert!(Tag::parse(&"x".repeat(TAG_BYTES_MAX)).is_ok());
    }

    #[test]
    fn a_copy_remembers_each_tag_once_and_by_its_bytes() {
        let tags = Tags::of(["b", "a", "b"].into_iter());
        assert_eq!(tags.marks().len(), 2);
        assert!(tags.marks().contains(&Tag::parse("a").unwrap().mark()));
        assert!(!tags.marks().contains(&Tag::parse("A").unwrap().mark()));
        assert_eq!(tags.union(&Tags::of(["c"].into_iter())).marks().len(), 3);
        assert_eq!(Tags::NONE.union(&Tags::NONE), Tags::NONE);
    }
}
