//! Field lines (RFC 9112 §5), to the letter: no folding, no blank before the colon, no control
//! characters. Values share the bytes that were read.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use model::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX};

use crate::flaw::Flaw;

/// Fields that decide about framing, routing, caching or access: they mean nothing after the body
/// that they would have decided about (RFC 9110 §6.5.1).
const NEVER_TRAILERS: [HeaderName; 13] = [
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::HOST,
    header::CONNECTION,
    header::TRAILER,
    header::TE,
    header::UPGRADE,
    header::CACHE_CONTROL,
    header::AUTHORIZATION,
    header::SET_COOKIE,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
];

/// The fields of `lines`, each of which ends in CRLF.
pub(crate) fn parse(lines: &Bytes) -> Result<HeaderMap, Flaw> {
    let mut fields = HeaderMap::with_capacity(16);
    let (mut begin, mut bytes) = (0, 0);
    while begin < lines.len() {
        let rest = &lines[begin..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Flaw::LineEnd)?;
        let line = rest[..length].strip_suffix(b"\r").ok_or(Flaw::LineEnd)?;
        let (name, value) = split(line)?;
        let value = trimmed(line, value);
        bytes += name.as_str().len() + value.len();
        let value = lines.slice(begin + value.start..begin + value.end);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Flaw::FieldValue)?;
        fields.try_append(name, value).map_err(|_| Flaw::LargeHead)?;
        begin += length + 1;
    }
    let fits = fields.len() <= HEADER_FIELDS_MAX && bytes <= HEADER_BYTES_MAX;
    if fits { Ok(fields) } else { Err(Flaw::LargeHead) }
}

/// Takes from `trailers` what must not come behind a body.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    for name in &NEVER_TRAILERS {
        trailers.remove(name);
    }
}

/// The name, and where what follows the colon begins.
fn split(line: &[u8]) -> Result<(HeaderName, usize), Flaw> {
    if line.first().is_some_and(|first| is_blank(*first)) {
        return Err(Flaw::Folded);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Flaw::FieldName)?;
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Flaw::FieldName)?;
    Ok((name, colon + 1))
}

/// The part of `line` from `begin` on without the blanks around it.
fn trimmed(line: &[u8], begin: usize) -> std::ops::Range<usize> {
    let end = line.iter().rposition(|byte| !is_blank(*byte)).map_or(begin, |last| last + 1);
    let end = end.max(begin);
    let blanks = line[begin..end].iter().take_while(|byte| is_blank(**byte)).count();
    begin + blanks..end
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &'static [u8], expect: Result<&[(&str, &[u8])], Flaw>) {
        let fields = parse(&Bytes::from_static(lines));
        let shown = lines.escape_ascii().to_string();
        match (fields, expect) {
            (Ok(fields), Ok(expect)) => {
                let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                assert_eq!(pairs.collect::<Vec<_>>(), expect, "{shown}");
            }
            (fields, expect) => {
                assert_eq!(fields.err(), expect.err(), "{shown}");
            }
        }
    }

    #[test]
    fn a_field_is_a_token_a_colon_and_a_value() {
        check(b"", Ok(&[]));
        check(b"A:b\r\nc-D: \t e f \t\r\n", Ok(&[("a", b"b"), ("c-d", b"e f")]));
        check(b"A:\r\nB: \t \r\n", Ok(&[("a", b""), ("b", b"")]));
        check(b"A: b\xe9\r\n", Ok(&[("a", b"b\xe9")]));
        check(b"A: b:c\r\n", Ok(&[("a", b"b:c")]));
    }

    #[test]
    fn a_field_of_any_other_shape_is_refused() {
        // RFC 9112 §5.1 and §5.2, RFC 9110 §5.1 and §5.5.
        for (lines, flaw) in [
            (&b"A : b\r\n"[..], Flaw::FieldName),
            (b"A\t: b\r\n", Flaw::FieldName),
            (b": b\r\n", Flaw::FieldName),
            (b"A\r\n", Flaw::FieldName),
            (b"A(: b\r\n", Flaw::FieldName),
            (b"\xe9: b\r\n", Flaw::FieldName),
            (b"A\0: b\r\n", Flaw::FieldName),
            (b"A: b\r\n c\r\n", Flaw::Folded),
            (b"A: b\r\n\tc: d\r\n", Flaw::Folded),
            (b" A: b\r\n", Flaw::Folded),
            (b"A: b\0c\r\n", Flaw::FieldValue),
            (b"A: b\x01\r\n", Flaw::FieldValue),
            (b"A: b\x7f\r\n", Flaw::FieldValue),
            (b"A: b\rc: d\r\n", Flaw::FieldValue),
            (b"A: b\r\r\n", Flaw::FieldValue),
            (b"\rA: b\r\n", Flaw::FieldName),
            (b"A: b\n", Flaw::LineEnd),
            (b"A: b", Flaw::LineEnd),
        ] {
            check(lines, Err(flaw));
        }
    }

    #[test]
    fn fields_are_counted_and_measured() {
        let line = |bytes: usize| Bytes::from(format!("X: {}\r\n", "x".repeat(bytes - 1)));
        assert!(parse(&line(HEADER_BYTES_MAX)).is_ok());
        assert_eq!(parse(&line(HEADER_BYTES_MAX + 1)), Err(Flaw::LargeHead));
        let many = |count: usize| Bytes::from("X: 1\r\n".repeat(count));
        assert!(parse(&many(HEADER_FIELDS_MAX)).is_ok());
        assert_eq!(parse(&many(HEADER_FIELDS_MAX + 1)), Err(Flaw::LargeHead));
    }
}
