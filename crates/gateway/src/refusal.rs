//! Requests that are answered at the door, because they are not one unambiguous HTTP message
//! within the limits of the house. Everything else is for `serve` to judge.
//!
//! A refusal closes an HTTP/1 connection: after a message that two readers could understand in two
//! ways, nobody can say where the next one begins (RFC 9112 §11.2).

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serve::Body;

use crate::flaw::Flaw;

/// Why a request is answered at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not one unambiguous message.
    Malformed(Flaw),
    /// RFC 9112 §3.2: HTTP/1.1 demands a `Host` field.
    NoHost,
    /// RFC 9112 §3.2: exactly one, and readable.
    UnclearHost,
    /// RFC 9113 §8.3.1: `Host` and the target name different places.
    TwoHosts,
    /// Neither a path nor an absolute `http` URL.
    NotATarget,
    /// Longer than `URL_BYTES_MAX`.
    LongTarget,
    /// RFC 9110 §10.1.1: something else than `100-continue` is expected.
    Expectation,
    /// No tunnels.
    Tunnel,
    /// RFC 9110 §15.5.9: the head or the body did not come in time.
    Slow,
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
            Refusal::Malformed(flaw) => flawed(flaw),
            Refusal::NoHost => (bad, "the request names no host\n"),
            Refusal::UnclearHost => (bad, "the request needs exactly one readable Host field\n"),
            Refusal::TwoHosts => (bad, "the Host field and the target name different hosts\n"),
            Refusal::NotATarget => (bad, "the target is neither a path nor an http URL\n"),
            Refusal::LongTarget => (StatusCode::URI_TOO_LONG, "the target is too long\n"),
            Refusal::Expectation => {
                (StatusCode::EXPECTATION_FAILED, "100-continue is all that can be expected here\n")
            }
            Refusal::Tunnel => (StatusCode::METHOD_NOT_ALLOWED, "there are no tunnels here\n"),
            Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time\n"),
        }
    }
}

fn flawed(flaw: Flaw) -> (StatusCode, &'static str) {
    let bad = StatusCode::BAD_REQUEST;
    match flaw {
        Flaw::StartLine => (bad, "the request line is malformed\n"),
        Flaw::Version => (
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "the versions spoken here are 1.0, 1.1 and, with prior knowledge, 2\n",
        ),
        Flaw::LineEnd => (bad, "a line does not end in CRLF\n"),
        Flaw::Folded => (bad, "a header field is folded\n"),
        Flaw::FieldName => (bad, "a header field has no valid name\n"),
        Flaw::FieldValue => (bad, "a header field has control characters in its value\n"),
        Flaw::LargeHead => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the header fields are too many or too large\n",
        ),
        Flaw::Length => (bad, "Content-Length is not one number, given once\n"),
        Flaw::LengthAndCoding => (bad, "both Content-Length and Transfer-Encoding are given\n"),
        Flaw::Coding => (bad, "Transfer-Encoding does not end in one chunked\n"),
        Flaw::EarlyCoding => (bad, "HTTP/1.0 has no Transfer-Encoding\n"),
        Flaw::UnknownCoding => {
            (StatusCode::NOT_IMPLEMENTED, "the only transfer coding understood here is chunked\n")
        }
        Flaw::ChunkSize | Flaw::ChunkExtension | Flaw::ChunkEnd => {
            (bad, "a chunk of the body is malformed\n")
        }
        Flaw::Unfinished => (bad, "the request ends before its end\n"),
    }
}
