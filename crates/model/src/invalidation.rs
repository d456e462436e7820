//! Invalidations: what a purge names, and how long its caller waits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::name::{DistributionName, Invalid};
use crate::tag::Tag;
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
    /// Every URL that matches a pattern.
    Glob {
        /// Only this host.
        host: Option<Host>,
        /// Path and query, with `*` for any characters.
        pattern: Glob,
    },
    /// Everything that carries a tag.
    Tag(Tag),
    /// Everything of one host.
    Host(Host),
    /// Everything of the distribution.
    All,
}

impl Scope {
    /// Parses a path (`/a.css`), a pattern with `*` anywhere in it (`/img/*`, `/*.jpg`), or either
    /// with `http(s)://host` before it.
    pub fn parse(given: &str) -> Result<Scope, Invalid> {
        let expected = "/path, a pattern such as /directory/* or /*.jpg, \
            or either with http(s)://host before it";
        let refuse = || Invalid::new("purge path", given, expected);
        let rest = given.strip_prefix("https://").or_else(|| given.strip_prefix("http://"));
        let (host, path) = match rest {
            None => (None, given),
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/').ok_or_else(refuse)?);
                (Some(Host::parse(host)?), path)
            }
        };
        match (path, host) {
            ("/*", None) => Ok(Scope::All),
            ("/*", Some(host)) => Ok(Scope::Host(host)),
            (path, host) if path.contains('*') => Ok(Scope::pattern(host, Glob::parse(path)?)),
            (path, host) => Ok(Scope::Url { host, path: Path::parse(path)? }),
        }
    }

    /// A pattern whose only star comes after its last slash is a directory, which costs less.
    fn pattern(host: Option<Host>, pattern: Glob) -> Scope {
        match pattern.directory() {
            Some(directory) => Scope::Prefix { host, directory },
            None => Scope::Glob { host, pattern },
        }
    }

    /// The same as a distribution names it that merges slashes.
    pub fn with_slashes_merged(&self) -> Scope {
        let mut merged = self.clone();
        match &mut merged {
            Scope::Url { path, .. } => *path = path.with_slashes_merged(),
            Scope::Prefix { directory, .. } => *directory = directory.with_slashes_merged(),
            Scope::Glob { pattern, .. } => *pattern = pattern.with_slashes_merged(),
            Scope::Tag(_) | Scope::Host(_) | Scope::All => {}
        }
        merged
    }

    /// The host named, if one was.
    pub fn host(&self) -> Option<&Host> {
        match self {
            Scope::Url { host, .. } | Scope::Prefix { host, .. } | Scope::Glob { host, .. } => {
                host.as_ref()
            }
            Scope::Host(host) => Some(host),
            Scope::Tag(_) | Scope::All => None,
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
            Scope::Glob { pattern, .. } => write!(f, "{pattern}"),
            Scope::Tag(tag) => write!(f, "tag {tag}"),
            Scope::Host(_) | Scope::All => f.write_str("/*"),
        }
    }
}

/// What a purge does to what it covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It is gone: never served again, never revived by a validator.
    #[default]
    Hard,
    /// It is stale: revalidated before it is served as fresh, served meanwhile where stale content
    /// may be (RFC 5861).
    Soft,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Effect::Hard => "hard",
            Effect::Soft => "soft",
        })
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
    /// Gone, or stale.
    #[serde(default)]
    pub effect: Effect,
}

/// How far a purge must have come before its caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// In the log, on disk at a majority.
    Committed,
    /// Applied by every live node.
    Applied,
    /// No node anywhere, silent ones included, can serve the old content.
    Fenced,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Committed => "committed",
            Level::Applied => "applied",
            Level::Fenced => "fenced",
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
            ("/img/2026-*", "/img/2026-*"),
            ("/*/thumb/*.jpg", "/*/thumb/*.jpg"),
            ("https://Shop.Example:443/a?b=c", "https://shop.example/a?b=c"),
            ("http://shop.example/img/*", "https://shop.example/img/*"),
            ("https://shop.example/*", "https://shop.example/*"),
        ] {
            assert_eq!(Scope::parse(given).unwrap().to_string(), expect);
        }
        assert_eq!(Scope::parse("/*"), Ok(Scope::All));
        assert!(matches!(Scope::parse("/a/*"), Ok(Scope::Prefix { .. })));
        assert!(matches!(Scope::parse("/a/b*"), Ok(Scope::Glob { .. })));
        assert!(matches!(Scope::parse("/a?b/*"), Ok(Scope::Glob { .. })));
        assert!(matches!(Scope::parse("https://x/*"), Ok(Scope::Host(_))));
    }

    #[test]
    fn slashes_are_merged_wherever_a_purge_names_a_path() {
        for (given, expect) in [
            ("/a//b?c=//", "/a/b?c=//"),
            ("/a//*", "/a/*"),
            ("http://x//a//*.jpg", "https://x/a/*.jpg"),
            ("/*", "/*"),
        ] {
            let merged = Scope::parse(given).unwrap().with_slashes_merged();
            assert_eq!(merged.to_string(), expect, "{given}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", "a", "*", "https://shop.example", "ftp://x/y"] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
    }
}
