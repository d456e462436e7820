//! Invalidations: what a purge names, and how long its caller waits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{DistributionName, Invalid};
use crate::url::{Host, Path};

/// What a purge covers within one distribution. Without a host it covers every host of the
/// distribution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Scope {
    /// One URL, query included, with all its variants.
    Url {
        /// Only this host.
        host: Option<Host>,
        /// Path and query.
        path: Path,
    },
    /// Everything below a directory, queries included.
    Prefix {
        /// Only this host.
        host: Option<Host>,
        /// Ends with `/`.
        directory: Path,
    },
    /// Everything of the distribution.
    All,
}

impl Scope {
    /// Parses `/path`, `/dir/*`, `http(s)://host/path` or `http(s)://host/dir/*`.
    pub fn parse(given: &str) -> Result<Scope, Invalid> {
        let expected = "/path, /directory/* or the same with http(s)://host before it; \
            * only as the last character, after a /";
        let refuse = || Invalid::new("purge path", given, expected);
        let rest = given.strip_prefix("https://").or_else(|| given.strip_prefix("http://"));
        let (host, path) = match rest {
            None => (None, given),
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/').ok_or_else(refuse)?);
                (Some(Host::parse(host)?), path)
            }
        };
        if path == "/*" && host.is_none() {
            return Ok(Scope::All);
        }
        match path.strip_suffix('*') {
            Some(directory) if directory.ends_with('/') && !directory.contains(['*', '?']) => {
                Ok(Scope::Prefix { host, directory: Path::parse(directory)? })
            }
            Some(_) => Err(refuse()),
            None => Ok(Scope::Url { host, path: Path::parse(path)? }),
        }
    }

    /// The host named, if one was.
    pub fn host(&self) -> Option<&Host> {
        match self {
            Scope::Url { host, .. } | Scope::Prefix { host, .. } => host.as_ref(),
            Scope::All => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = self.host() {
            write!(f, "https://{host}")?;
        }
        match self {
            Scope::Url { path, .. } => write!(f, "{path}"),
            Scope::Prefix { directory, .. } => write!(f, "{directory}*"),
            Scope::All => f.write_str("/*"),
        }
    }
}

/// One purge: a batch of scopes of one distribution, one entry in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invalidation {
    /// Whose content.
    pub distribution: DistributionName,
    /// What of it; at most [`crate::limits::SCOPES_MAX`].
    pub scopes: Vec<Scope>,
}

/// How far a purge must have come before its caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// In the log, on disk at a majority.
    Committed,
    /// Applied by every live node.
    Applied,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Committed => "committed",
            Level::Applied => "applied",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_path_reads_as_cloudfront_users_write_it() {
        for (given, expect) in [
            ("/a.css", "/a.css"),
            ("/img/*", "/img/*"),
            ("/*", "/*"),
            ("https://Shop.Example:443/a?b=c", "https://shop.example/a?b=c"),
            ("http://shop.example/img/*", "https://shop.example/img/*"),
            ("https://shop.example/*", "https://shop.example/*"),
        ] {
            assert_eq!(Scope::parse(given).unwrap().to_string(), expect);
        }
        assert_eq!(Scope::parse("/*"), Ok(Scope::All));
    }

    #[test]
    fn a_star_anywhere_but_after_the_last_slash_is_refused() {
        for bad in
            ["", "a", "/a*", "/*/b*", "/*/b/*", "/a?b/*", "https://shop.example", "ftp://x/y"]
        {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
    }
}
