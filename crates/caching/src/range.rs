//! Which part of a complete response a viewer asked for (RFC 9110 §14).
//!
//! One byte range becomes a part. Several become the whole: a server may ignore `Range` (§14.2),
//! and a multipart answer is an old way to make a small request expensive. So does whatever is
//! malformed.

use std::fmt;

use http::header::{HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, Method, StatusCode};

use crate::etag::EntityTag;
use crate::field;
use crate::revalidate;

/// What to send of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, with the response's own status.
    Whole,
    /// These bytes, both ends included, with 206.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// Nothing of it, with 416.
    Unsatisfiable,
}

/// What to send of a stored response whose body has `length` bytes. Preconditions come first (RFC
/// 9110 §13.2.2): see [`crate::evaluate`].
pub fn resolve(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    length: u64,
) -> Ranged {
    // RFC 9110 §14.2: Range is defined for GET, and for what would be a 200.
    if *method != Method::GET || status != StatusCode::OK || !may_send_part(request, response) {
        return Ranged::Whole;
    }
    let spec = field::only(request, &RANGE).and_then(|value| single_spec(value));
    spec.and_then(|spec| part(spec, length)).unwrap_or(Ranged::Whole)
}

/// `Content-Range` of the bytes from `first` to `last` of `length` (RFC 9110 §14.4).
pub fn content_range(first: u64, last: u64, length: u64) -> HeaderValue {
    value(format_args!("{first}-{last}/{length}"))
}

/// `Content-Range` of a 416 about a representation of `length` bytes (RFC 9110 §15.5.17).
pub fn unsatisfied_range(length: u64) -> HeaderValue {
    value(format_args!("*/{length}"))
}

fn value(range: fmt::Arguments<'_>) -> HeaderValue {
    HeaderValue::try_from(format!("bytes {range}")).expect("digits and punctuation are a value")
}

/// `If-Range` (RFC 9110 §13.1.5): the same strong entity tag or strong date, or else the whole.
fn may_send_part(request: &HeaderMap, response: &HeaderMap) -> bool {
    if !request.contains_key(IF_RANGE) {
        return true;
    }
    let Some(value) = field::only(request, &IF_RANGE) else { return false };
    match EntityTag::parse(value.as_bytes()) {
        Some(theirs) => EntityTag::of(response).is_some_and(|ours| ours.equals_strongly(&theirs)),
        None => field::parse_date(value)
            .is_some_and(|date| revalidate::strong_date(response) == Some(date)),
    }
}

/// The only range of a byte-ranges specifier (RFC 9110 §14.1.2).
fn single_spec(value: &HeaderValue) -> Option<&[u8]> {
    let (unit, set) = value.as_bytes().split_at_checked(b"bytes=".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let mut specs = set.split(|byte| *byte == b',').map(|spec| spec.trim_ascii());
    let mut named = specs.by_ref().filter(|spec| !spec.is_empty());
    named.next().filter(|_| named.next().is_none())
}

/// The part that `first-last`, `first-` or `-suffix` means; none when it is malformed.
fn part(spec: &[u8], length: u64) -> Option<Ranged> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    let end = length.saturating_sub(1);
    if first.is_empty() {
        return Some(match (position(last)?, length) {
            (0, _) => Ranged::Unsatisfiable,
            // Satisfiable, but no Content-Range can say so.
            (_, 0) => Ranged::Whole,
            (suffix, _) => Ranged::Part { first: length.saturating_sub(suffix), last: end },
        });
    }
    let first = position(first)?;
    let last = if last.is_empty() { u64::MAX } else { position(last)? };
    if last < first {
        return None;
    }
    let is_satisfiable = first < length;
    let part = Ranged::Part { first, last: last.min(end) };
    Some(if is_satisfiable { part } else { Ranged::Unsatisfiable })
}

