//! One viewer's connection, from its first byte to its last: hyper runs it, this task watches it.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge share the port. A viewer that closes its half while we
//! still answer has left, as for nginx: hyper drops the exchange. Rapid resets are h2's to count.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use model::limits::{CHUNK_BYTES_MAX, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, URL_BYTES_MAX};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::inbound;
use crate::listen::{Guest, Limits, Tasks, Visit};
use crate::outgoing::Outgoing;
use crate::pulse::{Exchange, Pulse, Verdict};
use crate::watched::Watched;

/// Streams at once on one HTTP/2 connection: browsers use about a hundred.
const STREAMS_MAX: u32 = 256;
/// What HTTP/2 adds to a field when it measures a header list (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// Request line, separators and line ends of the largest head.
const HEAD_OVERHEAD: usize = 1024;
/// How often a silent HTTP/2 viewer is asked whether it is still there, and how long it may take.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// What all connections of a listener share.
pub(crate) struct Terms {
    visit: Arc<dyn Visit>,
    limits: Limits,
    shutdown: CancellationToken,
    http: auto::Builder<Tasks>,
}

impl Terms {
    pub(crate) fn new(
        visit: Arc<dyn Visit>,
        limits: Limits,
        tasks: Tasks,
        shutdown: CancellationToken,
    ) -> Terms {
        Terms { visit, limits, shutdown, http: protocol(tasks) }
    }
}

/// Runs a connection until it is over, retired or cut.
pub(crate) async fn serve(terms: Arc<Terms>, guest: Guest) {
    let Guest { stream, viewer, slot: _slot } = guest;
    // Without it small responses wait for the viewer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let viewer = SocketAddr::new(viewer.ip().to_canonical(), viewer.port());
    let pulse = Pulse::begin();
    let watched = TokioIo::new(Watched::new(stream, Arc::clone(&pulse)));
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = Exchange::begin(&pulse, request.version());
        let terms = Arc::clone(&terms);
        async move { Ok::<_, Infallible>(answer(&terms, viewer, request, exchange).await) }
    });
    let mut running = pin!(terms.http.serve_connection(watched, service));
    let mut closing = false;
    let mut wait = terms.limits.head;
    loop {
        tokio::select! {
            biased;
            outcome = running.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%viewer, %error, "connection broke");
                }
                return;
            }
            () = terms.shutdown.cancelled(), if !closing => {
                closing = true;
                running.as_mut().graceful_shutdown();
            }
            () = time::sleep(wait) => match pulse.verdict(&terms.limits) {
                Verdict::Wait(duration) => wait = duration,
                Verdict::Retire if !closing => {
                    closing = true;
                    running.as_mut().graceful_shutdown();
                }
                Verdict::Retire => return,
                Verdict::Cut(reason) => {
                    tracing::debug!(%viewer, reason, "connection cut");
                    return;
                }
            },
        }
    }
}

async fn answer(
    terms: &Terms,
    viewer: SocketAddr,
    request: Request<Incoming>,
    exchange: Exchange,
) -> Response<Outgoing<Exchange>> {
    let method: Method = request.method().clone();
    let answer = match inbound::request(request, viewer, terms.limits.stall) {
        Ok(request) => terms.visit.visit(request).await,
        Err(refusal) => refusal.response(),
    };
    inbound::response(&method, answer, exchange)
}

fn protocol(tasks: Tasks) -> auto::Builder<Tasks> {
    let head_bytes = URL_BYTES_MAX + HEADER_BYTES_MAX + HEAD_OVERHEAD;
    let list_bytes = head_bytes + FIELD_OVERHEAD * HEADER_FIELDS_MAX;
    let mut http = auto::Builder::new(tasks);
    http.http1()
        .timer(TokioTimer::new())
        // The pulse measures heads and idleness apart, which hyper's one clock cannot.
        .header_read_timeout(None)
        .max_headers(HEADER_FIELDS_MAX)
        .max_buf_size(head_bytes);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(list_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(CHUNK_BYTES_MAX)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    http
}
