//! Why the door could not be opened: each says what the operator can do about it.
//!
//! Refusals of requests are not here: those are problems, which travel to whoever asked. These stop
//! the node from starting.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use model::limits::{TOKEN_BYTES_MAX, TOKEN_BYTES_MIN};

/// A door that stays shut.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Anyone on the network could command the mesh.
    #[error(
        "{0} can be reached from other machines: \
         admin listens on loopback only unless admin.token_file is given"
    )]
    Unprotected(SocketAddr),
    /// The address is taken, or not ours.
    #[error("admin cannot listen on {address}")]
    Bind {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The token file is missing or cannot be read.
    #[error("the admin token file {} cannot be read", file.display())]
    TokenFile {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may read the token.
    #[error(
        "the admin token file {} has mode {mode:04o}: others may read it, expected 0600",
        file.display()
    )]
    TokenMode {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What is in the file is no token.
    #[error(
        "the admin token file {} holds no token: expected one line \
         of {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} printable ASCII characters without spaces",
        file.display()
    )]
    TokenText {
        /// The file.
        file: PathBuf,
    },
}
