//! The shape of behaviors, of their cache and origin request policies, and of what else a
//! distribution says of requests and errors.

use serde::Deserialize;
use utoipa::ToSchema;

use super::ResponseHeadersPolicy;

/// How requests are handled that one pattern covers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheBehavior {
    /// Which paths it covers, with `*` for any characters and `?` for one; none for the default.
    #[schema(required = false, examples("/images/*.jpg"))]
    pub path_pattern: Option<String>,
    /// The `id` of one of the origins.
    pub target_origin_id: String,
    /// What viewers may ask; 405 for the rest.
    #[schema(
        required = false,
        default = json!(["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"])
    )]
    pub allowed_methods: Methods,
    /// What may be answered from the cache: `GET` and `HEAD`.
    #[schema(required = false, default = json!(["GET", "HEAD"]))]
    pub cached_methods: Methods,
    /// What viewers without TLS get.
    #[schema(required = false, default = "allow-all")]
    pub viewer_protocol_policy: ViewerProtocolPolicy,
    /// Whether the edge compresses what the origin sent plain.
    #[schema(required = false, default = false)]
    pub compress: bool,
    /// Lifetimes, and what tells two objects apart.
    #[schema(required = false)]
    pub cache_policy: CachePolicy,
    /// What the origin gets beside that.
    #[schema(required = false)]
    pub origin_request_policy: OriginRequestPolicy,
    /// How responses are dressed for viewers.
    #[schema(required = false)]
    pub response_headers_policy: ResponseHeadersPolicy,
}

/// `GET` and `HEAD`; these and `OPTIONS`; or these and `PUT`, `POST`, `PATCH`, `DELETE`.
#[derive(Deserialize, ToSchema)]
pub struct Methods(pub Vec<String>);

/// What viewers get who did not come over TLS.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ViewerProtocolPolicy {
    /// The same as everybody.
    AllowAll,
    /// The way to the same URL with `https`.
    RedirectToHttps,
    /// 403.
    HttpsOnly,
}

/// How long an object may be served, and what tells two objects apart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePolicy {
    /// Seconds that win over a shorter lifetime from the origin. `no-store` and `private` are
    /// still never kept.
    #[schema(required = false, default = 0)]
    pub min_ttl_seconds: u32,
    /// Seconds when the origin says nothing.
    #[schema(required = false, default = 86_400)]
    pub default_ttl_seconds: u32,
    /// Seconds that cap what the origin says.
    #[schema(required = false, default = 31_536_000)]
    pub max_ttl_seconds: u32,
    /// Seconds that a stale object is served while it is refreshed, when the origin does not say.
    #[schema(required = false, default = 0)]
    pub stale_while_revalidate_seconds: u32,
    /// Seconds that a stale object is served when the origin fails, when the origin does not say.
    #[schema(required = false, default = 0)]
    pub stale_if_error_seconds: u32,
    /// Fields that speak to this cache in place of `Cache-Control` (RFC 9213), the most specific
    /// first.
    #[schema(required = false, default = json!(["cdn-cache-control"]))]
    pub cache_control_targets: Vec<String>,
    /// Query strings in the key.
    #[schema(required = false, default = "all")]
    pub query_strings: Names,
    /// Whether their order tells objects apart.
    #[schema(required = false, default = "kept")]
    pub query_string_order: QueryOrder,
    /// Fields in the key.
    #[schema(required = false, default = "none")]
    pub headers: KeyHeaders,
    /// Cookies in the key.
    #[schema(required = false, default = "none")]
    pub cookies: Names,
    /// Whether `gzip` is kept of the viewer's `Accept-Encoding`, for key and origin.
    #[schema(required = false, default = false)]
    pub enable_accept_encoding_gzip: bool,
    /// Whether `br` is.
    #[schema(required = false, default = false)]
    pub enable_accept_encoding_brotli: bool,
    /// Whether `zstd` is.
    #[schema(required = false, default = false)]
    pub enable_accept_encoding_zstd: bool,
    /// Whether what an origin calls `private` or `no-store` is kept all the same, for all viewers.
    /// One viewer's page goes to another when this is wrong.
    #[schema(required = false, default = false)]
    pub dangerously_cache_private: bool,
}

/// Which query strings or cookies, by name.
#[derive(Deserialize, ToSchema)]
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

/// Whether `?a=1&b=2` and `?b=2&a=1` are one object.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueryOrder {
    /// They are two.
    Kept,
    /// They are one: sorted by name.
    Normalised,
}

/// Which fields are in the key.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeyHeaders {
    /// None.
    None,
    /// These; also the derived ones, such as `CloudFront-Is-Mobile-Viewer`.
    Whitelist(Vec<String>),
}

/// What the origin gets beyond the key. What is in neither is not sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginRequestPolicy {
    /// Query strings.
    #[schema(required = false, default = "all")]
    pub query_strings: Names,
    /// Fields.
    #[schema(required = false, default = "allViewer")]
    pub headers: ForwardedHeaders,
    /// Cookies.
    #[schema(required = false, default = "all")]
    pub cookies: Names,
    /// Bytes of a request's body, at most; 413 beyond.
    #[schema(required = false, default = 68_719_476_736_u64, maximum = 68_719_476_736_u64)]
    pub body_bytes_max: u64,
}

/// Which fields the origin gets.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ForwardedHeaders {
    /// Those in the key, and what HTTP itself needs.
    None,
    /// These too, viewers' and derived ones.
    Whitelist(Vec<String>),
    /// All of the viewer's.
    AllViewer,
    /// All of the viewer's, and these of the derived ones.
    #[serde(rename = "allViewerAndWhitelistCloudFront")]
    AllViewerAndDerived(Vec<String>),
    /// All of the viewer's but these.
    AllExcept(Vec<String>),
}

/// What viewers see instead of an error, and how long it is remembered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomErrorResponse {
    /// The status that the origin answered, or that stands for its failure.
    pub error_code: u16,
    /// The page to show instead, fetched like any other URL of the same host.
    #[schema(required = false, examples("/errors/404.html"))]
    pub response_page_path: Option<String>,
    /// The status to show it with; goes together with the page.
    #[schema(required = false, minimum = 200, maximum = 599)]
    pub response_code: Option<u16>,
    /// Seconds that the error is remembered at least.
    #[schema(required = false, default = 10)]
    pub error_caching_min_ttl_seconds: u32,
}

/// How much a request may bring before it is refused with 431.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestLimits {
    /// Bytes of all fields, names and values.
    #[schema(required = false, default = 32_768, minimum = 1_024, maximum = 32_768)]
    pub header_bytes_max: u32,
    /// Fields.
    #[schema(required = false, default = 128, minimum = 8, maximum = 128)]
    pub header_fields_max: u32,
}
