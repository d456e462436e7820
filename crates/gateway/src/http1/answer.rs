//! The head of an answer to a viewer: how its body is delimited, and its bytes on the wire.

use std::time::SystemTime;

use bytes::{BufMut, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode, Version};
use serve::Body;

use crate::http1::request::After;

/// How the end of an answer is told from what follows it (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// There is no body, whatever the fields say: `HEAD`, 204, 304.
    NoBody,
    /// So many bytes.
    Length(u64),
    /// Chunks, and a last one.
    Chunks,
    /// The end of the connection: HTTP/1.0 knows no other way for what has no length.
    Close,
}

/// What an answer with `status` and `body` to `method` is delimited by.
pub(crate) fn delimiter(
    method: &Method,
    version: Version,
    status: StatusCode,
    body: &Body,
) -> Delimiter {
    match body.bytes() {
        _ if has_no_body(status) || *method == Method::HEAD => Delimiter::NoBody,
        Some(bytes) => Delimiter::Length(bytes),
        None if version == Version::HTTP_10 => Delimiter::Close,
        None => Delimiter::Chunks,
    }
}

/// Takes from `headers` what this connection says for itself, and corrects what they say of the
/// body; says whether they ask for the connection to be closed.
pub(crate) fn settle(
    headers: &mut HeaderMap,
    method: &Method,
    status: StatusCode,
    body: &Body,
    delimiter: Delimiter,
) -> After {
    let closes = headers.get(CONNECTION).is_some_and(|value| value == "close");
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
    match delimiter {
        Delimiter::Length(bytes) => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes))),
        Delimiter::NoBody if *method == Method::HEAD && !has_no_body(status) => {
            announce(headers, body);
        }
        Delimiter::NoBody | Delimiter::Chunks | Delimiter::Close => {
            headers.remove(CONTENT_LENGTH);
        }
    }
    if closes { After::Close } else { After::Keep }
}

/// Statuses that have no body, and name no length (RFC 9110 §8.6).
fn has_no_body(status: StatusCode) -> bool {
    [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// RFC 9110 §9.3.2: `HEAD` says how long the body would be; the fields' word comes first.
pub(crate) fn announce(headers: &mut HeaderMap, body: &Body) {
    match body {
        Body::Empty => {}
        Body::Whole { bytes, .. } | Body::Stream { bytes: Some(bytes), .. } => {
            headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(*bytes));
        }
        Body::Stream { bytes: None, .. } => {}
    }
}

/// Writes the final head.
pub(crate) fn write(
    out: &mut BytesMut,
    version: Version,
    status: StatusCode,
    headers: &HeaderMap,
    delimiter: Delimiter,
    after: After,
) {
    start(out, status, headers);
    if !headers.contains_key(DATE) {
        field(out, DATE.as_str(), date().as_bytes());
    }
    if delimiter == Delimiter::Chunks {
        out.put_slice(b"transfer-encoding: chunked\r\n");
    }
    match (after, version) {
        (After::Close, _) => out.put_slice(b"connection: close\r\n"),
        (After::Keep, Version::HTTP_10) => out.put_slice(b"connection: keep-alive\r\n"),
        (After::Keep, _) => {}
    }
    out.put_slice(b"\r\n");
}

/// Writes an interim head (RFC 9110 §15.2).
pub(crate) fn write_interim(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    start(out, status, headers);
    out.put_slice(b"\r\n");
}

/// Writes what follows the last chunk.
pub(crate) fn write_trailers(out: &mut BytesMut, trailers: &HeaderMap) {
    for (name, value) in trailers {
        field(out, name.as_str(), value.as_bytes());
    }
    out.put_slice(b"\r\n");
}

fn start(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    let bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    out.reserve(bytes + 192);
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_slice(b" ");
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    for (name, value) in headers {
        field(out, name.as_str(), value.as_bytes());
    }
}

fn field(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// RFC 9110 §6.6.1: who has a clock says when it answered.
#[expect(clippy::disallowed_methods, reason = "for answers of ours, which `serve` never dated")]
pub(crate) fn date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};

    use super::*;

    fn streamed() -> Body {
        Body::Stream { stream: stream::empty().boxed(), bytes: None }
    }

    #[test]
    fn a_body_is_delimited_as_method_version_and_status_have_it() {
        // RFC 9112 §6.3.
        let whole = || Body::from_bytes(Bytes::from_static(b"abc"));
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        for (method, version, status, body, expect) in [
            (Method::GET, new, 200, whole(), Delimiter::Length(3)),
            (Method::GET, old, 200, whole(), Delimiter::Length(3)),
            (Method::GET, new, 200, Body::Empty, Delimiter::Length(0)),
            (Method::GET, new, 200, streamed(), Delimiter::Chunks),
            (Method::GET, old, 200, streamed(), Delimiter::Close),
            (Method::HEAD, new, 200, streamed(), Delimiter::NoBody),
            (Method::HEAD, old, 404, whole(), Delimiter::NoBody),
            (Method::GET, new, 204, whole(), Delimiter::NoBody),
            (Method::POST, old, 304, streamed(), Delimiter::NoBody),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(delimiter(&method, version, status, &body), expect, "{method} {status}");
        }
    }

    #[test]
    fn head_names_a_length_where_get_would() {
        let whole = Body::from_bytes(Bytes::from_static(b"abc"));
        for (status, length) in [(200, Some("3")), (404, Some("3")), (204, None), (304, None)] {
            let (mut headers, status) = (HeaderMap::new(), StatusCode::from_u16(status).unwrap());
            let delimiter = delimiter(&Method::HEAD, Version::HTTP_11, status, &whole);
            settle(&mut headers, &Method::HEAD, status, &whole, delimiter);
            let said = headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap());
            assert_eq!(said, length, "{status}");
        }
    }

    #[test]
    fn the_connection_speaks_for_itself() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close"),
            ("transfer-encoding", "gzip"),
            ("keep-alive", "timeout=9"),
            ("content-length", "77"),
            ("date", "x"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let ok = StatusCode::OK;
        let after = settle(&mut headers, &Method::GET, ok, &streamed(), Delimiter::Chunks);
        assert_eq!((after, headers.len()), (After::Close, 1));
        let mut out = BytesMut::new();
        write(&mut out, Version::HTTP_11, ok, &headers, Delimiter::Chunks, after);
        let expect = "HTTP/1.1 200 OK\r\ndate: x\r\ntransfer-encoding: chunked\r\n\
            connection: close\r\n\r\n";
        assert_eq!(out, expect.as_bytes());
    }
}
