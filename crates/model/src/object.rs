//! A stored response: what the origin said, when, and the log position that its content is known to
//! reflect.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::moment::Moment;
use crate::name::DistributionName;
use crate::position::LogPosition;
use crate::tag::Tags;
use crate::url::{Host, Path};

/// What purges match: never the derived key, always these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// The distribution that fetched it.
    pub distribution: DistributionName,
    /// The host that was asked for.
    pub host: Host,
    /// Canonical path and query.
    pub path: Path,
}

/// A response head as received, with what freshness arithmetic needs (RFC 9111 §4.2.3).
#[derive(Clone, Debug)]
pub struct Head {
    /// Final status.
    pub status: StatusCode,
    /// End-to-end fields only.
    pub headers: HeaderMap,
    /// The log applied on the node that asked the origin, before it asked (rules R1 and R2 of the
    /// purge protocol).
    pub as_of: LogPosition,
    /// When the request that brought this response was sent.
    pub requested_at: Moment,
    /// When the response arrived.
    pub received_at: Moment,
    /// The corrected initial age at `received_at`.
    pub initial_age: Duration,
    /// How long before `requested_at` it was proven that no purge committed by then covers the
    /// content: zero for an origin that answered itself. Grows with time like a lease.
    pub proof_age: Duration,
}

impl Head {
    /// `current_age` of RFC 9111 §4.2.3.
    pub fn age_at(&self, now: Moment) -> Duration {
        self.initial_age.saturating_add(now.since(self.received_at))
    }

    /// How long ago it was proven that no purge committed by then covers the content. Always an
    /// over-estimate: it counts from before the request left.
    pub fn proof_age_at(&self, now: Moment) -> Duration {
        self.proof_age.saturating_add(now.since(self.requested_at))
    }
}

/// A complete response in the cache. Shared, never changed: a revalidation makes a new one around
/// the same body.
#[derive(Clone, Debug)]
pub struct Object {
    /// What purges match.
    pub attributes: Arc<Attributes>,
    /// The origin's names for what it was made from: purges match these too.
    pub tags: Tags,
    /// Status, fields, timing.
    pub head: Head,
    /// The body in the chunks in which it came.
    pub body: Arc<[Bytes]>,
    /// Bytes in `body`.
    pub body_bytes: u64,
}
