//! The names that an origin gives a response, so that a purge by one of them reaches it:
//! `Surrogate-Key` (Fastly, Varnish) and `Cache-Tag` (Cloudflare, Akamai).
//!
//! Between tiers these fields travel with the response. A name that could not be purged later must
//! not be lost silently: a response with one is not kept at all.

use http::{HeaderMap, HeaderName};
use model::limits::TAGS_MAX;
use model::{Tag, Tags};

use crate::storable::Unstorable;

/// Names separated by spaces.
static SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Names separated by commas.
static CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// The fields that carry tags.
pub static TAG_FIELDS: [&HeaderName; 2] = [&SURROGATE_KEY, &CACHE_TAG];

/// The tags of the response with these fields, or that they cannot all be kept track of.
pub fn tags(response: &HeaderMap) -> Result<Tags, Unstorable> {
    let has_none = TAG_FIELDS.iter().all(|name| !response.contains_key(*name));
    if has_none {
        return Ok(Tags::NONE);
    }
    let spaced = words(response, &SURROGATE_KEY, |byte| byte == b' ' || byte == b'\t');
    let listed = words(response, &CACHE_TAG, |byte| byte == b',');
    let mut found = Vec::new();
    for word in spaced.chain(listed) {
        let text = std::str::from_utf8(word).map_err(|_| Unstorable::Tags)?;
        let tag = Tag::parse(text).map_err(|_| Unstorable::Tags)?;
        if found.len() == TAGS_MAX {
            return Err(Unstorable::Tags);
        }
        found.push(tag);
    }
    Ok(Tags::of(found.iter().map(Tag::as_str)))
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

    fn check(lines: &str, expect: &[&str]) {
        assert_eq!(tags(&fields(lines)), Ok(Tags::of(expect.iter().copied())), "{lines}");
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
    fn a_tag_that_no_purge_could_name_keeps_its_response_out() {
        let long = "x".repeat(model::limits::TAG_BYTES_MAX + 1);
        for odd in ["surrogate-key:a,b", "cache-tag:a b", "cache-tag:caf\u{e9}"] {
            assert_eq!(tags(&fields(odd)), Err(Unstorable::Tags), "{odd}");
        }
        assert_eq!(tags(&fields(&format!("cache-tag:{long}"))), Err(Unstorable::Tags));
        check(&format!("cache-tag:{}", &long[1..]), &[&long[1..]]);
    }

    #[test]
    fn tags_are_limited_in_number() {
        let words: Vec<String> = (0..=TAGS_MAX).map(|at| format!("t{at}")).collect();
        let line = |words: &[String]| fields(&format!("surrogate-key:{}", words.join(" ")));
        assert_eq!(tags(&line(&words[1..])).unwrap().marks().len(), TAGS_MAX);
        assert_eq!(tags(&line(&words)), Err(Unstorable::Tags));
    }
}
