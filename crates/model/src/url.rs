//! The canonical URL: one parse serves the cache key, purges and the upstream request, so they can
//! never disagree.
//!
//! Host: lower case, no default port, no trailing dot. Path: percent-encoding normalised (RFC 3986
//! §6.2.2: unreserved characters decoded, hex in upper case), dot segments removed (§5.2.4), the
//! query kept as sent. `%2F` stays encoded: it is data, not a separator. Double slashes are kept
//! unless a distribution merges them. A host in other letters than ASCII becomes the `xn--` name
//! that browsers send for it (UTS 46, RFC 5891).

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
        if let Some(address) = bracketed {
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| refuse())?;
            return Ok(Host(format!("[{address}]").into()));
        }
        let in_ascii = match name.is_ascii() {
            true => None,
            false => Some(idna::domain_to_ascii(name).map_err(|_| refuse())?),
        };
        let name = in_ascii.as_deref().unwrap_or(name);
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
        let fits = (1..=255).contains(&name.len()) && name.bytes().all(known);
        match fits && !name.ends_with('.') {
            true => Ok(Host(name.to_ascii_lowercase().into())),
            false => Err(refuse()),
        }
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
        if is_canonical(path) {
            return Ok(Path(given.into()));
        }
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

    /// The query, without its question mark, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.0.split_once('?').map(|(_, query)| query)
    }

    /// The same path with another query, which is a part of one that was parsed.
    pub fn with_query(&self, query: Option<&str>) -> Path {
        let path = self.without_query();
        match query {
            Some(query) => Path(format!("{path}?{query}").into()),
            None => Path(path.into()),
        }
    }

    /// The same path with every run of slashes as one. Dot segments are gone already, so nothing
    /// else changes.
    pub fn with_slashes_merged(&self) -> Path {
        if !self.without_query().contains("//") {
            return self.clone();
        }
        let mut merged = String::with_capacity(self.0.len());
        for letter in self.without_query().chars() {
            if !(letter == '/' && merged.ends_with('/')) {
                merged.push(letter);
            }
        }
        match self.query() {
            Some(query) => Path(format!("{merged}?{query}").into()),
            None => Path(merged.into()),
        }
    }

    /// Every directory prefix of the path, shortest first: `/a/b/c` gives `/`, `/a/`, `/a/b/`.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        let path = self.without_query();
        path.match_indices('/').map(move |(at, _)| &path[..=at])
    }
}

/// Whether a path has neither an escape nor a dot segment, as nearly all that are asked for.
fn is_canonical(path: &str) -> bool {
    let bytes = path.as_bytes();
    !bytes.contains(&b'%') && !bytes.windows(2).any(|pair| pair == b"/.")
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
    use proptest::prelude::*;

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
    fn slashes_are_merged_in_the_path_and_nowhere_else() {
        for (given, expect) in [
            ("/a//b", "/a/b"),
            ("//", "/"),
            ("///a///", "/a/"),
            ("/a?b//c", "/a?b//c"),
            ("//a?b//c", "/a?b//c"),
            ("/a/%2F/b", "/a/%2F/b"),
            ("/a//../b", "/a/b"),
        ] {
            let merged = Path::parse(given).unwrap().with_slashes_merged();
            assert_eq!(merged.as_str(), expect, "{given}");
            assert_eq!(merged.with_slashes_merged(), merged, "not idempotent: {given}");
            assert_eq!(Path::parse(merged.as_str()), Ok(merged), "not canonical: {given}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_url_is_its_own_canonical_form(
            given in "/([a.%/~2eEfF]|%2[eEfF]|%7[eE]|\\.\\.|//){0,24}(\\?[!-~&&[^#]]{0,12})?",
        ) {
            let path = Path::parse(&given).unwrap();
            prop_assert_eq!(Path::parse(path.as_str()).unwrap(), path.clone());
            let merged = path.with_slashes_merged();
            prop_assert_eq!(merged.with_slashes_merged(), merged.clone());
            prop_assert_eq!(Path::parse(merged.as_str()).unwrap(), merged);
            let plain = given.split('?').next().unwrap();
            if is_canonical(plain) {
                prop_assert_eq!(remove_dot_segments(&normalise_percent(plain)), plain);
            }
            let is_dot = |segment: &str| segment == "." || segment == "..";
            prop_assert!(!path.without_query().split('/').any(is_dot), "{path}");
            prop_assert_eq!(path.query(), given.split_once('?').map(|(_, query)| query));
        }

        #[test]
        fn a_canonical_host_is_its_own_canonical_form(
            given in "[a-zA-Z0-9-]{1,8}(\\.[a-zA-Z0-9-]{1,8}){0,2}\\.?(:[0-9]{0,4})?",
        ) {
            let host = Host::parse(&given).unwrap();
            prop_assert_eq!(Host::parse(host.as_str()).unwrap(), host.clone());
            prop_assert_eq!(Host::parse(&given.to_ascii_uppercase()).unwrap(), host);
        }

        #[test]
        fn any_text_parses_or_is_refused(given in any::<String>()) {
            let _ = (Path::parse(&given), Host::parse(&given));
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
            ("[0:0::0:1]", "[::1]"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("a:", "a"),
            ("BÜCHER.example:80", "xn--bcher-kva.example"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Host::parse(given).unwrap().as_str(), expect);
        }
        for bad in ["", ":80", "a..", ".", "a b", "a/b", "a:x", "[::1", "[zz]", "a@b", "a\u{2028}b"]
        {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn directories_run_from_the_root_down() {
        let path = Path::parse("/a/b/c?d=/e/").unwrap();
        assert_eq!(path.directories().collect::<Vec<_>>(), ["/", "/a/", "/a/b/"]);
    }
}
