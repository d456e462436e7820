//! What the origin gets beyond what is in the key: CloudFront's origin request policy. The two
//! combine as a union, and what either lists is sent although the other leaves it out.

use serde::{Deserialize, Serialize};

use super::Names;
use crate::field::FieldName;
use crate::limits::REQUEST_BODY_BYTES_MAX;

/// What the origin gets beyond the key. What is in neither is not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OriginRequestPolicy {
    /// Query strings.
    pub query_strings: Names,
    /// Fields.
    pub headers: ForwardedHeaders,
    /// Cookies.
    pub cookies: Names,
    /// Bytes of a request's body, at most; 413 beyond.
    pub body_bytes_max: u64,
}

impl Default for OriginRequestPolicy {
    fn default() -> Self {
        OriginRequestPolicy {
            query_strings: Names::All,
            headers: ForwardedHeaders::AllViewer,
            cookies: Names::All,
            body_bytes_max: REQUEST_BODY_BYTES_MAX,
        }
    }
}

/// Which fields the origin gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ForwardedHeaders {
    /// Those in the key, and what HTTP itself needs.
    None,
    /// These too, viewers' and derived ones.
    Whitelist(Vec<FieldName>),
    /// All of the viewer's.
    AllViewer,
    /// All of the viewer's, and these of the derived ones.
    #[serde(rename = "allViewerAndWhitelistCloudFront")]
    AllViewerAndDerived(Vec<FieldName>),
    /// All of the viewer's but these.
    AllExcept(Vec<FieldName>),
}

impl ForwardedHeaders {
    /// The fields listed, if it is a list.
    pub fn listed(&self) -> &[FieldName] {
        match self {
            ForwardedHeaders::None | ForwardedHeaders::AllViewer => &[],
            ForwardedHeaders::Whitelist(listed)
            | ForwardedHeaders::AllViewerAndDerived(listed)
            | ForwardedHeaders::AllExcept(listed) => listed,
        }
    }
}
