//! How a message's body is delimited (RFC 9112 §6), where there is exactly one way to read it.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Version};

use crate::flaw::Flaw;

/// What the fields of a message say about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Nothing.
    Unsaid,
    /// So many bytes.
    Bytes(u64),
    /// Chunks, and a last one.
    Chunked,
}

/// Reads how the body of a message of `version` with these fields is delimited.
pub(crate) fn length(headers: &HeaderMap, version: Version) -> Result<Length, Flaw> {
    let coded = headers.contains_key(TRANSFER_ENCODING);
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next(), coded) {
        (None, _, false) => Ok(Length::Unsaid),
        (None, _, true) if version == Version::HTTP_10 => Err(Flaw::EarlyCoding),
        (None, _, true) => coding(headers),
        (Some(_), _, true) => Err(Flaw::LengthAndCoding),
        (Some(one), None, false) => number(one).map(Length::Bytes),
        (Some(_), Some(_), false) => Err(Flaw::Length),
    }
}

/// RFC 9112 §6.1: `chunked` last and once, and nothing before it that we would have to undo.
fn coding(headers: &HeaderMap) -> Result<Length, Flaw> {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let codings: Vec<&[u8]> = codings.map(<[u8]>::trim_ascii).collect();
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.split_last() {
        Some((last, before)) if is_chunked(last) => {
            let is_strange = |coding: &&[u8]| coding.is_empty() || is_chunked(coding);
            match before {
                [] => Ok(Length::Chunked),
                _ if before.iter().any(is_strange) => Err(Flaw::Coding),
                _ => Err(Flaw::UnknownCoding),
            }
        }
        Some(_) | None => Err(Flaw::Coding),
    }
}

fn number(value: &HeaderValue) -> Result<u64, Flaw> {
    let digits = value.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Flaw::Length);
    }
    // Beyond i64 the readers behind us begin to differ.
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    number.filter(|bytes| *bytes <= i64::MAX.unsigned_abs()).ok_or(Flaw::Length)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http1::fields;

    fn check(lines: &'static str, version: Version, expect: Result<Length, Flaw>) {
        let headers = fields::parse(&Bytes::from_static(lines.as_bytes())).unwrap();
        assert_eq!(length(&headers, version), expect, "{lines:?}");
    }

    #[test]
    fn a_length_is_one_number_given_once() {
        // RFC 9112 §6.3, RFC 9110 §8.6.
        for (lines, expect) in [
            ("", Ok(Length::Unsaid)),
            ("Content-Length: 0\r\n", Ok(Length::Bytes(0))),
            ("Content-Length: 0042\r\n", Ok(Length::Bytes(42))),
            ("Content-Length: 9223372036854775807\r\n", Ok(Length::Bytes(i64::MAX as u64))),
            ("Content-Length: 9223372036854775808\r\n", Err(Flaw::Length)),
            ("Content-Length: 99999999999999999999999\r\n", Err(Flaw::Length)),
            ("Content-Length:\r\n", Err(Flaw::Length)),
            ("Content-Length: +1\r\n", Err(Flaw::Length)),
            ("Content-Length: -1\r\n", Err(Flaw::Length)),
            ("Content-Length: 1 \t\r\n", Ok(Length::Bytes(1))),
            ("Content-Length: 1 1\r\n", Err(Flaw::Length)),
            ("Content-Length: 0x1\r\n", Err(Flaw::Length)),
            ("Content-Length: 1.0\r\n", Err(Flaw::Length)),
            ("Content-Length: 1, 1\r\n", Err(Flaw::Length)),
            ("Content-Length: \u{ff11}\r\n", Err(Flaw::Length)),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", Err(Flaw::Length)),
            ("Content-Length: 1\r\nContent-Length: 2\r\n", Err(Flaw::Length)),
        ] {
            check(lines, Version::HTTP_11, expect);
        }
    }

    #[test]
    fn a_coding_is_chunked_and_nothing_else() {
        // RFC 9112 §6.1 and §6.3.
        for (lines, expect) in [
            ("Transfer-Encoding: chunked\r\n", Ok(Length::Chunked)),
            ("Transfer-Encoding: CHUNKED\r\n", Ok(Length::Chunked)),
            ("Transfer-Encoding:\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: identity\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: gzip\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: xchunked\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: chunked;a=b\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: \"chunked\"\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: chunked, identity\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: , chunked\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: chunked,\r\n", Err(Flaw::Coding)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(Flaw::UnknownCoding)),
            ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", Err(Flaw::UnknownCoding)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", Err(Flaw::LengthAndCoding)),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", Err(Flaw::LengthAndCoding)),
            ("Content-Length: 3\r\nTransfer-Encoding: x\r\n", Err(Flaw::LengthAndCoding)),
        ] {
            check(lines, Version::HTTP_11, expect);
        }
    }

    #[test]
    fn http_1_0_has_no_codings() {
        check("Transfer-Encoding: chunked\r\n", Version::HTTP_10, Err(Flaw::EarlyCoding));
        check("Content-Length: 3\r\n", Version::HTTP_10, Ok(Length::Bytes(3)));
    }
}