/// A byte position; beyond 64 bits all positions are alike.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append =
        |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{EARLIER, NOON, fields};

    fn resolved(range: &str, length: u64) -> Ranged {
        let request = fields(&format!("range:{range}"));
        resolve(&Method::GET, &request, StatusCode::OK, &HeaderMap::new(), length)
    }

    #[test]
    fn one_range_is_one_part() {
        // RFC 9110 §14.1.2, its examples with a representation of 10,000 bytes.
        for (range, first, last) in [
            ("bytes=0-499", 0, 499),
            ("bytes=500-999", 500, 999),
            ("bytes=-500", 9500, 9999),
            ("bytes=9500-", 9500, 9999),
            ("bytes=0-0", 0, 0),
            ("bytes=-1", 9999, 9999),
            ("BYTES=9999-9999", 9999, 9999),
            ("bytes=, 0-1 ,", 0, 1),
            ("bytes=9990-99999", 9990, 9999),
            ("bytes=-99999", 0, 9999),
            ("bytes=1-99999999999999999999999", 1, 9999),
            ("bytes=-99999999999999999999999", 0, 9999),
        ] {
            assert_eq!(resolved(range, 10_000), Ranged::Part { first, last }, "{range}");
        }
    }

    #[test]
    fn several_or_malformed_ranges_are_the_whole() {
        // RFC 9110 §14.2: a server may ignore Range, and must ignore what is invalid.
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=1",
            "items=0-1",
            "bytes=0-1,4-5",
            "bytes= =0-1",
            "bytes=0-1-2",
            "bytes=+0-1",
            "bytes=0 - 1",
            "bytes 0-1",
        ] {
            assert_eq!(resolved(range, 100), Ranged::Whole, "{range}");
        }
        assert_eq!(resolved("bytes=0-1|range:bytes=2-3", 100), Ranged::Whole);
    }

    #[test]
    fn a_range_beyond_the_end_is_unsatisfiable() {
        // RFC 9110 §14.1.2 and §15.5.17.
        for (range, length) in [
            ("bytes=100-", 100),
            ("bytes=100-200", 100),
            ("bytes=-0", 100),
            ("bytes=0-", 0),
            ("bytes=99999999999999999999999-", u64::MAX),
        ] {
            assert_eq!(resolved(range, length), Ranged::Unsatisfiable, "{range}");
        }
        assert_eq!(resolved("bytes=-5", 0), Ranged::Whole);
    }

    #[test]
    fn only_a_get_of_a_200_has_parts() {
        // RFC 9110 §14.2.
        let (request, response) = (fields("range:bytes=0-1"), fields(""));
        for (method, status) in [(Method::HEAD, 200), (Method::POST, 200), (Method::GET, 404)] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = resolve(&method, &request, status, &response, 9);
            assert_eq!(found, Ranged::Whole, "{method} {status}");
        }
    }

    #[test]
    fn if_range_needs_a_strong_match() {
        // RFC 9110 §13.1.5.
        let dated = format!("etag:\"a\"|last-modified:{EARLIER}|date:{NOON}");
        let young = format!("etag:W/\"a\"|last-modified:{NOON}|date:{NOON}");
        let part = Ranged::Part { first: 0, last: 1 };
        for (condition, response, expect) in [
            ("\"a\"", &dated, part),
            ("\"b\"", &dated, Ranged::Whole),
            ("W/\"a\"", &dated, Ranged::Whole),
            ("\"a\"", &young, Ranged::Whole),
            ("W/\"a\"", &young, Ranged::Whole),
            (EARLIER, &dated, part),
            (NOON, &dated, Ranged::Whole),
            (NOON, &young, Ranged::Whole),
            ("garbage", &dated, Ranged::Whole),
            ("\"a\"|if-range:\"a\"", &dated, Ranged::Whole),
        ] {
            let request = fields(&format!("range:bytes=0-1|if-range:{condition}"));
            let found = resolve(&Method::GET, &request, StatusCode::OK, &fields(response), 9);
            assert_eq!(found, expect, "{condition} {response}");
        }
    }

    #[test]
    fn content_range_says_what_is_sent() {
        // RFC 9110 §14.4.
        assert_eq!(content_range(0, 9, 100), "bytes 0-9/100");
        assert_eq!(unsatisfied_range(100), "bytes */100");
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_body(range in "bytes=[0-9]{0,21}-[0-9]{0,21}", length in 0u64..) {
            if let Ranged::Part { first, last } = resolved(&range, length) {
                prop_assert!(first <= last && last < length);
            }
        }

        #[test]
        fn any_range_is_answered(range in "[byteBYTES=0-9, -]{0,30}") {
            resolved(&range, 100);
        }
    }
}
