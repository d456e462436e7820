//! Large objects in slices: how a representation is divided, when it may be, and whether an answer
//! is a slice of it.
//!
//! Slices are fetched one by one, so only a strong `ETag` may hold them together (RFC 9110
//! §15.3.7.3, RFC 9111 §3.4): it and the length name the version, and the version is part of every
//! slice's key. Slices of two versions can never meet; those of an old one are found by nobody.

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use model::CacheKey;
use model::limits::{SLICE_BYTES, SLICED_BYTES_MAX, SLICED_BYTES_MIN};

use crate::field;
use crate::range::ByteRange;
use crate::revalidate::Validators;

/// Where slice `number` of `length` bytes lies; none if it lies behind the end.
pub fn slice_range(number: u64, length: u64) -> Option<ByteRange> {
    let first = number.checked_mul(SLICE_BYTES).filter(|first| *first < length)?;
    Some(ByteRange { first, last: (first + (SLICE_BYTES - 1)).min(length - 1) })
}

/// The number of the slice that holds a byte.
pub fn slice_of(byte: u64) -> u64 {
    byte / SLICE_BYTES
}

/// Asks for one slice of a representation of unknown length.
pub fn ask_for_slice(request: &mut HeaderMap, number: u64) {
    if let Some(ByteRange { first, last }) = slice_range(number, SLICED_BYTES_MAX)
        && let Ok(range) = HeaderValue::try_from(format!("bytes={first}-{last}"))
    {
        request.insert(RANGE, range);
    }
}

/// The name of a version of the object under `key`; none if nothing tells every byte of it from
/// another version's.
pub fn version(key: &CacheKey, response: &HeaderMap, length: u64) -> Option<CacheKey> {
    let etag = Validators::strong(response).etag?;
    Some(CacheKey::of(&[b"version", key.as_bytes(), etag.as_bytes(), &length.to_le_bytes()]))
}

/// The key of one slice of a version.
pub fn slice_key(version: &CacheKey, number: u64) -> CacheKey {
    CacheKey::of(&[b"slice", version.as_bytes(), &number.to_le_bytes()])
}

/// Whether a whole response whose body is about to come is better fetched slice by slice: it is
/// large, its origin says that it serves ranges, and a strong `ETag` holds them together.
pub fn is_better_sliced(status: StatusCode, response: &HeaderMap, length: Option<u64>) -> bool {
    let serves_ranges = field::all_members(response, &ACCEPT_RANGES)
        .any(|unit| unit.eq_ignore_ascii_case(b"bytes"));
    let is_large =
        length.is_some_and(|bytes| (SLICED_BYTES_MIN..=SLICED_BYTES_MAX).contains(&bytes));
    let is_strong = !Validators::strong(response).is_none();
    status == StatusCode::OK && is_large && serves_ranges && is_strong
}

/// What a 206 is to whoever asked for one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// All of the representation, of so many bytes.
    Whole(u64),
    /// One slice.
    Slice {
        /// Which.
        number: u64,
        /// Bytes of the whole representation.
        length: u64,
    },
}

/// What a 206 is; none if it cannot be put together with others: not cut as we cut, of unknown
/// length, without a strong `ETag`, or in several parts itself.
pub fn piece(response: &HeaderMap, body_bytes: Option<u64>) -> Option<Piece> {
    let (range, length) = parse_content_range(field::only(response, &CONTENT_RANGE)?)?;
    let is_announced = body_bytes.is_none_or(|bytes| bytes == range.bytes());
    let content_type = response.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let prefix = content_type.get(..b"multipart/".len()).unwrap_or_default();
    if !is_announced || prefix.eq_ignore_ascii_case(b"multipart/") {
        return None;
    }
    if range.first == 0 && range.bytes() == length {
        return Some(Piece::Whole(length));
    }
    let number = slice_of(range.first);
    let is_ours = slice_range(number, length) == Some(range) && length <= SLICED_BYTES_MAX;
    let is_strong = !Validators::strong(response).is_none();
    (is_ours && is_strong).then_some(Piece::Slice { number, length })
}

/// The fields of the whole representation, from those of a part of it.
pub fn fields_of_whole(part: &HeaderMap, length: u64) -> HeaderMap {
    let mut whole = part.clone();
    whole.remove(CONTENT_RANGE);
    whole.insert(CONTENT_LENGTH, HeaderValue::from(length));
    whole
}

/// Whether two responses are of one version and say the same of their content: the same strong
/// `ETag`, type and encoding.
pub fn is_same_version(one: &HeaderMap, other: &HeaderMap) -> bool {
    const OF_THE_CONTENT: [HeaderName; 2] = [http::header::CONTENT_ENCODING, CONTENT_TYPE];
    let agree = |name: &HeaderName| one.get_all(name).iter().eq(other.get_all(name));
    !Validators::strong(one).is_none() && agree(&ETAG) && OF_THE_CONTENT.iter().all(agree)
}

