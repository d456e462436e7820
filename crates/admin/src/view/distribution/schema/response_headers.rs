//! The shape of response headers policies.

use serde::Deserialize;
use utoipa::ToSchema;

/// What viewers get beside, or instead of, the origin's fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseHeadersPolicy {
    /// What pages of other origins may do with the response.
    #[schema(required = false)]
    pub cors: Option<Cors>,
    /// What browsers are told about safety.
    #[schema(required = false)]
    pub security_headers: SecurityHeaders,
    /// Further fields.
    #[schema(required = false)]
    pub custom_headers: Vec<CustomHeader>,
    /// Fields of the origin that viewers do not get.
    #[schema(required = false)]
    pub remove_headers: Vec<String>,
    /// How often viewers are told what the cache did.
    #[schema(required = false)]
    pub server_timing: Option<ServerTiming>,
}

/// The answer to cross-origin requests.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins such as `https://app.example`, `https://*.example`, or `*` for all.
    pub allow_origins: Vec<String>,
    /// Methods that a preflight allows; `ALL` for every one.
    #[schema(required = false, default = json!(["GET", "HEAD"]))]
    pub allow_methods: Vec<String>,
    /// Fields that a preflight allows; `*` for all.
    #[schema(required = false)]
    pub allow_headers: Vec<String>,
    /// Fields of the response that pages may read; `*` for all.
    #[schema(required = false)]
    pub expose_headers: Vec<String>,
    /// Whether pages may send cookies and read the answer.
    #[schema(required = false, default = false)]
    pub allow_credentials: bool,
    /// Seconds that a browser may remember a preflight.
    #[schema(required = false, default = 600)]
    pub max_age_seconds: u32,
    /// Whether this wins over the origin's own CORS fields.
    #[schema(required = false, default = false)]
    pub origin_override: bool,
}

/// What browsers are told about safety.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityHeaders {
    /// `Strict-Transport-Security`.
    #[schema(required = false)]
    pub strict_transport_security: Option<TransportSecurity>,
    /// `X-Content-Type-Options: nosniff`.
    #[schema(required = false)]
    pub content_type_options: Option<Plain>,
    /// `X-Frame-Options`.
    #[schema(required = false)]
    pub frame_options: Option<FrameOptions>,
    /// `Referrer-Policy`.
    #[schema(required = false)]
    pub referrer_policy: Option<Referrer>,
    /// `Content-Security-Policy`.
    #[schema(required = false)]
    pub content_security_policy: Option<ContentSecurity>,
    /// `X-XSS-Protection`.
    #[schema(required = false)]
    pub xss_protection: Option<XssProtection>,
}

/// A field whose value is always the same.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// `Strict-Transport-Security`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransportSecurity {
    /// Seconds that a browser remembers to come over TLS only.
    pub max_age_seconds: u32,
    /// Whether that holds for names below the host.
    #[schema(required = false, default = false)]
    pub include_subdomains: bool,
    /// Whether browsers may ship the host in their own lists.
    #[schema(required = false, default = false)]
    pub preload: bool,
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// `X-Frame-Options`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameOptions {
    /// Who may show the page in a frame.
    pub frame_option: Framing,
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// Who may show a page in a frame.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Framing {
    /// Nobody.
    Deny,
    /// Pages of the same origin.
    SameOrigin,
}

/// `Referrer-Policy`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Referrer {
    /// The policy.
    pub referrer_policy: ReferrerPolicy,
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// What a browser says of where a request comes from.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the standard's own words")]
pub enum ReferrerPolicy {
    NoReferrer,
    NoReferrerWhenDowngrade,
    Origin,
    OriginWhenCrossOrigin,
    SameOrigin,
    StrictOrigin,
    StrictOriginWhenCrossOrigin,
    UnsafeUrl,
}

/// `Content-Security-Policy`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentSecurity {
    /// The policy.
    pub content_security_policy: String,
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// `X-XSS-Protection`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct XssProtection {
    /// Whether old browsers filter.
    pub protection: bool,
    /// Whether they show nothing rather than a cleaned page.
    #[schema(required = false, default = false)]
    pub mode_block: bool,
    /// Where they report it; not together with `mode_block`.
    #[schema(required = false)]
    pub report_uri: Option<String>,
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// One further field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomHeader {
    /// Its name.
    pub header: String,
    /// Its value.
    pub value: String,
    /// Whether it wins over the origin's.
    #[serde(rename = "override")]
    #[schema(required = false, default = false)]
    pub wins: bool,
}

/// `Server-Timing`: what the cache did, for a share of the responses.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTiming {
    /// Percent of responses that carry it; whoever sends `Pragma: server-timing` gets it anyway.
    #[schema(minimum = 0, maximum = 100)]
    pub sampling_rate: f64,
}
