//! Cache groups: names that an origin gives its responses, so that one unsafe request invalidates
//! all of a group (RFC 9875).
//!
//! A group is a tag of its own kind, so that what purges by tag reaches purges by group reaches
//! too: every copy on every node. It belongs to the host that named it (§2.1). A field that is no
//! list of strings is ignored, as RFC 9651 wants it.

use std::fmt::Write;

use http::HeaderMap;
use http::header::HeaderName;
use model::limits::TAG_BYTES_MAX;
use model::{CacheKey, Host, Tag};

use crate::sf::{self, Item};

/// The groups of a response (§2).
pub(crate) static CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// The groups to invalidate (§3).
pub(crate) static CACHE_GROUP_INVALIDATION: HeaderName =
    HeaderName::from_static("cache-group-invalidation");

/// The groups that the field called `name` lists.
pub(crate) fn listed(response: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let members = sf::joined(response, name).and_then(|value| sf::list(&value));
    let texts = members.unwrap_or_default().into_iter().map(|member| match member {
        Item::Text(text) => Some(text),
        Item::Integer(_) | Item::Boolean(_) | Item::Other => None,
    });
    texts.collect::<Option<Vec<String>>>().unwrap_or_default()
}

/// The tag that stands for a group of `host`.
pub(crate) fn tag(host: &Host, group: &str) -> Tag {
    let mut text = format!("cache-group:{host}:");
    for byte in group.bytes() {
        match byte {
            b'!'..=b'~' if byte != b',' && byte != b'%' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a string takes what is written to it"),
        }
    }
    if text.len() > TAG_BYTES_MAX {
        let key = CacheKey::of(&[b"cache-group", host.as_str().as_bytes(), group.as_bytes()]);
        text = format!("cache-group:{key}");
    }
    Tag::parse(&text).expect("printable, without space or comma, and short enough")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    fn check(value: &str, expect: &[&str]) {
        let headers = fields(&format!("cache-groups:{value}"));
        assert_eq!(listed(&headers, &CACHE_GROUPS), expect, "{value}");
    }

    #[test]
    fn groups_are_a_list_of_strings() {
        // RFC 9875 §2: order means nothing, unknown parameters are ignored.
        check(r#""a", "b c";x=1,"d,e""#, &["a", "b c", "d,e"]);
        check(r#""a\"b\\""#, &["a\"b\\"]);
        check(r#""a"|cache-groups:"b""#, &["a", "b"]);
        check("", &[]);
        let many: Vec<String> = (0..32).map(|at| format!("\"{at:032}\"")).collect();
        let headers = fields(&format!("cache-groups:{}", many.join(", ")));
        assert_eq!(listed(&headers, &CACHE_GROUPS).len(), 32);
    }

    #[test]
    fn what_is_no_list_of_strings_names_no_group() {
        // RFC 9651 §4.2: all or nothing.
        for bad in ["a", "\"a\", b", "\"a\", 1", "\"a\"; \"b\"", "(\"a\")", "\"a\",", "\"a"] {
            check(bad, &[]);
        }
    }

    #[test]
    fn a_group_belongs_to_its_host() {
        // RFC 9875 §2.1: only responses of one origin share a group.
        let host = |name: &str| Host::parse(name).unwrap();
        assert_eq!(tag(&host("a.example"), "x y,%").as_str(), "cache-group:a.example:x%20y%2C%25");
        assert_ne!(tag(&host("a.example"), "x"), tag(&host("b.example"), "x"));
        assert_ne!(tag(&host("a.example"), "x"), tag(&host("a.example"), "X"));
    }

    #[test]
    fn the_longest_group_has_a_tag_too() {
        let host = Host::parse("a.example").unwrap();
        let long = |last: char| tag(&host, &format!("{}{last}", "x".repeat(9_000)));
        assert!(long('a').as_str().len() <= TAG_BYTES_MAX);
        assert_ne!(long('a'), long('b'));
    }

    proptest! {
        #[test]
        fn every_group_has_a_tag_of_its_own(one in "[ -~]{0,12}", other in "[ -~]{0,12}") {
            let host = Host::parse("a.example").unwrap();
            prop_assert_eq!(tag(&host, &one) == tag(&host, &other), one == other);
        }
    }
}
