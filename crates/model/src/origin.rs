//! Origins: where content comes from, and how patient we are with each.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One origin server of a distribution, with CloudFront's names and defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What behaviors call it.
    pub id: String,
    /// Host name or address.
    pub domain_name: String,
    /// TCP port for HTTP.
    #[serde(default = "http_port")]
    pub http_port: u16,
    /// Seconds to establish a connection (1 to 10).
    #[serde(default = "connection_timeout")]
    pub connection_timeout_seconds: u32,
    /// Seconds to the first byte of an answer, and between two bytes of it (1 to 120).
    #[serde(default = "response_timeout")]
    pub response_timeout_seconds: u32,
    /// Seconds that an idle connection is kept for the next request (1 to 120).
    #[serde(default = "keepalive_timeout")]
    pub keepalive_timeout_seconds: u32,
    /// Connections at once from one node.
    #[serde(default = "connections_max")]
    pub connections_max: u32,
}

impl Origin {
    /// Time allowed to establish a connection.
    pub fn connection_timeout(&self) -> Duration {
        Duration::from_secs(self.connection_timeout_seconds.into())
    }

    /// Time allowed to the first byte, and between bytes.
    pub fn response_timeout(&self) -> Duration {
        Duration::from_secs(self.response_timeout_seconds.into())
    }

    /// Time an idle connection is kept.
    pub fn keepalive_timeout(&self) -> Duration {
        Duration::from_secs(self.keepalive_timeout_seconds.into())
    }
}

fn http_port() -> u16 {
    80
}
fn connection_timeout() -> u32 {
    10
}
fn response_timeout() -> u32 {
    30
}
fn keepalive_timeout() -> u32 {
    5
}
fn connections_max() -> u32 {
    1_024
}
