//! What comes in from a viewer and what goes out to it, between the story and the shell that speaks
//! HTTP.

use std::net::SocketAddr;

use http::{HeaderMap, Method, StatusCode};

use policy::Scheme;

use crate::body::Body;
use crate::world::Interim;

/// A viewer's request as it arrived.
pub struct Request {
    /// The method.
    pub method: Method,
    /// Whether it came over TLS.
    pub scheme: Scheme,
    /// The `Host` field or authority, as sent.
    pub host: String,
    /// Path and query, as sent.
    pub target: String,
    /// All fields, hop-by-hop ones included.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Who asks.
    pub viewer: SocketAddr,
    /// Takes interim responses, where the protocol can carry them.
    pub interim: Option<Interim>,
}

/// An answer to a viewer.
pub struct Response {
    /// Final status.
    pub status: StatusCode,
    /// All fields but those that the protocol itself adds.
    pub headers: HeaderMap,
    /// The body; `bytes` known means that `Content-Length` may be sent.
    pub body: Body,
}
