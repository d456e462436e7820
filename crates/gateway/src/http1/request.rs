//! The head of a request (RFC 9112 §3), read so that it can be read in one way only.

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderName, TE};
use http::{HeaderMap, Method, Version};

use crate::flaw::Flaw;
use crate::http1::framing::{self, Length};
use crate::http1::target::{self, Target};
use crate::http1::{fields, scan};
use crate::refusal::Refusal;

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    /// The method.
    pub(crate) method: Method,
    /// HTTP/1.0 or HTTP/1.1.
    pub(crate) version: Version,
    /// Whom and what it asks for.
    pub(crate) target: Target,
    /// All fields but `Expect`, which is answered here.
    pub(crate) headers: HeaderMap,
    /// Bytes of its body, or chunks.
    pub(crate) length: Length,
    /// What the viewer wants to become of the connection.
    pub(crate) after: After,
    /// Whether it holds its body back until it hears `100 Continue`.
    pub(crate) body: Upfront,
    /// Whether the viewer takes trailers.
    pub(crate) trailers: Trailers,
}

/// What becomes of a connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It waits for the next request.
    Keep,
    /// It ends.
    Close,
}

/// Whether a viewer sends its body without being asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upfront {
    /// It does.
    Sent,
    /// It waits for `100 Continue` (RFC 9110 §10.1.1).
    Held,
}

/// Whether a viewer takes trailers (RFC 9110 §6.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trailers {
    /// It says so.
    Taken,
    /// It might not understand them.
    Dropped,
}

/// Reads `head`, which ends in an empty line.
pub(crate) fn parse(head: &Bytes) -> Result<Head, Refusal> {
    let end = head.iter().position(|byte| *byte == b'\n').ok_or(Flaw::LineEnd)? + 1;
    let (method, target, version) = start_line(&head.slice(..end))?;
    let mut headers = fields::parse(&head.slice(end..head.len() - b"\r\n".len()))?;
    let length = framing::length(&headers, version)?;
    let target = target::parse(&target, &method, version, &headers)?;
    let body = expectation(&headers, version, length)?;
    headers.remove(EXPECT);
    let after = persistence(&headers, version);
    let takes_trailers = lists(&headers, TE, "trailers");
    let trailers = if takes_trailers { Trailers::Taken } else { Trailers::Dropped };
    Ok(Head { method, version, target, headers, length, after, body, trailers })
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Refusal {
        Refusal::Malformed(flaw)
    }
}

impl From<scan::Hopeless> for Refusal {
    fn from(hopeless: scan::Hopeless) -> Refusal {
        match hopeless {
            scan::Hopeless::LongStart => Refusal::LongTarget,
            scan::Hopeless::Flawed(flaw) => Refusal::Malformed(flaw),
        }
    }
}

/// RFC 9112 §3: three words, one blank between them.
fn start_line(line: &Bytes) -> Result<(Method, Bytes, Version), Flaw> {
    let (method, target, version) = words(line.strip_suffix(b"\r\n").ok_or(Flaw::LineEnd)?)?;
    let method = Method::from_bytes(method).map_err(|_| Flaw::StartLine)?;
    Ok((method, line.slice_ref(target), version))
}

/// Whether `line` looks like the first of a request.
pub(crate) fn check_start(line: &[u8]) -> Result<(), Flaw> {
    words(line).map(drop)
}

fn words(line: &[u8]) -> Result<(&[u8], &[u8], Version), Flaw> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Flaw::StartLine);
    };
    let is_there = !method.is_empty() && !target.is_empty();
    if is_there { Ok((method, target, self::version(version)?)) } else { Err(Flaw::StartLine) }
}

/// RFC 9112 §2.3: case matters, and both digits are there.
pub(crate) fn version(word: &[u8]) -> Result<Version, Flaw> {
    match word {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Flaw::Version)
        }
        _ => Err(Flaw::StartLine),
    }
}

/// RFC 9110 §10.1.1: one expectation is known, and HTTP/1.0 has none.
fn expectation(headers: &HeaderMap, version: Version, length: Length) -> Result<Upfront, Refusal> {
    let mut values = headers.get_all(EXPECT).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(Upfront::Sent),
        (Some(_), _) if version == Version::HTTP_10 => Ok(Upfront::Sent),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => match length {
            Length::Unsaid | Length::Bytes(0) => Ok(Upfront::Sent),
            Length::Bytes(_) | Length::Chunked => Ok(Upfront::Held),
        },
        (Some(_), _) => Err(Refusal::Expectation),
    }
}

