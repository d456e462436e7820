//! Which parts of a complete response a viewer asked for (RFC 9110 §14).
//!
//! One range becomes a part, several become parts of a `multipart/byteranges`. Ranges that overlap,
//! or lie closer together than the head of a part is long, are coalesced (§15.3.7.2), so no set of
//! ranges costs more than the whole. What is malformed, of another unit, or lists more than
//! [`RANGES_MAX`] becomes the whole: a server may ignore `Range` (§14.2).

use std::fmt;

use http::header::{HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, Method, StatusCode};
use model::limits::{PART_HEAD_BYTES, RANGES_MAX};

use crate::etag::EntityTag;
use crate::field;
use crate::revalidate;

/// Some bytes of a representation, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte; never before the first.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes these are.
    pub fn bytes(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// What to send of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, with the response's own status.
    Whole,
    /// These bytes, with 206.
    Part(ByteRange),
    /// These bytes, at least two ranges that do not touch, in the order asked for, with 206.
    Parts(Vec<ByteRange>),
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
    let Some(specs) = asked(request) else { return Ranged::Whole };
    // Satisfiable, but no Content-Range can say so.
    if length == 0 && specs.iter().any(|spec| matches!(spec, Spec::Suffix(1..))) {
        return Ranged::Whole;
    }
    let ranges = specs.into_iter().filter_map(|spec| spec.within(length)).collect();
    match coalesced(ranges)[..] {
        [] => Ranged::Unsatisfiable,
        [one] => Ranged::Part(one),
        ref several => Ranged::Parts(several.to_vec()),
    }
}

/// Where the first range of a request begins, before anything is known of the response: the end of
/// an unknown length may be anywhere, so a suffix begins at 0. None if there is no range to heed.
pub fn first_byte(method: &Method, request: &HeaderMap) -> Option<u64> {
    let specs = (*method == Method::GET).then(|| asked(request))??;
    specs.first().map(|spec| match spec {
        Spec::From { first, .. } => *first,
        Spec::Suffix(_) => 0,
    })
}

/// `Content-Range` of `range` of `length` bytes (RFC 9110 §14.4).
pub fn content_range(range: ByteRange, length: u64) -> HeaderValue {
    let ByteRange { first, last } = range;
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

/// One range as it was asked for (RFC 9110 §14.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// `first-last` or `first-`.
    From { first: u64, last: u64 },
    /// `-length`.
    Suffix(u64),
}

