//! Variants: the second part of the key, from the request fields that `Vary` names (RFC 9111 §4.1).
//!
//! Values are compared as lists: lines are joined, space around commas and empty members left out,
//! so that what means the same is stored once. An absent field differs from an empty one, and what
//! stands in a quoted string is as it is. Order counts: where it means nothing, no origin asks for
//! it to be undone.

use http::HeaderMap;
use http::header::{ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName, VARY};
use model::CacheKey;
use model::limits::VARY_FIELDS_MAX;

use crate::field;

/// What a response varies by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// Nothing: one copy serves all.
    None,
    /// Anything (`*`, or a member that is no field name): the copy serves nobody.
    Any,
    /// These fields, sorted, each once. When one more than [`VARY_FIELDS_MAX`] is listed, there may
    /// be others, and the response is not kept.
    Fields(Vec<HeaderName>),
}

/// What the response with these fields varies by.
pub fn vary(response: &HeaderMap) -> Vary {
    let mut fields: Vec<HeaderName> = Vec::new();
    for member in field::all_members(response, &VARY) {
        if member == b"*" {
            return Vary::Any;
        }
        let Ok(name) = HeaderName::from_bytes(member) else { return Vary::Any };
        let place = fields.binary_search_by(|known| known.as_str().cmp(name.as_str()));
        if let Err(at) = place
            && fields.len() <= VARY_FIELDS_MAX
        {
            fields.insert(at, name);
        }
    }
    if fields.is_empty() { Vary::None } else { Vary::Fields(fields) }
}

/// The key of the variant of `primary` that `request` asks for; `primary` itself without fields.
pub fn variant_key(primary: &CacheKey, fields: &[HeaderName], request: &HeaderMap) -> CacheKey {
    if fields.is_empty() {
        return *primary;
    }
    let values: Vec<Vec<u8>> = fields.iter().map(|name| normalised(request, name)).collect();
    let mut parts: Vec<&[u8]> = vec![b"variant", primary.as_bytes()];
    for (name, value) in fields.iter().zip(&values) {
        parts.push(name.as_str().as_bytes());
        parts.push(value);
    }
    CacheKey::of(&parts)
}

/// Fields whose values have no case (RFC 9110 §8.4.1, §12.5.2 and §12.5.4).
const CASELESS: [HeaderName; 3] = [ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE];

