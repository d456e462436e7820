//! How responses are dressed for viewers: CloudFront's response headers policy. Fields are removed
//! first, then those of CORS, of security and of the operator are set, each over the origin's or
//! only where it has none.

use serde::{Deserialize, Serialize};

use crate::field::{FieldName, FieldValue};
use crate::name::Invalid;

/// What viewers get beside, or instead of, the origin's fields. Nothing unless it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseHeadersPolicy {
    /// What pages of other origins may do with the response.
    pub cors: Option<Cors>,
    /// What browsers are told about safety.
    pub security_headers: SecurityHeaders,
    /// Further fields.
    pub custom_headers: Vec<CustomHeader>,
    /// Fields of the origin that viewers do not get.
    pub remove_headers: Vec<FieldName>,
    /// How often viewers are told what the cache did.
    pub server_timing: Option<ServerTiming>,
}

/// The answer to cross-origin requests (the Fetch standard's CORS protocol).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins such as `https://app.example`, `https://*.example`, or `*` for all.
    pub allow_origins: Vec<FieldValue>,
    /// Methods that a preflight allows; `ALL` for every one.
    #[serde(default = "reading")]
    pub allow_methods: Vec<FieldValue>,
    /// Fields that a preflight allows; `*` for all.
    #[serde(default)]
    pub allow_headers: Vec<FieldValue>,
    /// Fields of the response that pages may read; `*` for all.
    #[serde(default)]
    pub expose_headers: Vec<FieldValue>,
    /// Whether pages may send cookies and read the answer.
    #[serde(default)]
    pub allow_credentials: bool,
    /// Seconds that a browser may remember a preflight.
    #[serde(default = "preflight_age")]
    pub max_age_seconds: u32,
    /// Whether this wins over the origin's own CORS fields.
    #[serde(default)]
    pub origin_override: bool,
}

fn reading() -> Vec<FieldValue> {
    ["GET", "HEAD"].iter().filter_map(|name| FieldValue::parse(name).ok()).collect()
}

fn preflight_age() -> u32 {
    600
}

/// What browsers are told about safety. Each is left to the origin unless it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityHeaders {
    /// `Strict-Transport-Security`.
    pub strict_transport_security: Option<TransportSecurity>,
    /// `X-Content-Type-Options: nosniff`.
    pub content_type_options: Option<Plain>,
    /// `X-Frame-Options`.
    pub frame_options: Option<FrameOptions>,
    /// `Referrer-Policy`.
    pub referrer_policy: Option<Referrer>,
    /// `Content-Security-Policy`.
    pub content_security_policy: Option<ContentSecurity>,
    /// `X-XSS-Protection`.
    pub xss_protection: Option<XssProtection>,
}

/// A field whose value is always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransportSecurity {
    /// Seconds that a browser remembers to come over TLS only.
    pub max_age_seconds: u32,
    /// Whether that holds for names below the host.
    #[serde(default)]
    pub include_subdomains: bool,
    /// Whether browsers may ship the host in their own lists.
    #[serde(default)]
    pub preload: bool,
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// `X-Frame-Options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameOptions {
    /// Who may show the page in a frame.
    pub frame_option: Framing,
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// Who may show a page in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Framing {
    /// Nobody.
    Deny,
    /// Pages of the same origin.
    SameOrigin,
}

/// `Referrer-Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referrer {
    /// The policy.
    pub referrer_policy: ReferrerPolicy,
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// What a browser says of where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentSecurity {
    /// The policy.
    pub content_security_policy: FieldValue,
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// `X-XSS-Protection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XssProtection {
    /// Whether old browsers filter.
    pub protection: bool,
    /// Whether they show nothing rather than a cleaned page.
    #[serde(default)]
    pub mode_block: bool,
    /// Where they report it; not together with `mode_block`.
    #[serde(default)]
    pub report_uri: Option<FieldValue>,
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// One further field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomHeader {
    /// Its name.
    pub header: FieldName,
    /// Its value.
    pub value: FieldValue,
    /// Whether it wins over the origin's.
    #[serde(rename = "override", default)]
    pub wins: bool,
}

/// `Server-Timing`: what the cache did, for a share of the responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTiming {
    /// Percent of responses that carry it; whoever sends `Pragma: server-timing` gets it anyway.
    pub sampling_rate: Percent,
}

/// A share in ten-thousandths of a percent, written as a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent(u32);

impl Percent {
    /// All of a million.
    pub const MILLIONTHS_MAX: u32 = 1_000_000;

    /// Of a million, how many.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = Invalid;
    fn try_from(given: f64) -> Result<Self, Invalid> {
        if !(0.0..=100.0).contains(&given) {
            return Err(Invalid::new("percentage", &given.to_string(), "0 to 100"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "0 to a million, as checked above")]
        #[expect(clippy::cast_sign_loss, reason = "not negative, as checked above")]
        let millionths = (given * 10_000.0).round() as u32;
        Ok(Percent(millionths))
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> f64 {
        f64::from(percent.0) / 10_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_four_decimals_and_reads_back() {
        for (given, millionths) in [(0.0, 0), (0.0001, 1), (12.5, 125_000), (100.0, 1_000_000)] {
            let percent = Percent::try_from(given).unwrap();
            assert_eq!(percent.millionths(), millionths);
            assert_eq!(Percent::try_from(f64::from(percent)), Ok(percent));
        }
        for bad in [-0.1, 100.1, f64::NAN, f64::INFINITY] {
            assert!(Percent::try_from(bad).is_err(), "{bad}");
        }
    }
}
