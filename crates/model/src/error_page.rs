//! What viewers see instead of an error, and how long an error is remembered: CloudFront's custom
//! error responses.

use serde::{Deserialize, Serialize};

use crate::url::Path;

/// What becomes of one error status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomErrorResponse {
    /// The status that the origin answered, or that stands for its failure.
    pub error_code: u16,
    /// The page to show instead, fetched like any other URL of the same host.
    #[serde(default)]
    pub response_page_path: Option<Path>,
    /// The status to show it with; goes together with the page.
    #[serde(default)]
    pub response_code: Option<u16>,
    /// Seconds that the error is remembered at least.
    #[serde(default = "ten_seconds")]
    pub error_caching_min_ttl_seconds: u32,
}

/// The statuses that may be replaced.
pub const ERROR_CODES: [u16; 11] = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504];

/// How long an error is remembered when nothing is configured for it.
pub const ERROR_CACHING_MIN_TTL_SECONDS: u32 = 10;

fn ten_seconds() -> u32 {
    ERROR_CACHING_MIN_TTL_SECONDS
}
