//! Distributions in answers, and what a change of one did.
//!
//! A distribution's JSON is [`model::Distribution`] itself; [`schema`] only describes it for the
//! OpenAPI document, since the model knows nothing of HTTP. A test holds the two together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Receipt;

/// Every distribution of the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Distributions {
    /// By name.
    #[schema(value_type = Vec<schema::Distribution>)]
    pub distributions: Vec<Arc<model::Distribution>>,
}

/// What writing a distribution did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DistributionReceipt {
    /// Compared with what this node knew before.
    pub change: Change,
    /// The command's receipt; absent after a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// What becomes of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Created,
    /// It is another than before.
    Changed,
    /// It is as before.
    Unchanged,
    /// It is gone.
    Deleted,
}

/// The shape of the model's configuration nouns, for the OpenAPI document only.
pub mod schema {
    use serde::Deserialize;
    use utoipa::ToSchema;

    mod behavior;
    mod response_headers;

    pub use behavior::{
        CacheBehavior, CachePolicy, CustomErrorResponse, ForwardedHeaders, KeyHeaders, Methods,
        Names, OriginRequestPolicy, QueryOrder, RequestLimits, ViewerProtocolPolicy,
    };
    pub use response_headers::{
        ContentSecurity, Cors, CustomHeader, FrameOptions, Framing, Plain, Referrer,
        ReferrerPolicy, ResponseHeadersPolicy, SecurityHeaders, ServerTiming, TransportSecurity,
        XssProtection,
    };

    /// The hosts it answers for, its origins, and how its content is cached.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub struct Distribution {
        /// What commands and purges call it: one DNS label.
        #[schema(examples("shop"))]
        pub name: String,
        /// Hosts it answers for. `*.example.com` covers every name below it; `*` takes what nobody
        /// else claims.
        #[schema(examples("shop.example", "*.shop.example"))]
        pub aliases: Vec<String>,
        /// Where its content comes from.
        pub origins: Vec<Origin>,
        /// How requests are handled that none of the others covers.
        pub default_cache_behavior: CacheBehavior,
        /// How some are handled: the first whose pattern matches the path counts.
        #[schema(required = false, max_items = 75)]
        pub cache_behaviors: Vec<CacheBehavior>,
        /// What viewers see instead of errors, and how long these are remembered.
        #[schema(required = false)]
        pub custom_error_responses: Vec<CustomErrorResponse>,
        /// What a request for exactly `/` gets.
        #[schema(required = false, examples("index.html"))]
        pub default_root_object: Option<String>,
        /// Whether `/a//b` is `/a/b`: for the origin, the key, behaviors and purges alike.
        #[schema(required = false, default = false)]
        pub merge_slashes: bool,
        /// How much a request may bring.
        #[schema(required = false)]
        pub limits: RequestLimits,
        /// How purges bear on it.
        #[schema(required = false)]
        pub purging: Purging,
    }

    /// How purges bear on a distribution's content.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub struct Purging {
        /// How fresh a node's knowledge of purges has to be before it serves a copy.
        #[schema(required = false, default = "leased")]
        pub freshness: Freshness,
        /// What a node does with copies that it cannot vouch for.
        #[schema(required = false, default = "revalidate")]
        pub when_fenced: WhenFenced,
        /// Whether responses under way are cut off when a purge covers them, and when their node
        /// has known nothing for too long.
        #[schema(required = false, default = true)]
        pub stop_in_flight: bool,
        /// Whether viewers see `Surrogate-Key` and `Cache-Tag`.
        #[schema(required = false, default = false)]
        pub expose_tags: bool,
        /// What a request that changes something at the origin does to cached responses.
        #[schema(required = false, default = "invalidate")]
        pub unsafe_methods: UnsafeMethods,
        /// SHA-256, in hex, of the token that allows `PURGE` on the viewer port; off without one.
        #[schema(required = false)]
        pub viewer_token_sha256: Option<String>,
    }

    /// How fresh a node's knowledge of purges has to be.
    #[derive(Deserialize, ToSchema)]
    #[serde(rename_all = "kebab-case")]
    pub enum Freshness {
        /// At most as old as the mesh's lease: a hit asks nobody.
        Leased,
        /// Confirmed by the voters after the request arrived: a hit costs a round trip to the
        /// leader.
        Confirm,
    }

    /// What a `POST`, `PUT`, `DELETE` or the like does to cached responses.
    #[derive(Deserialize, ToSchema)]
    #[serde(rename_all = "kebab-case")]
    pub enum UnsafeMethods {
        /// Does away with what is cached for its URL, and for what its answer names, on every
        /// node.
        Invalidate,
        /// Nothing.
        Ignore,
    }

    /// What a node does with copies that it cannot vouch for.
    #[derive(Deserialize, ToSchema)]
    #[serde(rename_all = "kebab-case")]
    pub enum WhenFenced {
        /// Asks the origin about each copy, at most once per lease.
        Revalidate,
        /// Answers 503.
        Refuse,
        /// Serves them: no purge of this distribution is then ever `fenced`.
        StaleOk,
    }

    /// One origin server.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub struct Origin {
        /// What behaviors call it.
        pub id: String,
        /// Host name or address, without a port.
        pub domain_name: String,
        /// TCP port for HTTP.
        #[schema(required = false, default = 80)]
        pub http_port: u16,
        /// Seconds to establish a connection.
        #[schema(required = false, default = 10, minimum = 1, maximum = 10)]
        pub connection_timeout_seconds: u32,
        /// Seconds to the first byte of an answer, and between two bytes of it.
        #[schema(required = false, default = 30, minimum = 1, maximum = 120)]
        pub response_timeout_seconds: u32,
        /// Seconds that an idle connection is kept for the next request.
        #[schema(required = false, default = 5, minimum = 1, maximum = 120)]
        pub keepalive_timeout_seconds: u32,
        /// Connections at once from one node.
        #[schema(required = false, default = 1024, minimum = 1, maximum = 100_000)]
        pub connections_max: u32,
    }
}
