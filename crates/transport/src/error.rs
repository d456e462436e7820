//! What can go wrong: [`TransportError`] when a node is set up, [`LinkError`] when it talks.
//!
//! The first is for the operator and names files and addresses; the second is for the caller, who
//! retries, asks another peer, or gives up. A link error is cloned to everyone who waited for it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{Invalid, NodeName};
use wire::hello::Reason;

use crate::code;

/// A node that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A file could not be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file that would be overwritten.
    #[error(
        "{} exists and is never overwritten: move it away, or choose another place",
        file.display()
    )]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// A file with other content than expected.
    #[error("{} does not hold {expected}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// A certificate that is not a node's.
    #[error("the certificate in {} does not say which node it is for", file.display())]
    Identity {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Invalid,
    },
    /// A certificate that is not valid now.
    #[error(
        "the certificate in {} is valid from {from} until {until}, which is not now: issue another \
         one, or set the clock",
        file.display()
    )]
    Expired {
        /// The file.
        file: PathBuf,
        /// The start of its life.
        from: String,
        /// The end of its life.
        until: String,
    },
    /// A key that belongs to another certificate.
    #[error(
        "the key in {} does not belong to the certificate in {}",
        key.display(),
        certificate.display()
    )]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// A certificate from another authority.
    #[error(
        "the certificate in {} was not issued by the authority in {}",
        certificate.display(),
        authority.display()
    )]
    Issuer {
        /// The certificate's file.
        certificate: PathBuf,
        /// The authority's file.
        authority: PathBuf,
        /// What the verification said.
        #[source]
        source: rustls::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Issue(#[from] rcgen::Error),
    /// TLS refuses what it was given.
    #[error("cannot set up tls")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The port is taken, or the address is not ours.
    #[error(
        "cannot listen on udp {address}: see what holds the port with `ss -ulpn`, or set another \
         listen address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A peer that did not answer, or not as hoped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The directory does not know the node.
    #[error("no address is known for {0}")]
    Unknown(NodeName),
    /// The address cannot be dialled.
    #[error("cannot dial {0}")]
    Address(SocketAddr, #[source] quinn::ConnectError),
    /// Nobody answered at the address, or not with a certificate of our authority.
    #[error("cannot reach {0}")]
    Unreachable(SocketAddr, #[source] quinn::ConnectionError),
    /// One of the two nodes does not want to talk to the other.
    #[error("refused to talk with {address}: {text}")]
    Unwelcome {
        /// Where the peer is.
        address: SocketAddr,
        /// Why.
        reason: Reason,
        /// Why, in words that name both nodes.
        text: String,
    },
    /// Another node than the wanted one lives at the address.
    #[error("{address} is {found}, not {expected}")]
    Elsewhere {
        /// Where the directory said that it was.
        address: SocketAddr,
        /// Who was wanted.
        expected: NodeName,
        /// Who is there.
        found: NodeName,
    },
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost(#[source] quinn::ConnectionError),
    /// The stream ended before its end was said: what came is not complete.
    #[error("the stream broke off")]
    Broken,
    /// The stream ended before its end, and its sender says that the rest is not to be had.
    #[error("the peer gave the stream up")]
    GivenUp,
    /// The peer does not take the stream, or is not heard at all: it is dead, stuck or cut off.
    #[error("the peer has been silent for {} ms", .0.as_millis())]
    Silent(Duration),
    /// The peer does not read on.
    #[error("the peer stopped reading")]
    Stopped,
    /// The peer sent what is not a message.
    #[error("the peer sent something malformed")]
    Malformed,
    /// A message longer than may be sent.
    #[error("a message of {0} bytes, at most {1} may be sent")]
    TooLong(usize, usize),
    /// The peer refuses, for the reason it gives.
    #[error("the peer refused: {0}")]
    Refused(String),
    /// No answer in time.
    #[error("no answer in time")]
    Deadline,
    /// More peers than a mesh may have.
    #[error("too many peers are being dialled")]
    Crowded,
}

impl From<quinn::ReadError> for LinkError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::ConnectionLost(source) => LinkError::Lost(source),
            quinn::ReadError::Reset(code::GIVEN_UP) => LinkError::GivenUp,
            quinn::ReadError::Reset(_)
            | quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => LinkError::Broken,
        }
    }
}

impl From<quinn::ReadExactError> for LinkError {
    fn from(error: quinn::ReadExactError) -> Self {
        match error {
            quinn::ReadExactError::ReadError(error) => error.into(),
            quinn::ReadExactError::FinishedEarly(_) => LinkError::Broken,
        }
    }
}

impl From<quinn::WriteError> for LinkError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::ConnectionLost(source) => LinkError::Lost(source),
            quinn::WriteError::Stopped(_) => LinkError::Stopped,
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => {
                LinkError::Broken
            }
        }
    }
}
