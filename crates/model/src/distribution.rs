//! A distribution: the hosts it answers for, its origins, and how its content is cached.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{ALIASES_MAX, ORIGINS_MAX};
use crate::name::DistributionName;
use crate::origin::Origin;
use crate::policy::CachePolicy;
use crate::purging::Purging;
use crate::url::Host;

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
    /// How requests are handled.
    pub default_cache_behavior: CacheBehavior,
    /// How purges bear on it.
    #[serde(default)]
    pub purging: Purging,
}

/// How requests are handled: CloudFront's cache behavior.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheBehavior {
    /// The `id` of one of the origins.
    pub target_origin_id: String,
    /// Lifetimes.
    #[serde(default)]
    pub cache_policy: CachePolicy,
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
    /// The origin that the default behavior targets.
    pub fn target_origin(&self) -> Option<&Origin> {
        let wanted = &self.default_cache_behavior.target_origin_id;
        self.origins.iter().find(|origin| origin.id == *wanted)
    }

    /// The first value that does not fit the rest, if any.
    pub fn check(&self) -> Result<(), Misfit> {
        let misfit = |key: String, problem: String| Err(Misfit { key, problem });
        if self.aliases.is_empty() || self.aliases.len() > ALIASES_MAX {
            return misfit(
                "aliases".into(),
                format!("{} given, expected 1 to {ALIASES_MAX}", self.aliases.len()),
            );
        }
        for (at, alias) in self.aliases.iter().enumerate() {
            let starred = alias.as_str().strip_prefix('*').unwrap_or(alias.as_str());
            let whole_label = starred.len() == alias.as_str().len()
                || starred.is_empty()
                || starred.starts_with('.');
            if starred.contains('*') || !whole_label {
                return misfit(
                    format!("aliases[{at}]"),
                    format!("\"{alias}\": * may only stand for the whole first label"),
                );
            }
        }
        if self.origins.is_empty() || self.origins.len() > ORIGINS_MAX {
            return misfit(
                "origins".into(),
                format!("{} given, expected 1 to {ORIGINS_MAX}", self.origins.len()),
            );
        }
        for (at, origin) in self.origins.iter().enumerate() {
            if self.origins[..at].iter().any(|earlier| earlier.id == origin.id) {
                return misfit(
                    format!("origins[{at}].id"),
                    format!("\"{}\" is used twice", origin.id),
                );
            }
            check_origin(at, origin)?;
        }
        if self.target_origin().is_none() {
            let wanted = &self.default_cache_behavior.target_origin_id;
            let known: Vec<&str> = self.origins.iter().map(|origin| origin.id.as_str()).collect();
            let problem =
                format!("\"{wanted}\" is no origin's id, expected one of: {}", known.join(", "));
            return misfit("default_cache_behavior.target_origin_id".into(), problem);
        }
        let policy = &self.default_cache_behavior.cache_policy;
        if policy.min_ttl_seconds > policy.max_ttl_seconds {
            let problem = format!(
                "{} is more than max_ttl_seconds, {}",
                policy.min_ttl_seconds, policy.max_ttl_seconds
            );
            return misfit("default_cache_behavior.cache_policy.min_ttl_seconds".into(), problem);
        }
        Ok(())
    }
}

fn check_origin(at: usize, origin: &Origin) -> Result<(), Misfit> {
    let ranges = [
        ("connection_timeout_seconds", origin.connection_timeout_seconds, 1, 10),
        ("response_timeout_seconds", origin.response_timeout_seconds, 1, 120),
        ("keepalive_timeout_seconds", origin.keepalive_timeout_seconds, 1, 120),
        ("connections_max", origin.connections_max, 1, 100_000),
    ];
    for (key, value, low, high) in ranges {
        if !(low..=high).contains(&value) {
            let problem = format!("{value} given, expected {low} to {high}");
            return Err(Misfit { key: format!("origins[{at}].{key}"), problem });
        }
    }
    if Host::parse(&origin.domain_name).is_err() || origin.domain_name.contains('*') {
        let problem = format!(
            "\"{}\" is no host name or address; the port has its own key",
            origin.domain_name
        );
        return Err(Misfit { key: format!("origins[{at}].domain_name"), problem });
    }
    Ok(())
}
