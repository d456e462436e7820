//! Requests that are answered at the door, because they are not one unambiguous HTTP message
//! within the limits of the house. Everything else is for `serve` to judge.
//!
//! A refusal closes an HTTP/1 connection: after a message that two readers could understand in two
//! ways, nobody can say where the next one begins (RFC 9112 §11.2).

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serve::Body;

/// Why a request is answered at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// RFC 9112 §3.2: HTTP/1.1 demands a `Host` field.
    NoHost,
    /// RFC 9112 §3.2: exactly one, and readable.
    UnclearHost,
    /// RFC 9113 §8.3.1: `Host` and `:authority` name different places.
    TwoHosts,
    /// Neither a path nor an absolute `http` URL.
    NotATarget,
    /// Longer than `URL_BYTES_MAX`.
    LongTarget,
    /// More or larger fields than `HEADER_FIELDS_MAX` and `HEADER_BYTES_MAX`.
    LargeHead,
    /// RFC 9112 §6.1: we undo no transfer coding but `chunked`.
    TransferCoding,
    /// No tunnels.
    Tunnel,
}

impl Refusal {
    pub(crate) fn response(self) -> serve::Response {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if self == Refusal::Tunnel {
            let methods = "GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE";
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        let (status, sentence) = self.words();
        let body = Body::from_bytes(Bytes::from_static(sentence.as_bytes()));
        serve::Response { status, headers, body }
    }

    fn words(self) -> (StatusCode, &'static str) {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Refusal::NoHost => (bad, "the request names no host\n"),
            Refusal::UnclearHost => (bad, "the request needs exactly one readable Host field\n"),
            Refusal::TwoHosts => (bad, "Host and :authority name different hosts\n"),
            Refusal::NotATarget => (bad, "the target is neither a path nor an http URL\n"),
            Refusal::LongTarget => (StatusCode::URI_TOO_LONG, "the target is too long\n"),
            Refusal::LargeHead => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the header fields are too many or too large\n",
            ),
            Refusal::TransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "the only transfer coding understood here is chunked\n",
            ),
            Refusal::Tunnel => (StatusCode::METHOD_NOT_ALLOWED, "there are no tunnels here\n"),
        }
    }
}
