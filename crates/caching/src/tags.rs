//! The names that an origin gives a response, so that a purge by one of them reaches it:
//! `Surrogate-Key` (Fastly, Varnish), `Cache-Tag` (Cloudflare, Akamai) and `Cache-Groups` (RFC
//! 9875).
//!
//! Between tiers these fields travel with the response. A name that could not be purged later must
//! not be lost silently: a response with one is not kept at all.

use http::{HeaderMap, HeaderName};
use model::limits::TAGS_MAX;
use model::{Host, Tag, Tags};

use crate::groups::{self, CACHE_GROUPS};
use crate::storable::Unstorable;

/// Names separated by spaces.
static SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Names separated by commas.
static CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// The fields that carry tags for us alone. `Cache-Groups` is for every cache on the way.
pub static TAG_FIELDS: [&HeaderName; 2] = [&SURROGATE_KEY, &CACHE_TAG];

/// The tags of a response of `host` with these fields, or that they cannot all be kept track of.
pub fn tags(host: &Host, response: &HeaderMap) -> Result<Tags, Unstorable> {
    let is_named = |name: &HeaderName| response.contains_key(name);
    if !is_named(&CACHE_GROUPS) && !TAG_FIELDS.iter().any(|name| is_named(name)) {
        return Ok(Tags::NONE);
    }
    let (words, groups) = names(response)?;
    let groups: Vec<Tag> = groups.iter().map(|group| groups::tag(host, group)).collect();
    Ok(Tags::of(words.iter().chain(&groups).map(Tag::as_str)))
}

/// Whether a response with these fields has names that cannot all be kept track of.
pub(crate) fn check(response: &HeaderMap) -> Result<(), Unstorable> {
    names(response).map(drop)
}

/// Its tags and its groups.
fn names(response: &HeaderMap) -> Result<(Vec<Tag>, Vec<String>), Unstorable> {
    let groups = groups::listed(response, &CACHE_GROUPS);
    let spaced = words(response, &SURROGATE_KEY, |byte| byte == b' ' || byte == b'\t');
    let listed = words(response, &CACHE_TAG, |byte| byte == b',');
    let mut found = Vec::new();
    for word in spaced.chain(listed) {
        let text = std::str::from_utf8(word).map_err(|_| Unstorable::Tags)?;
        let tag = Tag::parse(text).map_err(|_| Unstorable::Tags)?;
        if found.len() + groups.len() >= TAGS_MAX {
            return Err(Unstorable::Tags);
        }
        found.push(tag);
    }
    if groups.len() > TAGS_MAX { Err(Unstorable::Tags) } else { Ok((found, groups)) }
}

/// The words of all field lines called `name`, trimmed, empty ones left out.
fn words<'a>(
    response: &'a HeaderMap,
    name: &'static HeaderName,
    separates: impl Fn(u8) -> bool + Copy + 'a,
) -> impl Iterator<Item = &'a [u8]> {
    let lines = response.get_all(name).iter();
    let words = lines.flat_map(move |line| line.as_bytes().split(move |byte| separates(*byte)));
    words.map(|word| word.trim_ascii()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    fn found(response: &HeaderMap) -> Result<Tags, Unstorable> {
        let tags = tags(&Host::parse("a.example").unwrap(), response);
        assert_eq!(super::check(response).is_ok(), tags.is_ok());
        tags
    }

    fn check(lines: &str, expect: &[&str]) {
        assert_eq!(found(&fields(lines)), Ok(Tags::of(expect.iter().copied())), "{lines}");
    }

    #[test]
    fn both_fields_are_read_in_all_their_lines() {
        check("", &[]);
        check("x-tag:a", &[]);
        check("surrogate-key:a b  c", &["a", "b", "c"]);
        check("surrogate-key:a b|surrogate-key:c", &["a", "b", "c"]);
        check("cache-tag:a, b,c ,", &["a", "b", "c"]);
        check("cache-tag:a|cache-tag:b|surrogate-key:a\tc", &["a", "b", "c"]);
        check("surrogate-key:|cache-tag:, ,", &[]);
    }

    #[test]
    fn groups_are_tags_of_their_host() {
        // RFC 9875 §2.1.
        check("cache-groups:\"x y\"|cache-tag:a", &["a", "cache-group:a.example:x%20y"]);
        check("cache-groups:x", &[]);
    }

    #[test]
    fn a_tag_that_no_purge_could_name_keeps_its_response_out() {
        let long = "x".repeat(model::limits::TAG_BYTES_MAX + 1);
        for odd in ["surrogate-key:a,b", "cache-tag:a b", "cache-tag:caf\u{e9}"] {
            assert_eq!(found(&fields(odd)), Err(Unstorable::Tags), "{odd}");
        }
        assert_eq!(found(&fields(&format!("cache-tag:{long}"))), Err(Unstorable::Tags));
        check(&format!("cache-tag:{}", &long[1..]), &[&long[1..]]);
    }

    #[test]
    fn tags_are_limited_in_number() {
        let words: Vec<String> = (0..=TAGS_MAX).map(|at| format!("t{at}")).collect();
        let line = |words: &[String]| fields(&format!("surrogate-key:{}", words.join(" ")));
        assert_eq!(found(&line(&words[1..])).unwrap().marks().len(), TAGS_MAX);
        assert_eq!(found(&line(&words)), Err(Unstorable::Tags));
        let group = |words: &[String]| {
            let mut headers = line(words);
            headers.insert(&CACHE_GROUPS, http::HeaderValue::from_static("\"g\""));
            headers
        };
        assert_eq!(found(&group(&words[2..])).unwrap().marks().len(), TAGS_MAX);
        assert_eq!(found(&group(&words[1..])), Err(Unstorable::Tags));
    }
}
