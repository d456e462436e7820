//! From hyper's request to `serve`'s, and from `serve`'s response to hyper's.
//!
//! hyper has refused what cannot be parsed; here is refused what could be read in two ways. Where
//! hyper is lenient: of `Transfer-Encoding` with `Content-Length` it believes the former, hides the
//! latter and closes the connection after the answer, as RFC 9112 §6.1 allows; `Upgrade` is nothing
//! to it. Interim responses stay behind: as a server hyper 1.12 sends `100 Continue` when the body
//! is first read and has no means to send any other, so `interim` is always `None`. Trailers reach
//! an HTTP/1 viewer only chunked, announced in `Trailer` and asked for with `TE: trailers`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX, URL_BYTES_MAX};
use serve::{Body, BodyError, BodyStream};
use tokio::time;

use crate::framing::{Coding, chunk, transfer_coding};
use crate::outgoing::Outgoing;
use crate::pulse::Exchange;
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
    check_framing(&head.headers)?;
    let host = host(&head)?;
    let target = target(&head)?;
    let body = incoming_body(body, head.version, stall);
    let Parts { method, headers, .. } = head;
    Ok(serve::Request { method, host, target, headers, body, viewer, interim: None })
}

/// Writes the answer to a request with `method`.
pub(crate) fn response(
    method: &Method,
    answer: serve::Response,
    exchange: Exchange,
) -> http::Response<Outgoing<Exchange>> {
    let serve::Response { status, mut headers, body } = answer;
    // Framing is hyper's: it follows from the body alone.
    headers.remove(TRANSFER_ENCODING);
    let body = match (method, status) {
        (&Method::HEAD, _) => {
            announce(&mut headers, &body);
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

/// RFC 9110 §9.3.2: `HEAD` says how long the body would be; the fields' word comes first.
fn announce(headers: &mut HeaderMap, body: &Body) {
    match body {
        Body::Empty => {}
        Body::Whole { bytes, .. } | Body::Stream { bytes: Some(bytes), .. } => {
            headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(*bytes));
        }
        Body::Stream { bytes: None, .. } => {}
    }
}

fn check_size(headers: &HeaderMap) -> Result<(), Refusal> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let fits = headers.len() <= HEADER_FIELDS_MAX && bytes <= HEADER_BYTES_MAX;
    if fits { Ok(()) } else { Err(Refusal::LargeHead) }
}

fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    match transfer_coding(headers) {
        Coding::None | Coding::Chunked => Ok(()),
        Coding::Unknown => Err(Refusal::TransferCoding),
    }
}

/// RFC 9112 §3.2.2: an absolute target overrules `Host`, which must be there all the same.
fn host(head: &Parts) -> Result<String, Refusal> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_| Refusal::UnclearHost)?),
        (Some(_), Some(_)) => return Err(Refusal::UnclearHost),
    };
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    match (authority, field) {
        (Some(_), None) if head.version == Version::HTTP_11 => Err(Refusal::NoHost),
        (Some(named), Some(field)) if head.version == Version::HTTP_2 => {
            let same = named.eq_ignore_ascii_case(field);
            if same { Ok(named.to_owned()) } else { Err(Refusal::TwoHosts) }
        }
        (Some(named), _) => Ok(named.to_owned()),
        (None, Some(field)) => Ok(field.to_owned()),
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
        // RFC 3986 §6.2.3: an absolute URL may leave out its empty path.
        Some(b'?') if is_http => Ok(format!("/{target}")),
        _ => Err(Refusal::NotATarget),
    }
}

fn incoming_body(body: Incoming, version: Version, stall: Duration) -> Body {
    if body.is_end_stream() {
        return Body::Empty;
    }
    let bytes = body.size_hint().exact();
    Body::Stream { stream: incoming_stream(body, version, stall), bytes }
}

fn incoming_stream(body: Incoming, version: Version, stall: Duration) -> BodyStream {
    stream::unfold(Some(body), move |state| async move {
        let mut body = state?;
        let broken = |reason: String| Some((Err(BodyError(reason)), None));
        match time::timeout(stall, body.frame()).await {
            Err(_) => broken(format!("the viewer sent nothing for {} s", stall.as_secs())),
            // hyper takes a stream that was reset with NO_ERROR for one that ended.
            Ok(None) if version == Version::HTTP_2 && !body.is_end_stream() => {
                broken("the viewer reset the stream".into())
            }
            Ok(None) => None,
            Ok(Some(Err(error))) => broken(format!("the viewer left: {error}")),
            Ok(Some(Ok(frame))) => Some((Ok(chunk(frame)), Some(body))),
        }
    })
    .boxed()
}
