//! A distribution: the hosts it answers for, its origins, and how its content is cached.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::behavior::CacheBehavior;
use crate::error_page::CustomErrorResponse;
use crate::limits::{HEADER_BYTES_MAX, HEADER_FIELDS_MAX};
use crate::name::{DistributionName, Invalid};
use crate::origin::Origin;
use crate::purging::Purging;
use crate::url::{Host, Path};

mod check;

/// What CloudFront calls a distribution. [`Distribution::check`] says whether its parts fit
/// together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// What commands and purges call it.
    pub name: DistributionName,
    /// Hosts it answers for. `*.example.com` covers every name below it; `*` takes what nobody
    /// else claims.
    pub aliases: Vec<Host>,
    /// Where its content comes from.
    pub origins: Vec<Origin>,
    /// How requests are handled that none of the others covers.
    pub default_cache_behavior: CacheBehavior,
    /// How some are handled: the first whose pattern matches the path counts.
    #[serde(default)]
    pub cache_behaviors: Vec<CacheBehavior>,
    /// What viewers see instead of errors, and how long these are remembered.
    #[serde(default)]
    pub custom_error_responses: Vec<CustomErrorResponse>,
    /// What a request for exactly `/` gets, such as `index.html`.
    #[serde(default)]
    pub default_root_object: Option<RootObject>,
    /// Whether `/a//b` is `/a/b`: for the origin, the key, behaviors and purges alike.
    #[serde(default)]
    pub merge_slashes: bool,
    /// How much a request may bring.
    #[serde(default)]
    pub limits: RequestLimits,
    /// How purges bear on it.
    #[serde(default)]
    pub purging: Purging,
}

/// How much a request may bring before it is refused with 431. The gateway's own limits, which
/// are the defaults, hold for all distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// Bytes of all fields, names and values.
    pub header_bytes_max: u32,
    /// Fields.
    pub header_fields_max: u32,
}

/// The path of the default root object, without its leading slash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RootObject(Path);

impl RootObject {
    /// The path that `/` stands for.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<String> for RootObject {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        let expected = "a path without its leading slash and without a query: index.html";
        let refuse = || Invalid::new("root object", &given, expected);
        if given.is_empty() || given.starts_with('/') || given.contains('?') {
            return Err(refuse());
        }
        Path::parse(&format!("/{given}")).map(RootObject).map_err(|_| refuse())
    }
}

impl From<RootObject> for String {
    fn from(root: RootObject) -> String {
        root.0.as_str()[1..].to_owned()
    }
}

impl fmt::Debug for RootObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A key of a distribution whose value does not fit the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key, as a path: `origins[1].id`.
    pub key: String,
    /// What was found and what was expected.
    pub problem: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl std::error::Error for Misfit {}

impl Distribution {
    /// The behavior that stands at `place` in the list; the default one if that is none.
    pub fn behavior_at(&self, place: Option<usize>) -> &CacheBehavior {
        let listed = place.and_then(|place| self.cache_behaviors.get(place));
        listed.unwrap_or(&self.default_cache_behavior)
    }

    /// The origin that `behavior` targets.
    pub fn origin_of(&self, behavior: &CacheBehavior) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.id == behavior.target_origin_id)
    }

    /// What becomes of the error `status`, if anything was configured for it.
    pub fn error_response(&self, status: u16) -> Option<&CustomErrorResponse> {
        self.custom_error_responses.iter().find(|custom| custom.error_code == status)
    }

    /// The first value that does not fit the rest, if any.
    pub fn check(&self) -> Result<(), Misfit> {
        check::distribution(self)
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        RequestLimits {
            header_bytes_max: HEADER_BYTES_MAX as u32,
            header_fields_max: HEADER_FIELDS_MAX as u32,
        }
    }
}