/// The set of byte ranges that is asked for; none if there is no valid one.
fn asked(request: &HeaderMap) -> Option<Vec<Spec>> {
    let value = field::only(request, &RANGE)?.as_bytes();
    let (unit, set) = value.split_at_checked(b"bytes=".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let mut specs = Vec::new();
    let named = set.split(|byte| *byte == b',').map(|spec| spec.trim_ascii());
    for spec in named.filter(|spec| !spec.is_empty()) {
        if specs.len() == RANGES_MAX {
            return None;
        }
        specs.push(Spec::parse(spec)?);
    }
    (!specs.is_empty()).then_some(specs)
}

impl Spec {
    /// `first-last`, `first-` or `-suffix`; none when it is malformed.
    fn parse(spec: &[u8]) -> Option<Spec> {
        let dash = spec.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (&spec[..dash], &spec[dash + 1..]);
        if first.is_empty() {
            return position(last).map(Spec::Suffix);
        }
        let first = position(first)?;
        let last = if last.is_empty() { u64::MAX } else { position(last)? };
        (first <= last).then_some(Spec::From { first, last })
    }

    /// What there is of it in `length` bytes; none if it is not satisfiable (RFC 9110 §14.1.2).
    fn within(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        match self {
            Spec::Suffix(0) => None,
            Spec::Suffix(suffix) => {
                Some(ByteRange { first: length.saturating_sub(suffix), last: end })
            }
            Spec::From { first, last } => {
                (first < length).then_some(ByteRange { first, last: last.min(end) })
            }
        }
    }
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

/// The same bytes in ranges between which it is worth the head of a part to leave something out;
/// each where the first of those that it is made of stood.
fn coalesced(ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    let mut placed: Vec<(ByteRange, usize)> =
        ranges.into_iter().enumerate().map(|(at, range)| (range, at)).collect();
    placed.sort_unstable();
    let mut merged: Vec<(usize, ByteRange)> = Vec::with_capacity(placed.len());
    for (range, at) in placed {
        match merged.last_mut() {
            Some((place, before)) if range.first <= before.last.saturating_add(PART_HEAD_BYTES) => {
                before.last = before.last.max(range.last);
                *place = at.min(*place);
            }
            Some(_) | None => merged.push((at, range)),
        }
    }
    merged.sort_unstable();
    merged.into_iter().map(|(_, range)| range).collect()
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
            assert_eq!(resolved(range, 10_000), Ranged::Part(ByteRange { first, last }), "{range}");
        }
    }

    #[test]
    fn a_malformed_set_of_ranges_is_the_whole() {
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
            "bytes=0-1,4",
            "bytes=0-1;4-5",
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
        let part = Ranged::Part(ByteRange { first: 0, last: 1 });
        for (condition, response, expect) in [
            ("\"a\"", &dated, &part),
            ("\"b\"", &dated, &Ranged::Whole),
            ("W/\"a\"", &dated, &Ranged::Whole),
            ("\"a\"", &young, &Ranged::Whole),
            ("W/\"a\"", &young, &Ranged::Whole),
            (EARLIER, &dated, &part),
            (NOON, &dated, &Ranged::Whole),
            (NOON, &young, &Ranged::Whole),
            ("garbage", &dated, &Ranged::Whole),
            ("\"a\"|if-range:\"a\"", &dated, &Ranged::Whole),
        ] {
            let request = fields(&format!("range:bytes=0-1|if-range:{condition}"));
            let found = resolve(&Method::GET, &request, StatusCode::OK, &fields(response), 9);
            assert_eq!(found, *expect, "{condition} {response}");
        }
    }

    #[test]
    fn content_range_says_what_is_sent() {
        // RFC 9110 §14.4.
        assert_eq!(content_range(ByteRange { first: 0, last: 9 }, 100), "bytes 0-9/100");
        assert_eq!(unsatisfied_range(100), "bytes */100");
    }

    fn parts(range: &str, length: u64) -> Vec<(u64, u64)> {
        match resolved(range, length) {
            Ranged::Parts(parts) => parts.iter().map(|part| (part.first, part.last)).collect(),
            Ranged::Part(part) => vec![(part.first, part.last)],
            Ranged::Whole | Ranged::Unsatisfiable => vec![],
        }
    }

    #[test]
    fn several_ranges_are_parts_in_the_order_asked_for() {
        // RFC 9110 §14.1.2 and §15.3.7.2.
        for (range, expect) in [
            ("bytes=0-0,-1", vec![(0, 0), (9_999, 9_999)]),
            ("bytes=500-600,700-999", vec![(500, 600), (700, 999)]),
            ("bytes=700-999, 500-600", vec![(700, 999), (500, 600)]),
            ("bytes=0-9,10000-,5000-5009", vec![(0, 9), (5_000, 5_009)]),
            ("bytes=20000-,-5", vec![(9_995, 9_999)]),
        ] {
            assert_eq!(parts(range, 10_000), expect, "{range}");
        }
        assert_eq!(resolved("bytes=10000-,20000-", 10_000), Ranged::Unsatisfiable);
    }

    #[test]
    fn what_overlaps_or_lies_close_together_is_coalesced() {
        // RFC 9110 §15.3.7.2: the RFC's own examples of §14.1.2 among them.
        for (range, expect) in [
            ("bytes=500-600,601-999", vec![(500, 999)]),
            ("bytes=500-700,601-999", vec![(500, 999)]),
            ("bytes=0-,0-,0-,0-", vec![(0, 9_999)]),
            ("bytes=9000-,0-9,8000-9100,5-20", vec![(8_000, 9_999), (0, 20)]),
            ("bytes=0-9,89-99", vec![(0, 99)]),
            ("bytes=0-9,90-99", vec![(0, 9), (90, 99)]),
            ("bytes=0-9,5000-5009,8-5001", vec![(0, 5_009)]),
        ] {
            assert_eq!(parts(range, 10_000), expect, "{range}");
        }
    }

    #[test]
    fn more_ranges_than_the_limit_are_the_whole() {
        let ranges = |count: usize| {
            let specs: Vec<String> = (0..count).map(|at| format!("{0}-{0}", at * 1_000)).collect();
            format!("bytes={}", specs.join(","))
        };
        assert_eq!(parts(&ranges(RANGES_MAX), 1_000_000).len(), RANGES_MAX);
        assert_eq!(resolved(&ranges(RANGES_MAX + 1), 1_000_000), Ranged::Whole);
    }

    #[test]
    fn where_a_request_begins_is_known_before_the_response() {
        for (range, expect) in [
            ("bytes=5-9", Some(5)),
            ("bytes=7-,0-1", Some(7)),
            ("bytes=-5", Some(0)),
            ("bytes=5-4", None),
            ("lines=5-9", None),
        ] {
            let request = fields(&format!("range:{range}"));
            assert_eq!(first_byte(&Method::GET, &request), expect, "{range}");
            assert_eq!(first_byte(&Method::HEAD, &request), None, "{range}");
        }
        assert_eq!(first_byte(&Method::GET, &HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_body_apart_from_each_other_and_cover_what_was_asked(
            specs in proptest::collection::vec((0u64..2_000, 0u64..2_000), 1..9),
            length in 1u64..1_500,
        ) {
            let spec = |(a, b): &(u64, u64)| format!("{}-{}", a.min(b), a.max(b));
            let specs_text: Vec<String> = specs.iter().map(spec).collect();
            let mut found = parts(&format!("bytes={}", specs_text.join(",")), length);
            let covers = |at: u64| found.iter().any(|(first, last)| (*first..=*last).contains(&at));
            for (a, b) in &specs {
                prop_assert!((*a.min(b)..=*a.max(b)).filter(|at| *at < length).all(covers));
            }
            found.sort_unstable();
            prop_assert!(found.iter().all(|(first, last)| first <= last && *last < length));
            prop_assert!(found.windows(2).all(|two| two[0].1 + PART_HEAD_BYTES < two[1].0));
        }

        #[test]
        fn any_bytes_are_answered(
            range in proptest::collection::vec(0u8.., 0..60),
            length in 0u64..,
        ) {
            if let Ok(value) = HeaderValue::from_bytes(&range) {
                let request = HeaderMap::from_iter([(RANGE, value)]);
                resolve(&Method::GET, &request, StatusCode::OK, &HeaderMap::new(), length);
            }
        }

        #[test]
        fn any_range_is_answered(
            range in "bytes=([0-9]{0,21}-[0-9]{0,21}[ ,]{0,2}){0,40}",
            length in 0u64..,
        ) {
            match resolved(&range, length) {
                Ranged::Part(part) => prop_assert!(part.first <= part.last && part.last < length),
                Ranged::Parts(parts) => prop_assert!(parts.len() >= 2),
                Ranged::Whole | Ranged::Unsatisfiable => {}
            }
        }
    }
}
