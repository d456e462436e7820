//! A fresh connection to an origin: look up the name, try its addresses in turn, speak HTTP/1.1.
//!
//! The addresses share the connection timeout: each may use an equal part of what is left, so one
//! that swallows packets does not cost the others their turn.

use std::net::SocketAddr;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::Origin;
use model::limits::{CHUNK_BYTES_MAX, HEADER_BYTES_MAX, HEADER_FIELDS_MAX};
use serve::OriginError;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{self, Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::pool::{Lane, Link};
use crate::strict::{Due, Strict};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Status line, separators and line ends of the largest head.
const HEAD_OVERHEAD: usize = 1024;

/// Connects to the origin of `lane`.
pub(crate) async fn connect(lane: &Lane, origin: &Origin) -> Result<Link, OriginError> {
    let stream = open(lane, origin).await?;
    // Without it the end of a request waits for the origin's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let due = Due::default();
    let (sender, connection) = http1::Builder::new()
        .max_headers(HEADER_FIELDS_MAX)
        .max_header_size(HEADER_BYTES_MAX + HEAD_OVERHEAD)
        .max_buf_size(CHUNK_BYTES_MAX)
        .handshake(TokioIo::new(Strict::new(stream, due.clone())))
        .await
        .map_err(|error| OriginError::Unreachable(format!("{}: {error}", lane.address)))?;
    let address = lane.address.clone();
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "origin connection ended");
        }
    });
    Ok(Link { sender, due, _driver: AbortOnDropHandle::new(driver) })
}

async fn open(lane: &Lane, origin: &Origin) -> Result<TcpStream, OriginError> {
    let deadline = Instant::now() + origin.connection_timeout();
    let addresses = resolve(lane, origin, deadline).await?;
    let mut failure = OriginError::Unreachable(format!("{} has no address", lane.address));
    for (tried, address) in addresses.iter().enumerate() {
        let turns = u32::try_from(addresses.len() - tried).expect("at most ADDRESSES_MAX");
        let turn = deadline.saturating_duration_since(Instant::now()) / turns;
        failure = match time::timeout(turn, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                OriginError::Unreachable(format!("{} ({address}): {error}", lane.address))
            }
            Err(_) => OriginError::TimedOut(format!(
                "no connection to {} ({address}) within {} s",
                lane.address, origin.connection_timeout_seconds
            )),
        };
    }
    Err(failure)
}

async fn resolve(
    lane: &Lane,
    origin: &Origin,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, OriginError> {
    let name = origin.domain_name.trim_start_matches('[').trim_end_matches(']');
    match time::timeout_at(deadline, lookup_host((name, origin.http_port))).await {
        Ok(Ok(addresses)) => Ok(addresses.take(ADDRESSES_MAX).collect()),
        Ok(Err(error)) => {
            Err(OriginError::Unreachable(format!("{}: name lookup: {error}", lane.address)))
        }
        Err(_) => {
            Err(OriginError::TimedOut(format!("name lookup of {} took too long", lane.address)))
        }
    }
}
