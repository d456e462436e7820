//! Entity tags and their two comparisons (RFC 9110 §8.8.3).
//!
//! A tag that is not quoted is no tag: it never matches anything and is never sent on as one.
//! Backslashes escape nothing here, and commas may stand inside: tags have a list reader of their
//! own.

use http::HeaderMap;
use http::header::{ETAG, HeaderName};

use crate::field;

/// A tag as it stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// The tag of a response; none when it is absent, repeated or malformed.
    pub(crate) fn of(response: &'a HeaderMap) -> Option<Self> {
        field::only(response, &ETAG).and_then(|value| Self::parse(value.as_bytes()))
    }

    /// Parses a value that is one tag and nothing else.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::take(value.trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// Whether it changes with every byte of the content.
    pub(crate) fn is_strong(&self) -> bool {
        !self.weak
    }

    /// Strong comparison (RFC 9110 §8.8.3.2): both strong and the same.
    pub(crate) fn equals_strongly(&self, other: &EntityTag<'_>) -> bool {
        self.is_strong() && other.is_strong() && self.equals_weakly(other)
    }

    /// Weak comparison (RFC 9110 §8.8.3.2): the same, weak or not.
    pub(crate) fn equals_weakly(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// The tag that `value` begins with, and what follows it.
    fn take(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let inside = quoted.strip_prefix(b"\"")?;
        let ordinary = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
        let end = inside.iter().position(|byte| !ordinary(byte))?;
        let (opaque, after) = inside.split_at(end);
        Some((EntityTag { weak, opaque }, after.strip_prefix(b"\"")?))
    }
}

/// What `If-Match` and `If-None-Match` name.
pub(crate) fn names_any(
    request: &HeaderMap,
    name: &HeaderName,
    wanted: impl Fn(&EntityTag<'_>) -> bool,
) -> bool {
    let values = || request.get_all(name).iter().map(|value| value.as_bytes());
    values().any(|value| value.trim_ascii() == b"*")
        || values().any(|value| Tags { rest: value }.any(|tag| wanted(&tag)))
}

/// The tags of one field line; what is no tag is skipped up to the next comma.
struct Tags<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tags<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        loop {
            let start = self.rest.iter().position(|byte| !b", \t".contains(byte))?;
            self.rest = &self.rest[start..];
            if let Some((tag, after)) = EntityTag::take(self.rest) {
                self.rest = after;
                return Some(tag);
            }
            let comma = self.rest.iter().position(|byte| *byte == b',')?;
            self.rest = &self.rest[comma..];
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::IF_NONE_MATCH;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    #[test]
    fn comparisons_are_those_of_the_table() {
        // RFC 9110 §8.8.3.2, the table of examples.
        for (a, b, strongly, weakly) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
        ] {
            let (a, b) = (tag(a).unwrap(), tag(b).unwrap());
            assert_eq!(a.equals_strongly(&b), strongly, "{a:?} {b:?}");
            assert_eq!(a.equals_weakly(&b), weakly, "{a:?} {b:?}");
        }
    }

    fn tag(text: &str) -> Option<EntityTag<'_>> {
        EntityTag::parse(text.as_bytes())
    }

    #[test]
    fn only_a_quoted_tag_is_a_tag() {
        // RFC 9110 §8.8.3: the weakness mark is case-sensitive, quotes are not optional.
        for good in [r#""""#, r#""a,b\""#, r#"W/"xyzzy""#, "\"\u{e9}\""] {
            assert!(tag(good).is_some(), "{good}");
        }
        for bad in
            ["", "a", "*", "\"", "\"a", "a\"", r#"w/"a""#, r#"W/ "a""#, r#""a b""#, r#""a"b"#]
        {
            assert!(tag(bad).is_none(), "{bad}");
        }
        assert!(EntityTag::of(&fields(r#"etag:"a"|etag:"a""#)).is_none());
    }

    #[test]
    fn a_list_is_searched_across_lines_and_past_garbage() {
        // RFC 9110 §13.1.2.
        let wanted = tag(r#""b,\""#).unwrap();
        for (lines, expect) in [
            (r#"if-none-match:"a", "b,\""#, true),
            (r#"if-none-match:"a"|if-none-match: W/"b,\""#, true),
            (r#"if-none-match:,, oops "x, "b,\""#, true),
            ("if-none-match:*", true),
            (r#"if-none-match:"*""#, false),
            (r#"if-none-match:"b", "\""#, false),
            ("if-none-match:", false),
            ("", false),
        ] {
            let found = names_any(&fields(lines), &IF_NONE_MATCH, |tag| tag.equals_weakly(&wanted));
            assert_eq!(found, expect, "{lines}");
        }
    }

    proptest! {
        #[test]
        fn any_list_is_read_to_its_end(text in "[W/\"a, \\\\*]{0,60}") {
            let tags = Tags { rest: text.as_bytes() };
            prop_assert!(tags.count() <= text.len());
        }

        #[test]
        fn every_listed_tag_is_found(opaques in proptest::collection::vec("[!#-~]{0,8}", 1..6)) {
            let quote = |opaque| format!("\"{opaque}\"");
            let quoted: Vec<String> = opaques.iter().map(quote).collect();
            let joined = quoted.join(" ,");
            let found: Vec<_> = Tags { rest: joined.as_bytes() }.collect();
            let expect: Vec<_> = quoted.iter().filter_map(|quoted| tag(quoted)).collect();
            prop_assert_eq!(found, expect);
        }
    }
}
