//! Policies that a behavior carries: how long objects live and what tells them apart, what the
//! origin gets beyond that, and how responses are dressed for viewers.
//!
//! Every value has a default, and the defaults together change nothing: all query strings are in
//! the key, the origin gets what the viewer sent, the viewer what the origin sent.

use std::time::Duration;

use http::HeaderName;
use serde::{Deserialize, Serialize};

use crate::field::FieldName;

pub mod origin_request;
pub mod response_headers;

pub use origin_request::OriginRequestPolicy;
pub use response_headers::ResponseHeadersPolicy;

/// The target field of RFC 9213 that all CDNs share.
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What we work out about a viewer ourselves, in place of anything that it says under these names.
pub const DERIVED_HEADERS: [&str; 5] = [
    "cloudfront-viewer-country",
    "cloudfront-is-mobile-viewer",
    "cloudfront-is-desktop-viewer",
    "cloudfront-is-tablet-viewer",
    "cloudfront-is-smarttv-viewer",
];

/// How long an object may be served, and what tells two objects apart: CloudFront's cache policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CachePolicy {
    /// Seconds that win over a shorter lifetime from the origin. `no-store` and `private` are
    /// still never kept.
    pub min_ttl_seconds: u32,
    /// Seconds when the origin says nothing.
    pub default_ttl_seconds: u32,
    /// Seconds that cap what the origin says.
    pub max_ttl_seconds: u32,
    /// Seconds that a stale object is served while it is refreshed, when the origin does not say.
    pub stale_while_revalidate_seconds: u32,
    /// Seconds that a stale object is served when the origin fails, when the origin does not say.
    pub stale_if_error_seconds: u32,
    /// Fields that speak to this cache in place of `Cache-Control` (RFC 9213), the most specific
    /// first.
    pub cache_control_targets: Vec<FieldName>,
    /// Query strings in the key.
    pub query_strings: Names,
    /// Whether their order tells objects apart.
    pub query_string_order: QueryOrder,
    /// Fields in the key.
    pub headers: KeyHeaders,
    /// Cookies in the key.
    pub cookies: Names,
    /// Whether `gzip` is kept of the viewer's `Accept-Encoding`, for key and origin.
    pub enable_accept_encoding_gzip: bool,
    /// Whether `br` is.
    pub enable_accept_encoding_brotli: bool,
    /// Whether `zstd` is.
    pub enable_accept_encoding_zstd: bool,
    /// Whether what an origin calls `private` or `no-store` is kept all the same, for all viewers,
    /// as if it had said nothing. One viewer's page goes to another when this is wrong.
    pub dangerously_cache_private: bool,
}

/// Which query strings or cookies a policy selects, by name. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Names {
    /// None.
    None,
    /// These.
    Whitelist(Vec<String>),
    /// All but these.
    AllExcept(Vec<String>),
    /// All.
    All,
}

impl Names {
    /// Whether the one called `name` is selected.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Names::None => false,
            Names::Whitelist(listed) => listed.iter().any(|listed| listed == name),
            Names::AllExcept(listed) => !listed.iter().any(|listed| listed == name),
            Names::All => true,
        }
    }

    /// The names listed, if it is a list.
    pub fn listed(&self) -> &[String] {
        match self {
            Names::None | Names::All => &[],
            Names::Whitelist(listed) | Names::AllExcept(listed) => listed,
        }
    }
}

/// Whether `?a=1&b=2` and `?b=2&a=1` are one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueryOrder {
    /// They are two, as origins may tell them apart.
    #[default]
    Kept,
    /// They are one: sorted by name, those of one name in the order given.
    Normalised,
}

/// Which fields are in the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyHeaders {
    /// None.
    None,
    /// These; also the derived ones, such as `CloudFront-Is-Mobile-Viewer`.
    Whitelist(Vec<FieldName>),
}

impl KeyHeaders {
    /// The fields.
    pub fn listed(&self) -> &[FieldName] {
        match self {
            KeyHeaders::None => &[],
            KeyHeaders::Whitelist(listed) => listed,
        }
    }
}

impl CachePolicy {
    /// The minimum lifetime.
    pub fn min_ttl(&self) -> Duration {
        seconds(self.min_ttl_seconds)
    }

    /// The lifetime when the origin says nothing.
    pub fn default_ttl(&self) -> Duration {
        seconds(self.default_ttl_seconds)
    }

    /// The maximum lifetime.
    pub fn max_ttl(&self) -> Duration {
        seconds(self.max_ttl_seconds)
    }

    /// How long a stale object is served while it is refreshed, when the origin does not say.
    pub fn stale_while_revalidate(&self) -> Duration {
        seconds(self.stale_while_revalidate_seconds)
    }

    /// How long a stale object is served when the origin fails, when the origin does not say.
    pub fn stale_if_error(&self) -> Duration {
        seconds(self.stale_if_error_seconds)
    }

    /// Whether `Accept-Encoding` is reduced to the codings enabled here, rather than an ordinary
    /// field.
    pub fn normalises_accept_encoding(&self) -> bool {
        self.enable_accept_encoding_gzip
            || self.enable_accept_encoding_brotli
            || self.enable_accept_encoding_zstd
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

impl Default for CachePolicy {
    fn default() -> Self {
        CachePolicy {
            min_ttl_seconds: 0,
            default_ttl_seconds: 86_400,
            max_ttl_seconds: 31_536_000,
            stale_while_revalidate_seconds: 0,
            stale_if_error_seconds: 0,
            cache_control_targets: vec![FieldName::of(&CDN_CACHE_CONTROL)],
            query_strings: Names::All,
            query_string_order: QueryOrder::Kept,
            headers: KeyHeaders::None,
            cookies: Names::None,
            enable_accept_encoding_gzip: false,
            enable_accept_encoding_brotli: false,
            enable_accept_encoding_zstd: false,
            dangerously_cache_private: false,
        }
    }
}