/// `bytes first-last/length` (RFC 9110 §14.4); a length that is not known is no use.
fn parse_content_range(value: &HeaderValue) -> Option<(ByteRange, u64)> {
    let (unit, rest) = value.as_bytes().split_at_checked(b"bytes ".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes ") {
        return None;
    }
    let (range, length) = std::str::from_utf8(rest).ok()?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| {
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| digits.parse::<u64>().ok())?
    };
    let (first, last, length) = (number(first)?, number(last)?, number(length)?);
    (first <= last && last < length).then_some((ByteRange { first, last }, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_206_is_a_slice_only_if_it_is_cut_as_we_cut_and_strongly_named() {
        // RFC 9110 §14.4 and §15.3.7.3.
        let slice = |number, length| Some(Piece::Slice { number, length });
        for (lines, expect) in [
            ("content-range:bytes 0-1048575/9000000|etag:\"1\"", slice(0, 9_000_000)),
            ("content-range:BYTES 1048576-2097151/9000000|etag:\"1\"", slice(1, 9_000_000)),
            ("content-range:bytes 8388608-8999999/9000000|etag:\"1\"", slice(8, 9_000_000)),
            ("content-range:bytes 0-99/100", Some(Piece::Whole(100))),
            ("content-range:bytes 0-1048575/9000000", None),
            ("content-range:bytes 0-1048575/9000000|etag:W/\"1\"", None),
            ("content-range:bytes 0-1048574/9000000|etag:\"1\"", None),
            ("content-range:bytes 1-1048576/9000000|etag:\"1\"", None),
            ("content-range:bytes 0-1048575/*|etag:\"1\"", None),
            ("content-range:bytes 5-4/100|etag:\"1\"", None),
            ("content-range:bytes 0-100/100|etag:\"1\"", None),
            ("content-range:bytes +0-99/100|etag:\"1\"", None),
            ("content-range:lines 0-99/100|etag:\"1\"", None),
            ("content-range:bytes 0-99/100|content-range:bytes 0-99/100", None),
            ("content-range:bytes 0-99/100|content-type:Multipart/byteranges", None),
            ("etag:\"1\"", None),
        ] {
            assert_eq!(piece(&fields(lines), None), expect, "{lines}");
        }
        let lines = fields("content-range:bytes 0-99/100");
        assert_eq!(piece(&lines, Some(100)), Some(Piece::Whole(100)));
        assert_eq!(piece(&lines, Some(99)), None);
    }

    #[test]
    fn only_what_is_large_strong_and_served_in_ranges_is_sliced() {
        let good = "etag:\"1\"|accept-ranges:bytes";
        let ok = StatusCode::OK;
        for (status, lines, length, expect) in [
            (ok, good, Some(SLICED_BYTES_MIN), true),
            (ok, good, Some(SLICED_BYTES_MAX), true),
            (ok, good, Some(SLICED_BYTES_MIN - 1), false),
            (ok, good, Some(SLICED_BYTES_MAX + 1), false),
            (ok, good, None, false),
            (StatusCode::NOT_FOUND, good, Some(9 * MIB), false),
            (ok, "etag:W/\"1\"|accept-ranges:bytes", Some(9 * MIB), false),
            (ok, "accept-ranges:bytes", Some(9 * MIB), false),
            (ok, "etag:\"1\"|accept-ranges:none", Some(9 * MIB), false),
            (ok, "etag:\"1\"", Some(9 * MIB), false),
        ] {
            let found = is_better_sliced(status, &fields(lines), length);
            assert_eq!(found, expect, "{status} {lines} {length:?}");
        }
    }

    #[test]
    fn a_version_is_an_etag_and_a_length_of_one_object() {
        let (one, other) = (CacheKey::of(&[b"1"]), CacheKey::of(&[b"2"]));
        let strong = fields("etag:\"1\"");
        let name = version(&one, &strong, 10);
        assert_eq!(version(&one, &fields("etag:\"1\"|x:y"), 10), name);
        assert_ne!(version(&one, &fields("etag:\"2\""), 10), name);
        assert_ne!(version(&one, &strong, 11), name);
        assert_ne!(version(&other, &strong, 10), name);
        assert_eq!(version(&one, &fields("etag:W/\"1\""), 10), None);
    }

    #[test]
    fn a_question_for_a_slice_is_a_range_of_it() {
        let mut request = fields("range:bytes=1-2");
        ask_for_slice(&mut request, 3);
        assert_eq!(request, fields("range:bytes=3145728-4194303"));
    }

    proptest! {
        #[test]
        fn slices_cover_every_byte_once(length in 1u64..40 * MIB) {
            let mut next = 0;
            for number in 0.. {
                let Some(range) = slice_range(number, length) else { break };
                prop_assert_eq!(range.first, next);
                prop_assert_eq!((slice_of(range.first), slice_of(range.last)), (number, number));
                next = range.last + 1;
            }
            prop_assert_eq!(next, length);
            prop_assert_eq!(slice_range(u64::MAX, length), None);
        }

        #[test]
        fn any_content_range_is_read(text in "(bytes |x)?[0-9*-]{0,21}[-/0-9* ]{0,12}") {
            if let Ok(value) = HeaderValue::from_str(&text)
                && let Some((range, length)) = parse_content_range(&value)
            {
                prop_assert!(range.first <= range.last && range.last < length);
            }
        }
    }
}
