//! Policies that a behavior names: how long objects live. (Cache keys and header policies grow
//! here.)

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long an object may be served: CloudFront's minimum, default and maximum TTL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicy {
    /// Seconds that win over a shorter lifetime from the origin. `no-store` and `private` are
    /// still never kept.
    #[serde(default)]
    pub min_ttl_seconds: u32,
    /// Seconds when the origin says nothing.
    #[serde(default = "default_ttl")]
    pub default_ttl_seconds: u32,
    /// Seconds that cap what the origin says.
    #[serde(default = "max_ttl")]
    pub max_ttl_seconds: u32,
}

impl CachePolicy {
    /// The minimum lifetime.
    pub fn min_ttl(&self) -> Duration {
        Duration::from_secs(self.min_ttl_seconds.into())
    }

    /// The lifetime when the origin says nothing.
    pub fn default_ttl(&self) -> Duration {
        Duration::from_secs(self.default_ttl_seconds.into())
    }

    /// The maximum lifetime.
    pub fn max_ttl(&self) -> Duration {
        Duration::from_secs(self.max_ttl_seconds.into())
    }
}

impl Default for CachePolicy {
    fn default() -> Self {
        CachePolicy {
            min_ttl_seconds: 0,
            default_ttl_seconds: default_ttl(),
            max_ttl_seconds: max_ttl(),
        }
    }
}

fn default_ttl() -> u32 {
    86_400
}
fn max_ttl() -> u32 {
    31_536_000
}
