//! A request as it goes to an origin: origin-form target, our `Host`, the framing that its body
//! asks for, everything else as `serve` gave it.
//!
//! It knows whether it may be sent again, and says whether its body still moves, so that a slow
//! upload is not taken for a slow origin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request};
use http_body::Body as _;
use serve::{Body, OriginError, OriginRequest};

use crate::outgoing::{Outgoing, Witness};
use crate::pool::Lane;

/// A request as it goes to an origin.
pub(crate) type Message = Request<Outgoing<Moved>>;

/// Watches a request's body on its way out.
#[derive(Default)]
pub(crate) struct Upload {
    moved: Arc<AtomicBool>,
}

impl Upload {
    /// Whether the body has moved since somebody last asked.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.swap(false, Relaxed)
    }

    /// Whether hyper is through with the body.
    pub(crate) fn is_over(&self) -> bool {
        Arc::strong_count(&self.moved) == 1
    }

    /// What goes with the body.
    pub(crate) fn witness(&self) -> Moved {
        Moved(Arc::clone(&self.moved))
    }
}

/// Goes with the body: says when it moves, and by its absence that it is over.
pub(crate) struct Moved(Arc<AtomicBool>);

impl Witness for Moved {
    fn frame(&self) {
        self.0.store(true, Relaxed);
    }
}

/// Writes `request` for the origin of `lane`.
pub(crate) fn compose(
    lane: &Lane,
    request: OriginRequest,
    upload: &Upload,
) -> Result<Message, OriginError> {
    let OriginRequest { method, host, target, mut headers, body, interim } = request;
    let refuse = |what| OriginError::Unreachable(format!("{what} for {} is unfit", lane.address));
    let target = PathAndQuery::try_from(target).map_err(|_| refuse("the target"))?;
    let host = HeaderValue::try_from(host.as_str()).map_err(|_| refuse("the host"))?;
    headers.insert(HOST, host);
    frame(&mut headers, &method, &body);
    let mut message = Request::new(Outgoing::new(body, upload.witness()));
    *message.method_mut() = method;
    *message.uri_mut() = Uri::from(target);
    *message.headers_mut() = headers;
    if let Some(interim) = interim {
        hyper::ext::on_informational(&mut message, move |head| {
            interim(head.status(), head.headers().clone());
        });
    }
    Ok(message)
}

/// The same request again, where it may be sent twice: `GET` or `HEAD`, nothing in its body.
pub(crate) fn replica(message: &Message) -> Option<Message> {
    let is_safe = [Method::GET, Method::HEAD].contains(message.method());
    if !is_safe || !message.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Outgoing::new(Body::Empty, Upload::default().witness()));
    *copy.method_mut() = message.method().clone();
    *copy.uri_mut() = message.uri().clone();
    *copy.headers_mut() = message.headers().clone();
    *copy.extensions_mut() = message.extensions().clone();
    Some(copy)
}

/// Says how the body is delimited (RFC 9112 §6.3); hyper would drop a chunked body of a `GET`.
fn frame(headers: &mut HeaderMap, method: &Method, body: &Body) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    match body {
        Body::Empty => {
            // RFC 9110 §8.6: methods that expect content say that there is none.
            if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            }
        }
        Body::Whole { bytes, .. } | Body::Stream { bytes: Some(bytes), .. } => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(*bytes));
        }
        Body::Stream { bytes: None, .. } => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}
