//! From h2's request to `serve`'s, and from `serve`'s response to h2's.
//!
//! h2 has refused what RFC 9113 §8 calls malformed; here is refused what names two hosts, is not
//! for a cache to serve, or is beyond the limits of the house.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use h2::RecvStream;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use model::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX, URL_BYTES_MAX};
use serve::{Body, BodyError, BodyStream, Chunk, Interim, Scheme};
use tokio::time;

use crate::clock::Pace;
use crate::flaw::Flaw;
use crate::http1::answer::{self, Delimiter};
use crate::http1::fields;
use crate::refusal::Refusal;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Reads a request; its body must move at least every `stall`.
pub(crate) fn request(
    request: http::Request<RecvStream>,
    viewer: SocketAddr,
    stall: Duration,
    interim: Interim,
) -> Result<serve::Request, Refusal> {
    let (head, body) = request.into_parts();
    if head.method == Method::CONNECT {
        return Err(Refusal::Tunnel);
    }
    check_size(&head.headers)?;
    let host = host(&head)?;
    let target = target(&head)?;
    let body = incoming_body(&head.headers, body, stall);
    let Parts { method, mut headers, .. } = head;
    headers.remove(EXPECT);
    let scheme = Scheme::Http;
    let interim = Some(interim);
    Ok(serve::Request { method, scheme, host, target, headers, body, viewer, interim })
}

/// Writes the answer to a request with `method`, and what goes out as its body.
pub(crate) fn response(method: &Method, answer: serve::Response) -> (http::Response<()>, Body) {
    let serve::Response { status, mut headers, body } = answer;
    // A refusal says `close`, which here is nobody's to say (RFC 9113 §8.2.2).
    let delimiter = answer::delimiter(method, Version::HTTP_2, status, &body);
    answer::settle(&mut headers, method, status, &body, delimiter);
    if !headers.contains_key(DATE)
        && let Ok(date) = HeaderValue::try_from(answer::date())
    {
        headers.insert(DATE, date);
    }
    let body = match delimiter {
        Delimiter::NoBody => Body::Empty,
        Delimiter::Length(_) | Delimiter::Chunks | Delimiter::Close => body,
    };
    (head(status, headers), body)
}

/// Writes an interim response (RFC 9110 §15.2).
pub(crate) fn interim(status: StatusCode, headers: HeaderMap) -> http::Response<()> {
    head(status, headers)
}

/// RFC 9113 §8.2.2: no fields about the connection, or h2 would send nothing at all.
fn head(status: StatusCode, mut headers: HeaderMap) -> http::Response<()> {
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    let mut response = http::Response::new(());
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

fn incoming_body(headers: &HeaderMap, body: RecvStream, stall: Duration) -> Body {
    if body.is_end_stream() {
        return Body::Empty;
    }
    Body::Stream { bytes: announced(headers), stream: incoming_stream(body, stall) }
}

/// What h2 holds the body to (RFC 9113 §8.1.1).
fn announced(headers: &HeaderMap) -> Option<u64> {
    let mut fields = headers.get_all(CONTENT_LENGTH).iter();
    match (fields.next(), fields.next()) {
        (Some(one), None) => one.to_str().ok()?.parse().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

fn incoming_stream(body: RecvStream, stall: Duration) -> BodyStream {
    stream::unfold(Some((body, Pace::default())), move |state| async move {
        let (mut body, mut pace) = state?;
        let broken = |reason: String| Some((Err(BodyError::Broken(reason)), None));
        match time::timeout_at(pace.due(stall), piece(&mut body)).await {
            Err(_) => broken("the viewer sent too little for too long".into()),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => broken(format!("the viewer left: {error}")),
            Ok(Ok(Some(Chunk::Data(data)))) => {
                pace.moved(data.len() as u64, stall);
                Some((Ok(Chunk::Data(data)), Some((body, pace))))
            }
            Ok(Ok(Some(Chunk::Trailers(trailers)))) => Some((Ok(Chunk::Trailers(trailers)), None)),
        }
    })
    .boxed()
}

/// The next piece; its room is the viewer's again.
async fn piece(body: &mut RecvStream) -> Result<Option<Chunk>, h2::Error> {
    if let Some(data) = body.data().await.transpose()? {
        body.flow_control().release_capacity(Bytes::len(&data))?;
        return Ok(Some(Chunk::Data(data)));
    }
    Ok(body.trailers().await?.map(|mut trailers| {
        fields::clean_trailers(&mut trailers);
        Chunk::Trailers(trailers)
    }))
}
