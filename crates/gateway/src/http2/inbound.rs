//! From hyper's request to `serve`'s, and from `serve`'s response to hyper's.
//!
//! h2 has refused what RFC 9113 §8 calls malformed; here is refused what names two hosts, is not
//! for a cache to serve, or is beyond the limits of the house.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX, URL_BYTES_MAX};
use serve::{Body, BodyError, BodyStream, Scheme};
use tokio::time;

use crate::clock::Pace;
use crate::flaw::Flaw;
use crate::frame::chunk;
use crate::http1::answer;
use crate::http2::pulse::Exchange;
use crate::outgoing::Outgoing;
use crate::refusal::Refusal;

/// Reads a request; its body must move at least every `stall`.
pub(crate) fn request(
    request: http::Request<Incoming>,
    viewer: SocketAddr,
    stall: Duration,
) -> Result<serve::Request, Refusal> {
    let (head, body) = request.into_parts();
    if head.method == Method::CONNECT {
        return Err(Refusal::Tunnel);
    }
    check_size(&head.headers)?;
    let host = host(&head)?;
    let target = target(&head)?;
    let body = incoming_body(body, stall);
    let Parts { method, mut headers, .. } = head;
    headers.remove(EXPECT);
    let scheme = Scheme::Http;
    Ok(serve::Request { method, scheme, host, target, headers, body, viewer, interim: None })
}

/// Writes the answer to a request with `method`.
pub(crate) fn response(
    method: &Method,
    answer: serve::Response,
    exchange: Exchange,
) -> http::Response<Outgoing<Exchange>> {
    let serve::Response { status, mut headers, body } = answer;
    // Framing is hyper's: it follows from the body alone.
    // A refusal says `close`, which here is nobody's to say (RFC 9113 §8.2.2).
    headers.remove(CONNECTION);
    let body = match (method, status) {
        (&Method::HEAD, _) => {
            answer::announce(&mut headers, &body);
            Body::Empty
        }
        (_, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
            headers.remove(CONTENT_LENGTH);
            Body::Empty
        }
        (_, _) => {
            headers.remove(CONTENT_LENGTH);
            body
        }
    };
    let mut response = http::Response::new(Outgoing::new(body, exchange));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn check_size(headers: &HeaderMap) -> Result<(), Refusal> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let fits = headers.len() <= HEADER_FIELDS_MAX && bytes <= HEADER_BYTES_MAX;
    if fits { Ok(()) } else { Err(Refusal::Malformed(Flaw::LargeHead)) }
}

/// RFC 9113 §8.3.1: a `Host` beside `:authority` names the same place.
fn host(head: &Parts) -> Result<String, Refusal> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_| Refusal::UnclearHost)?),
        (Some(_), Some(_)) => return Err(Refusal::UnclearHost),
    };
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    match (authority, field) {
        (Some(named), Some(field)) if !named.eq_ignore_ascii_case(field) => Err(Refusal::TwoHosts),
        (Some(named), _) | (None, Some(named)) => Ok(named.to_owned()),
        (None, None) => Err(Refusal::NoHost),
    }
}

fn target(head: &Parts) -> Result<String, Refusal> {
    // `https` too: who ends TLS before us may well say so.
    let is_http = head.uri.scheme_str().is_none_or(|scheme| ["http", "https"].contains(&scheme));
    let target = head.uri.path_and_query().ok_or(Refusal::NotATarget)?.as_str();
    if target.len() > URL_BYTES_MAX {
        return Err(Refusal::LongTarget);
    }
    match target.as_bytes().first() {
        Some(b'/') if is_http => Ok(target.to_owned()),
        Some(b'*') if head.method == Method::OPTIONS && target == "*" => Ok(target.to_owned()),
        // RFC 3986 §6.2.3: an absolute URL may leave out its empty path.
        Some(b'?') if is_http => Ok(format!("/{target}")),
        _ => Err(Refusal::NotATarget),
    }
}

fn incoming_body(body: Incoming, stall: Duration) -> Body {
    if body.is_end_stream() {
        return Body::Empty;
    }
    let bytes = body.size_hint().exact();
    Body::Stream { stream: incoming_stream(body, stall), bytes }
}

fn incoming_stream(body: Incoming, stall: Duration) -> BodyStream {
    stream::unfold(Some((body, Pace::default())), move |state| async move {
        let (mut body, mut pace) = state?;
        let broken = |reason: String| Some((Err(BodyError::Broken(reason)), None));
        match time::timeout_at(pace.due(stall), body.frame()).await {
            Err(_) => broken("the viewer sent too little for too long".into()),
            // hyper takes a stream that was reset with NO_ERROR for one that ended.
            Ok(None) if !body.is_end_stream() => broken("the viewer reset the stream".into()),
            Ok(None) => None,
            Ok(Some(Err(error))) => broken(format!("the viewer left: {error}")),
            Ok(Some(Ok(frame))) => {
                pace.moved(frame.data_ref().map_or(0, Bytes::len) as u64, stall);
                Some((Ok(chunk(frame)), Some((body, pace))))
            }
        }
    })
    .boxed()
}
