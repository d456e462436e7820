//! A viewer's HTTP/2 connection: hyper runs it, this task watches it.
//!
//! What floods and smuggles over HTTP/2 is h2's to refuse, within the limits set here: floods of
//! CONTINUATION frames and large header lists, rapid resets in both directions, field names in
//! upper case, fields about a connection. hyper's server has no way to send interim responses, so
//! over HTTP/2 `103` stays behind, and `100 Continue` is nothing that viewers wait for.

mod inbound;
mod pulse;
mod watched;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::limits::{
    CHUNK_BYTES_MAX, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, URL_BYTES_MAX, VIEWER_RESETS_MAX,
    VIEWER_STREAMS_MAX,
};
use tokio::net::TcpStream;
use tokio::time;

use crate::connection::Terms;
use crate::http2::pulse::{Exchange, Pulse, Verdict};
use crate::http2::watched::Watched;
use crate::listen::Tasks;
use crate::outgoing::Outgoing;

/// What HTTP/2 adds to a field when it measures a header list (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// Bytes of the pseudo-fields beside the path.
const PSEUDO_FIELDS: usize = 1024;
/// How often a silent viewer is asked whether it is still there, and how long it may take.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// How connections are run.
pub(crate) type Builder = http2::Builder<Tasks>;

/// The terms of all connections.
pub(crate) fn builder(tasks: Tasks) -> Builder {
    let list_bytes =
        URL_BYTES_MAX + HEADER_BYTES_MAX + PSEUDO_FIELDS + FIELD_OVERHEAD * HEADER_FIELDS_MAX;
    let mut http = http2::Builder::new(tasks);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(VIEWER_STREAMS_MAX)
        .max_pending_accept_reset_streams(VIEWER_RESETS_MAX)
        .max_local_error_reset_streams(VIEWER_RESETS_MAX)
        .max_header_list_size(u32::try_from(list_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(CHUNK_BYTES_MAX)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    http
}

/// Serves the connection of which `input` was read.
pub(crate) async fn serve(
    terms: &Arc<Terms>,
    stream: TcpStream,
    viewer: SocketAddr,
    input: BytesMut,
) {
    let pulse = Pulse::begin();
    let watched = TokioIo::new(Watched::new(stream, input.freeze(), Arc::clone(&pulse)));
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = Exchange::begin(&pulse);
        let terms = Arc::clone(terms);
        async move { Ok::<_, Infallible>(answer(&terms, viewer, request, exchange).await) }
    });
    let mut running = pin!(terms.http2.serve_connection(watched, service));
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
