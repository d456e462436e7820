//! What can go wrong before the first viewer is heard: the address cannot be had.
//!
//! Afterwards nothing fails as a whole: a broken connection ends alone, an origin's failure is a
//! `serve::OriginError`.

use std::io;
use std::net::SocketAddr;

/// Why a listener could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Another program listens there.
    #[error("{address} is already in use: stop what listens there or choose another address")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The process lacks the right.
    #[error("no permission to listen on {address}: ports below 1024 need CAP_NET_BIND_SERVICE")]
    Denied {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else: the address is not this machine's, or the system has no more sockets.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl GatewayError {
    pub(crate) fn bind(address: SocketAddr, source: io::Error) -> GatewayError {
        match source.kind() {
            io::ErrorKind::AddrInUse => GatewayError::InUse { address },
            io::ErrorKind::PermissionDenied => GatewayError::Denied { address },
            _ => GatewayError::Bind { address, source },
        }
    }
}
