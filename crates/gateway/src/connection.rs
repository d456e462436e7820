//! One viewer's connection, from its first byte to its last.
//!
//! HTTP/1 and HTTP/2 with prior knowledge (RFC 9113 §3.3) share the port: the first bytes say
//! which.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use crate::http1;
use crate::http2;
use crate::listen::{Guest, Limits, Tasks, Visit};

/// How a viewer begins who knows that we speak HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes asked of the socket to tell the protocol, which may well hold the first request.
const FIRST_BYTES: usize = 8 * 1024;

/// What all connections of a listener share.
pub(crate) struct Terms {
    pub(crate) visit: Arc<dyn Visit>,
    pub(crate) limits: Limits,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: Tasks,
}

/// Runs a connection until it is over, retired or cut.
pub(crate) async fn serve(terms: Arc<Terms>, guest: Guest) {
    let Guest { mut stream, viewer, slot: _slot } = guest;
    let accepted = Instant::now();
    // Without it small responses wait for the viewer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let viewer = SocketAddr::new(viewer.ip().to_canonical(), viewer.port());
    let mut input = BytesMut::with_capacity(FIRST_BYTES);
    let greeting = greet(&mut stream, &mut input);
    let greeting = time::timeout_at(accepted + terms.limits.head, greeting);
    let Some(greeted) = terms.shutdown.run_until_cancelled(greeting).await else { return };
    match greeted.unwrap_or(Speaks::Http1) {
        Speaks::Http1 => http1::connection::serve(&terms, stream, viewer, input, accepted).await,
        Speaks::Http2 => http2::serve(&terms, stream, viewer, input, accepted).await,
    }
}

/// What a viewer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

/// Reads into `input` until it is clear what the viewer speaks.
async fn greet(stream: &mut TcpStream, input: &mut BytesMut) -> Speaks {
    loop {
        if let Some(speaks) = recognised(input) {
            return speaks;
        }
        match stream.read_buf(input).await {
            Ok(0) | Err(_) => return Speaks::Http1,
            Ok(_) => {}
        }
    }
}

fn recognised(input: &[u8]) -> Option<Speaks> {
    match input.len() {
        _ if input.starts_with(PREFACE) => Some(Speaks::Http2),
        _ if PREFACE.starts_with(input) => None,
        _ => Some(Speaks::Http1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_protocol() {
        for (input, expect) in [
            (&b""[..], None),
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Speaks::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Some(Speaks::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nGET", Some(Speaks::Http1)),
            (b"POST", Some(Speaks::Http1)),
            (b"G", Some(Speaks::Http1)),
        ] {
            assert_eq!(recognised(input), expect, "{}", input.escape_ascii());
        }
    }
}