/// RFC 9112 §9.3.
fn persistence(headers: &HeaderMap, version: Version) -> After {
    let asks = |option| lists(headers, CONNECTION, option);
    match version {
        _ if asks("close") => After::Close,
        Version::HTTP_10 if !asks("keep-alive") => After::Close,
        _ => After::Keep,
    }
}

/// Whether the list in the fields with `name` has `member`, case aside.
fn lists(headers: &HeaderMap, name: HeaderName, member: &str) -> bool {
    let lines = headers.get_all(name).into_iter();
    let mut members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.any(|found| found.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Head, Refusal> {
        parse(&Bytes::from(format!("{head}\r\n")))
    }

    #[test]
    fn a_start_line_is_three_words() {
        let (start, version) = (Flaw::StartLine, Flaw::Version);
        for (line, flaw) in [
            ("GET  / HTTP/1.1", start),
            ("GET /  HTTP/1.1", start),
            ("GET / HTTP/1.1 ", start),
            ("GET\t/ HTTP/1.1", start),
            ("GET /\tHTTP/1.1", start),
            (" GET / HTTP/1.1", start),
            ("GET / a HTTP/1.1", start),
            ("GET /", start),
            ("GET", start),
            ("G@T / HTTP/1.1", start),
            ("G\u{e9}T / HTTP/1.1", start),
            ("G\0T / HTTP/1.1", start),
            ("GET / http/1.1", start),
            ("GET / HTTP/1.1x", start),
            ("GET / HTTP/1.10", start),
            ("GET / HTTP/01.1", start),
            ("GET / HTTP/1", start),
            ("GET / HTTP/1,1", start),
            ("GET / HTTP/-1.1", start),
            ("GET / HTTP 1.1", start),
            ("GET / HTTP/1.1\r", start),
            ("GET / HTTP/0.9", version),
            ("GET / HTTP/1.2", version),
            ("GET / HTTP/2.0", version),
            ("PRI * HTTP/2.0", version),
            ("GET / HTTP/9.9", version),
        ] {
            let refusal = read(&format!("{line}\r\nHost: a\r\n")).unwrap_err();
            assert_eq!(refusal, Refusal::Malformed(flaw), "{line:?}");
        }
        let head = read("M-SEARCH /a HTTP/1.1\r\nHost: a\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.version), ("M-SEARCH", Version::HTTP_11));
    }

    #[test]
    fn a_connection_is_kept_as_its_version_has_it() {
        // RFC 9112 §9.3.
        for (version, fields, expect) in [
            ("1.1", "", After::Keep),
            ("1.1", "Connection: close\r\n", After::Close),
            ("1.1", "Connection: x, Close\r\n", After::Close),
            ("1.1", "Connection: x\r\nConnection: close\r\n", After::Close),
            ("1.1", "Connection: upgrade\r\n", After::Keep),
            ("1.0", "", After::Close),
            ("1.0", "Connection: Keep-Alive\r\n", After::Keep),
            ("1.0", "Connection: keep-alive, close\r\n", After::Close),
            ("1.0", "Proxy-Connection: keep-alive\r\n", After::Close),
        ] {
            let head = read(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}")).unwrap();
            assert_eq!(head.after, expect, "{version} {fields:?}");
        }
    }

    #[test]
    fn one_expectation_is_known() {
        // RFC 9110 §10.1.1.
        let length = "Content-Length: 3\r\n";
        for (version, fields, expect) in [
            ("1.1", format!("Expect: 100-Continue\r\n{length}"), Ok(Upfront::Held)),
            ("1.1", "Expect: 100-continue\r\n".into(), Ok(Upfront::Sent)),
            ("1.1", "Expect: tea\r\n".into(), Err(Refusal::Expectation)),
            ("1.1", "Expect: 100-continue, tea\r\n".into(), Err(Refusal::Expectation)),
            ("1.0", format!("Expect: 100-continue\r\n{length}"), Ok(Upfront::Sent)),
        ] {
            let head = read(&format!("PUT / HTTP/{version}\r\nHost: a\r\n{fields}"));
            let body = head.map(|head| {
                assert!(!head.headers.contains_key(EXPECT));
                head.body
            });
            assert_eq!(body, expect, "{version} {fields:?}");
        }
    }
}