/// The members of the field's lines, each behind a byte that stands in no value, so that no two
/// lists are written alike; nothing when the field is absent.
fn normalised(request: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut joined = Vec::new();
    if request.contains_key(name) {
        joined.push(b'\n');
    }
    for member in field::all_members(request, name) {
        joined.push(b'\0');
        joined.extend_from_slice(member);
    }
    if CASELESS.contains(name) {
        joined.make_ascii_lowercase();
    }
    joined
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    const PRIMARY: CacheKey = CacheKey::from_bytes([7; 32]);

    fn names(list: &str) -> Vec<HeaderName> {
        match vary(&fields(&format!("vary:{list}"))) {
            Vary::Fields(names) => names,
            Vary::None | Vary::Any => Vec::new(),
        }
    }

    fn key(list: &str, request: &str) -> CacheKey {
        variant_key(&PRIMARY, &names(list), &fields(request))
    }

    #[test]
    fn vary_is_read_sorted_and_once() {
        // RFC 9110 §12.5.5.
        let expect =
            Vary::Fields(vec![HeaderName::from_static("accept"), HeaderName::from_static("x-a")]);
        assert_eq!(vary(&fields("vary:X-A, accept|vary:, Accept")), expect);
        assert_eq!(vary(&fields("vary:")), Vary::None);
        assert_eq!(vary(&fields("")), Vary::None);
    }

    #[test]
    fn a_star_or_a_nameless_field_is_anything() {
        // RFC 9111 §4.1: a stored response with * never matches.
        for value in ["*", "accept, *", "*|vary:accept", "a b", "\"accept, x\"", "caf\u{e9}"] {
            assert_eq!(vary(&fields(&format!("vary:{value}"))), Vary::Any, "{value}");
        }
        let wide: Vec<String> = (0..VARY_FIELDS_MAX + 9).map(|at| format!("x-{at}")).collect();
        assert_eq!(vary(&fields(&format!("vary:{},*", wide.join(",")))), Vary::Any);
    }

    #[test]
    fn the_limit_counts_distinct_fields() {
        let mut wide: Vec<String> = (0..VARY_FIELDS_MAX).map(|at| format!("x-{at}")).collect();
        wide.push("x-0".into());
        assert_eq!(names(&wide.join(",")).len(), VARY_FIELDS_MAX);
        wide.extend((0..9).map(|at| format!("x-more-{at}")));
        assert_eq!(names(&wide.join(",")).len(), VARY_FIELDS_MAX + 1);
    }

    #[test]
    fn what_means_the_same_shares_a_variant() {
        // RFC 9111 §4.1: whitespace, order of fields and repeated lines may be normalised, and what
        // is known to have no case.
        let one = key("a, b", "a:1, 2|b:3");
        for same in ["b:3|a:1|a:2|c:ignored", "a:1,2|b:3", "a: 1 ,\t2 |b:3", "a:1|a:, 2,,|b: 3,"] {
            assert_eq!(key("B,A", same), one, "{same}");
        }
        assert_eq!(key("", "a:1"), PRIMARY);
        assert_eq!(key("a", "a:"), key("a", "a:|a:,"));
        let language = |value: &str| key("accept-language", &format!("accept-language:{value}"));
        assert_eq!(language("en-GB,DE"), language("EN-gb, de"));
        assert_ne!(language("en, de"), language("de, en"));
    }

    #[test]
    fn what_differs_is_kept_apart() {
        // RFC 9111 §4.1: if a field is absent, it can only match another request if absent there.
        let requests = [
            "",
            "a:",
            "a:1",
            "b:1",
            "a:1|b:1",
            "a:1,2",
            "a:2, 1",
            "a:A",
            "a:a",
            "a:1 2",
            "a:\"1,2\"",
            "a:\"1, 2\"",
            "a:\"1|a:2\"",
        ];
        let keys: Vec<CacheKey> = requests.iter().map(|request| key("a, b", request)).collect();
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one), "{}", requests[at]);
            assert_ne!(*one, PRIMARY);
        }
        assert_ne!(key("a", "a:1"), key("a, b", "a:1"));
    }

    fn named(name: &'static str, values: &[String]) -> HeaderMap {
        let value = |value: &String| HeaderValue::from_str(value).unwrap();
        values.iter().map(|text| (HeaderName::from_static(name), value(text))).collect()
    }

    proptest! {
        #[test]
        fn any_vary_is_read(text in "[a-c*, \"\\\\-]{0,40}") {
            let found = vary(&named("vary", &[text]));
            if let Vary::Fields(names) = found {
                prop_assert!(names.is_sorted_by(|a, b| a.as_str() < b.as_str()));
            }
        }

        #[test]
        fn lines_and_one_joined_line_are_one_variant(
            values in proptest::collection::vec("[a-z,]{1,6}", 1..5),
            pad in "[ \t]{0,3}",
        ) {
            let pad = |value| format!("{pad}{value}{pad}");
            let padded: Vec<String> = values.iter().map(pad).collect();
            let name = [HeaderName::from_static("a")];
            let lines = variant_key(&PRIMARY, &name, &named("a", &padded));
            prop_assert_eq!(lines, variant_key(&PRIMARY, &name, &named("a", &[values.join(", ")])));
        }

        #[test]
        fn different_values_are_different_variants(one in "[a-z,]{0,6}", other in "[a-z,]{0,6}") {
            let name = [HeaderName::from_static("a")];
            let request = |value: &String| named("a", std::slice::from_ref(value));
            let key = |value: &String| variant_key(&PRIMARY, &name, &request(value));
            let members = |value: &str| -> Vec<String> {
                value.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect()
            };
            prop_assert_eq!(key(&one) == key(&other), members(&one) == members(&other));
        }
    }
}
