//! The canonical URL: one parse serves the cache key, purges and the upstream request, so they can
//! never disagree.
//!
//! Host: lower case, no default port, no trailing dot. Path: percent-encoding normalised (RFC 3986
//! §6.2.2: unreserved characters decoded, hex in upper case), dot segments removed (§5.2.4), the
//! query kept as sent. `%2F` stays encoded: it is data, not a separator.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::URL_BYTES_MAX;
use crate::name::Invalid;

/// The host a viewer asked for: lower case, without a default port or trailing dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(Arc<str>);

impl Host {
    /// Parses the `Host` field or the authority of a URL; a port is dropped, since a distribution
    /// answers on any.
    pub fn parse(given: &str) -> Result<Host, Invalid> {
        let refuse = || Invalid::new("host", given, "a host name or address with an optional port");
        let name = strip_port(given).ok_or_else(refuse)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let fits = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b))
            }
        };
        if !fits || name.len() > 255 {
            return Err(refuse());
        }
        Ok(Host(name.to_ascii_lowercase().into()))
    }

    /// The host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn strip_port(given: &str) -> Option<&str> {
    let after_address = given.rfind(']').map_or(0, |end| end + 1);
    match given[after_address..].find(':') {
        None => Some(given),
        Some(colon) => {
            let (name, port) = given.split_at(after_address + colon);
            let digits = &port[1..];
            (digits.is_empty() || digits.parse::<u16>().is_ok()).then_some(name)
        }
    }
}

impl TryFrom<String> for Host {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        Host::parse(&given)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.0.as_ref().to_owned()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A canonical path with its query, always starting with `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Arc<str>);

impl Path {
    /// Parses the origin-form of a request target (RFC 9112 §3.2.1) or the path of a purge.
    pub fn parse(given: &str) -> Result<Path, Invalid> {
        let refuse =
            || Invalid::new("path", given, "printable ASCII starting with /, at most 8 KiB");
        let printable = given.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
        if !given.starts_with('/') || given.len() > URL_BYTES_MAX || !printable {
            return Err(refuse());
        }
        let (path, query) = match given.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (given, None),
        };
        let mut canonical = remove_dot_segments(&normalise_percent(path));
        if let Some(query) = query {
            canonical.push('?');
            canonical.push_str(query);
        }
        Ok(Path(canonical.into()))
    }

    /// The path `/`.
    pub fn root() -> Path {
        Path("/".into())
    }

    /// Path and query as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its query.
    pub fn without_query(&self) -> &str {
        self.0.split('?').next().unwrap_or(&self.0)
    }

    /// Every directory prefix of the path, shortest first: `/a/b/c` gives `/`, `/a/`, `/a/b/`.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        let path = self.without_query();
        path.match_indices('/').map(move |(at, _)| &path[..=at])
    }
}

fn normalise_percent(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut at = 0;
    while at < bytes.len() {
        let decoded = match bytes[at..] {
            [b'%', high, low, ..] => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match decoded {
            Some(byte)
                if (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
                    && !ends_inside_an_escape(&out) =>
            {
                out.push(char::from(byte))
            }
            Some(_) => out.push_str(&path[at..at + 3].to_ascii_uppercase()),
            None => out.push(char::from(bytes[at])),
        }
        at += if decoded.is_some() { 3 } else { 1 };
    }
    out
}

/// Whether a digit more would make an escape of what was none: `%7%41` is not `%7A`, which would
/// mean yet another path when it is read again.
fn ends_inside_an_escape(out: &str) -> bool {
    matches!(out.as_bytes(), [.., b'%'] | [.., b'%', _])
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if kept.is_empty() {
        out.push('/');
    }
    out
}

impl TryFrom<String> for Path {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        Path::parse(&given)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        path.0.as_ref().to_owned()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_paths_become_one() {
        for (given, expect) in [
            ("/", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/%7%41", "/%7%41"),
            ("/%%41%2f%41", "/%%41%2FA"),
            ("/../../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/%7Ea%2fb", "/~a%2Fb"),
            ("/a%2E%2E/b", "/a../b"),
            ("/%2e%2e/b", "/b"),
            ("/a//b", "/a//b"),
            ("/x?q=%7e/../y", "/x?q=%7e/../y"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
        ] {
            let path = Path::parse(given).unwrap();
            assert_eq!(path.as_str(), expect, "{given}");
            assert_eq!(Path::parse(path.as_str()).unwrap(), path, "not idempotent: {given}");
        }
    }

    #[test]
    fn a_path_is_refused_when_it_could_mean_two_things() {
        for bad in [
            "",
            "a",
            "*",
            "/a b",
            "/a\tb",
            "/ä",
            "/a#b",
            &format!("/{}", "x".repeat(URL_BYTES_MAX)),
        ] {
            assert!(Path::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_host_loses_case_port_and_final_dot() {
        for (given, expect) in [
            ("Shop.Example:8080", "shop.example"),
            ("shop.example.", "shop.example"),
            ("[::1]:80", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("a:", "a"),
        ] {
            assert_eq!(Host::parse(given).unwrap().as_str(), expect);
        }
        for bad in ["", ":80", "a b", "a/b", "a:x", "[::1", "[zz]", "a@b"] {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn directories_run_from_the_root_down() {
        let path = Path::parse("/a/b/c?d=/e/").unwrap();
        assert_eq!(path.directories().collect::<Vec<_>>(), ["/", "/a/", "/a/b/"]);
    }
}
