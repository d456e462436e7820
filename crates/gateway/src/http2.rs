//! A viewer's HTTP/2 connection: h2 speaks the protocol, one task drives it and watches it, and
//! each stream is answered in a task of its own ([`exchange`]).
//!
//! What floods and smuggles over HTTP/2 is h2's to refuse, within the limits set here: floods of
//! CONTINUATION frames and large header lists, rapid resets in both directions, field names in
//! upper case, fields about a connection. It is h2 and not hyper's server around it because that
//! one has no way to send interim responses, which a proxy must forward (RFC 9110 §15.2).

mod body;
mod connection;
mod exchange;
mod inbound;
mod pulse;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Handshake};
use model::limits::{
    CHUNK_BYTES_MAX, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, URL_BYTES_MAX, VIEWER_RESETS_MAX,
    VIEWER_STREAMS_MAX, VIEWER_UPLOAD_WINDOW,
};
use tokio::net::TcpStream;
use tokio::time::{self, Instant};

use crate::connection::Terms;
use crate::http2::connection::Connection;
use crate::http2::pulse::Pulse;
use crate::http2::watched::Watched;

/// What HTTP/2 adds to a field when it measures a header list (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// Bytes of the pseudo-fields beside the path.
const PSEUDO_FIELDS: usize = 1024;

/// Serves the connection that was accepted at `accepted`, of which `input` was read.
pub(crate) async fn serve(
    terms: &Arc<Terms>,
    stream: TcpStream,
    viewer: SocketAddr,
    input: BytesMut,
    accepted: Instant,
) {
    let pulse = Pulse::begin();
    let socket = Watched::new(stream, input.freeze(), Arc::clone(&pulse));
    match time::timeout_at(accepted + terms.limits.head, handshake(socket)).await {
        Ok(Ok(connection)) => Connection::new(terms, viewer, connection, pulse).run().await,
        Ok(Err(error)) => tracing::debug!(%viewer, %error, "connection broke"),
        Err(_) => tracing::debug!(%viewer, "connection cut: it began too slowly"),
    }
}

/// The terms of all connections.
fn handshake(socket: Watched) -> Handshake<Watched, Bytes> {
    let list_bytes =
        URL_BYTES_MAX + HEADER_BYTES_MAX + PSEUDO_FIELDS + FIELD_OVERHEAD * HEADER_FIELDS_MAX;
    Builder::new()
        .initial_window_size(VIEWER_UPLOAD_WINDOW)
        .initial_connection_window_size(VIEWER_UPLOAD_WINDOW)
        .max_concurrent_streams(VIEWER_STREAMS_MAX)
        .max_pending_accept_reset_streams(VIEWER_RESETS_MAX)
        .max_local_error_reset_streams(Some(VIEWER_RESETS_MAX))
        .max_header_list_size(u32::try_from(list_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(CHUNK_BYTES_MAX)
        .handshake(socket)
}
