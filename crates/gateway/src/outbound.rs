//! The way to the origins: `serve`'s request out as HTTP/1.1, the answer back as it comes.
//!
//! One fetch holds one slot of its origin's pool from the first try to the last byte of the body.
//! A kept connection may have died unnoticed: a request that never left goes out again on a fresh
//! one, and so, once, does a `GET` or `HEAD` without a body that got no answer (RFC 9112 §9.3.1).
//!
//! Nothing is cached, rewritten or retried beyond that. A body that ends early is an error, never
//! an end; only a body that the origin delimits by closing ends where the connection does.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::Origin;
use serve::{BodyError, BodyStream, OriginAnswer, OriginError, OriginRequest, Origins};
use tokio::time;
use tokio_util::task::AbortOnDropHandle;

use crate::dial;
use crate::frame::chunk;
use crate::message::{Message, Upload, compose, replica};
use crate::pool::{Lane, Lease, Link, Pool};
use crate::strict::flaw_in;

/// The origin servers, over pooled HTTP/1.1 connections. Clones share the pool.
#[derive(Clone)]
pub struct Outbound {
    pool: Arc<Pool>,
    _sweeper: Arc<AbortOnDropHandle<()>>,
}

impl Outbound {
    /// An empty pool; must be called inside a tokio runtime.
    pub fn new() -> Outbound {
        let pool = Arc::new(Pool::default());
        let sweeper = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&pool).sweep()));
        Outbound { pool, _sweeper: Arc::new(sweeper) }
    }
}

impl Default for Outbound {
    fn default() -> Outbound {
        Outbound::new()
    }
}

impl Origins for Outbound {
    fn fetch(
        &self,
        origin: &Origin,
        request: OriginRequest,
    ) -> BoxFuture<'static, Result<OriginAnswer, OriginError>> {
        let lane = self.pool.lane(origin);
        Box::pin(fetch(lane, origin.clone(), request))
    }
}

async fn fetch(
    lane: Arc<Lane>,
    origin: Origin,
    request: OriginRequest,
) -> Result<OriginAnswer, OriginError> {
    let patience = origin.response_timeout();
    let upload = Upload::default();
    let mut message = compose(&lane, request, &upload)?;
    let slot = lane.slot(origin.connection_timeout()).await?;
    if let Some(mut link) = lane.reuse().await {
        let spare = replica(&message);
        match send(&mut link, message, &upload, patience).await {
            Ok(response) => return answer(slot.lease(link, &origin, upload), response, patience),
            Err(failure) => {
                message = failure.again(spare).map_err(|failure| failure.explain(&lane))?;
            }
        }
    }
    let mut link = dial::connect(&lane, &origin).await?;
    match send(&mut link, message, &upload, patience).await {
        Ok(response) => answer(slot.lease(link, &origin, upload), response, patience),
        Err(failure) => Err(failure.explain(&lane)),
    }
}

/// Why a connection gave no answer.
enum Failure {
    /// The request never left us.
    Unsent(Box<Message>, hyper::Error),
    /// The connection ended or broke before a whole head.
    Silent(hyper::Error),
    /// What came is not an HTTP head, or too large a one; or the request's own body broke off.
    Useless(hyper::Error),
    /// Nothing came in time.
    Late(Duration),
}

impl Failure {
    fn of(error: hyper::Error) -> Failure {
        let hopeless = error.is_parse() || error.is_user() || flaw_in(&error).is_some();
        if hopeless { Failure::Useless(error) } else { Failure::Silent(error) }
    }

    /// What to send on a fresh connection, if anything may be sent again.
    fn again(self, spare: Option<Message>) -> Result<Message, Failure> {
        match (self, spare) {
            (Failure::Unsent(message, _), _) => Ok(*message),
            (Failure::Silent(_), Some(spare)) => Ok(spare),
            (failure @ (Failure::Silent(_) | Failure::Useless(_) | Failure::Late(_)), _) => {
                Err(failure)
            }
        }
    }

    fn explain(self, lane: &Lane) -> OriginError {
        let address = &lane.address;
        match self {
            Failure::Unsent(_, error) | Failure::Silent(error) => OriginError::Unreachable(
                format!("{address} closed the connection before answering: {}", chain(&error)),
            ),
            Failure::Useless(error) if error.is_user() => {
                OriginError::Unreachable(format!("request to {address} broke: {}", chain(&error)))
            }
            Failure::Useless(error) if error.is_parse_too_large() => OriginError::Unreachable(
                format!("{address} answered with too many or too large header fields"),
            ),
            Failure::Useless(error) => OriginError::Unreachable(format!(
                "{address} answered with something that is not HTTP: {}",
                chain(&error)
            )),
            Failure::Late(patience) => {
                let seconds = patience.as_secs();
                OriginError::TimedOut(format!("no answer from {address} within {seconds} s"))
            }
        }
    }
}

/// Sends `message`; the head must come within `patience`, counted anew while its body moves.
async fn send(
    link: &mut Link,
    message: Message,
    upload: &Upload,
    patience: Duration,
) -> Result<Response<Incoming>, Failure> {
    link.due.expect();
    let mut sending = std::pin::pin!(link.sender.try_send_request(message));
    loop {
        match time::timeout(patience, sending.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut unsent)) => {
                return Err(match unsent.take_message() {
                    Some(message) => Failure::Unsent(Box::new(message), unsent.into_error()),
                    None => Failure::of(unsent.into_error()),
                });
            }
            Err(_) if upload.has_moved() => {}
            Err(_) => return Err(Failure::Late(patience)),
        }
    }
}

fn answer(
    lease: Lease,
    response: Response<Incoming>,
    patience: Duration,
) -> Result<OriginAnswer, OriginError> {
    let (head, incoming) = response.into_parts();
    let refuse = |what| Err(OriginError::Unreachable(format!("{} {what}", lease.address())));
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return refuse("switched protocols unasked");
    }
    let body_bytes = incoming.size_hint().exact();
    let body = receive(lease, incoming, patience);
    Ok(OriginAnswer { status: head.status, headers: head.headers, body_bytes, body })
}

/// The body as it comes. Read to its end the connection goes back to the pool, otherwise it closes.
fn receive(lease: Lease, incoming: Incoming, patience: Duration) -> BodyStream {
    if incoming.is_end_stream() {
        lease.give_back();
        return stream::empty().boxed();
    }
    stream::unfold(Some((incoming, lease)), move |state| async move {
        let (mut incoming, lease) = state?;
        let broken = |reason: String| Some((Err(BodyError::Broken(reason)), None));
        match time::timeout(patience, incoming.frame()).await {
            Err(_) => {
                let seconds = patience.as_secs();
                broken(format!("{} sent nothing for {seconds} s", lease.address()))
            }
            Ok(None) => {
                lease.give_back();
                None
            }
            Ok(Some(Err(error))) => {
                broken(format!("{} broke it off: {}", lease.address(), chain(&error)))
            }
            Ok(Some(Ok(frame))) if frame.is_trailers() || incoming.is_end_stream() => {
                lease.give_back();
                Some((Ok(chunk(frame)), None))
            }
            Ok(Some(Ok(frame))) => Some((Ok(chunk(frame)), Some((incoming, lease)))),
        }
    })
    .boxed()
}

/// An error with its sources: hyper's own words alone rarely say what happened.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
