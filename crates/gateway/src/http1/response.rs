//! The head of an origin's response (RFC 9112 §4), held to the same letter as a request's.
//!
//! hyper reads responses; this only says whether there is one way to read a head. What it passes
//! and hyper then reads differently would be a gap, so it passes less than hyper does.

use bytes::Bytes;
use http::{StatusCode, Version};

use crate::flaw::Flaw;
use crate::http1::framing::{self, Length};
use crate::http1::{fields, request};

/// Judges `head`, which ends in an empty line; says whether it is the final one.
pub(crate) fn check(head: &Bytes) -> Result<Kind, Flaw> {
    let end = head.iter().position(|byte| *byte == b'\n').ok_or(Flaw::LineEnd)? + 1;
    let line = head[..end].strip_suffix(b"\r\n").ok_or(Flaw::LineEnd)?;
    let (version, status) = status_line(line)?;
    let headers = fields::parse(&head.slice(end..head.len() - b"\r\n".len()))?;
    let length = framing::length(&headers, version)?;
    match (status.is_informational(), length) {
        // RFC 9110 §8.6 and RFC 9112 §6.1: these have no body that could be framed.
        (true, Length::Bytes(_) | Length::Chunked) => Err(Flaw::Length),
        (true, Length::Unsaid) if status == StatusCode::SWITCHING_PROTOCOLS => Ok(Kind::Final),
        (true, Length::Unsaid) => Ok(Kind::Interim),
        (false, _) => Ok(Kind::Final),
    }
}

/// Whether another head follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It does (RFC 9110 §15.2).
    Interim,
    /// The body follows, if there is one.
    Final,
}

/// Whether `line` looks like the first of a response.
pub(crate) fn check_start(line: &[u8]) -> Result<(), Flaw> {
    status_line(line).map(drop)
}

/// RFC 9112 §4: the blank before an empty reason may be missing, as it often is.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode), Flaw> {
    let (version, rest) = line.split_at_checked(b"HTTP/1.1".len()).ok_or(Flaw::StartLine)?;
    let version = request::version(version)?;
    let rest = rest.strip_prefix(b" ").ok_or(Flaw::StartLine)?;
    let (code, reason) = rest.split_at_checked(3).ok_or(Flaw::StartLine)?;
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let is_reason = reason.is_empty() || reason[0] == b' ' && reason.iter().all(is_text);
    let status = StatusCode::from_bytes(code).map_err(|_| Flaw::StartLine)?;
    if is_reason { Ok((version, status)) } else { Err(Flaw::StartLine) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_passed_where_it_can_be_read_in_one_way() {
        let start = Err(Flaw::StartLine);
        for (head, expect) in [
            ("HTTP/1.1 200 OK\r\n", Ok(Kind::Final)),
            ("HTTP/1.0 200 OK\r\n", Ok(Kind::Final)),
            ("HTTP/1.1 200 \r\n", Ok(Kind::Final)),
            ("HTTP/1.1 200\r\n", Ok(Kind::Final)),
            ("HTTP/1.1 404 Nicht gefunden \u{e9}\r\n", Ok(Kind::Final)),
            ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", Ok(Kind::Interim)),
            ("HTTP/1.1 101 Switching Protocols\r\n", Ok(Kind::Final)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Ok(Kind::Final)),
            ("HTTP/2.0 200 OK\r\n", Err(Flaw::Version)),
            ("HTTP/1.1  200 OK\r\n", start),
            ("HTTP/1.1 20 OK\r\n", start),
            ("HTTP/1.1 2000 OK\r\n", start),
            ("HTTP/1.1 099 OK\r\n", start),
            ("HTTP/1.1 200 O\0K\r\n", start),
            ("HTTP/1.1 200 OK\r\r\n", start),
            ("ICY 200 OK\r\n", start),
            ("HTTP/1.1\r\n", start),
            ("HELLO\r\n", start),
            ("HTTP/1.1 200 OK\r\nA : b\r\n", Err(Flaw::FieldName)),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", Err(Flaw::Folded)),
            ("HTTP/1.1 200 OK\r\nA: b\rc\r\n", Err(Flaw::FieldValue)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n", Err(Flaw::Length)),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Err(Flaw::LengthAndCoding),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", Err(Flaw::UnknownCoding)),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", Err(Flaw::EarlyCoding)),
            ("HTTP/1.1 103 Early Hints\r\nContent-Length: 1\r\n", Err(Flaw::Length)),
        ] {
            assert_eq!(check(&Bytes::from(format!("{head}\r\n"))), expect, "{head:?}");
        }
    }
}
