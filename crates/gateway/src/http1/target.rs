//! What a request is for: the target in its four forms (RFC 9112 §3.2), and the one host it names.
//!
//! Where a target names a host, `Host` is checked and then ignored (RFC 9112 §3.2.2): distribution,
//! key and origin all get the one host that the target names, so nothing is left to read twice.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Version, header};
use model::limits::URL_BYTES_MAX;

use crate::refusal::Refusal;

/// The host, and the path and query, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Host and port, as sent.
    pub(crate) host: String,
    /// Path and query, as sent.
    pub(crate) path: String,
}

/// Understands the target of a request with `method` and `headers`.
pub(crate) fn parse(
    target: &Bytes,
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<Target, Refusal> {
    if *method == Method::CONNECT {
        return Err(Refusal::Tunnel);
    }
    if target.len() > URL_BYTES_MAX {
        return Err(Refusal::LongTarget);
    }
    let text = std::str::from_utf8(target).map_err(|_| Refusal::NotATarget)?;
    let field = host_field(headers)?;
    match (Absolute::split(text), field) {
        (Some(_), None) if version == Version::HTTP_11 => Err(Refusal::NoHost),
        (Some(absolute), field) => {
            field.map(authority).transpose()?;
            let host = authority(absolute.authority)?;
            let path = match absolute.path.as_bytes().first() {
                Some(b'/') => path(absolute.path)?.to_owned(),
                // RFC 3986 §6.2.3: an absolute URL may leave out its empty path.
                Some(_) | None => format!("/{}", path(absolute.path)?),
            };
            Ok(Target { host: host.to_owned(), path })
        }
        (None, None) => Err(Refusal::NoHost),
        (None, Some(field)) => {
            let host = authority(field)?.to_owned();
            let is_asterisk = text == "*" && *method == Method::OPTIONS;
            match text.starts_with('/') || is_asterisk {
                true => Ok(Target { host, path: path(text)?.to_owned() }),
                false => Err(Refusal::NotATarget),
            }
        }
    }
}

/// RFC 9112 §3.2: at most one `Host`, and readable.
fn host_field(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut fields = headers.get_all(header::HOST).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| Refusal::UnclearHost),
        (Some(_), Some(_)) => Err(Refusal::UnclearHost),
    }
}

/// Printable characters that may stand in a URL, and no fragment.
fn path(given: &str) -> Result<&str, Refusal> {
    let is_plain = given.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let fits = is_plain && (given.is_empty() || PathAndQuery::try_from(given).is_ok());
    if fits { Ok(given) } else { Err(Refusal::NotATarget) }
}

/// RFC 9110 §4.2: a host and perhaps a port; user information is an error (§4.2.4).
fn authority(given: &str) -> Result<&str, Refusal> {
    let (name, port) = split_port(given);
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = match name.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !name.is_empty() && name.bytes().all(is_of_a_name)
        }
    };
    if is_name && is_port { Ok(given) } else { Err(Refusal::UnclearHost) }
}

fn split_port(authority: &str) -> (&str, &str) {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_address..].find(':') {
        Some(colon) => {
            (&authority[..after_address + colon], &authority[after_address + colon + 1..])
        }
        None => (authority, ""),
    }
}

/// A target in absolute form.
struct Absolute<'a> {
    authority: &'a str,
    path: &'a str,
}

impl<'a> Absolute<'a> {
    fn split(target: &'a str) -> Option<Absolute<'a>> {
        let (scheme, rest) = target.split_once("://")?;
        // `https` too: who ends TLS before us may well say so.
        let is_ours = ["http", "https"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours));
        if !is_ours {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        Some(Absolute { authority: &rest[..end], path: &rest[end..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::fields;

    fn check(
        line: &'static str,
        hosts: &'static str,
        version: Version,
        expect: Result<(&str, &str), Refusal>,
    ) {
        let (method, target) = line.split_once(' ').unwrap();
        let headers = fields::parse(&Bytes::from_static(hosts.as_bytes())).unwrap();
        let target = Bytes::from_static(target.as_bytes());
        let parsed = parse(&target, &method.parse().unwrap(), version, &headers);
        let expect = expect.map(|(host, path)| Target { host: host.into(), path: path.into() });
        assert_eq!(parsed, expect, "{line} {hosts:?}");
    }

    #[test]
    fn a_target_has_four_forms() {
        // RFC 9112 §3.2.1 to §3.2.4.
        let host = "Host: a\r\n";
        for (line, expect) in [
            ("GET /", Ok(("a", "/"))),
            ("GET /a%2F/../b?c=%7e", Ok(("a", "/a%2F/../b?c=%7e"))),
            ("GET //b/", Ok(("a", "//b/"))),
            ("GET /?http://b/", Ok(("a", "/?http://b/"))),
            ("GET http://a/b", Ok(("a", "/b"))),
            ("GET HTTP://A:80/b", Ok(("A:80", "/b"))),
            ("GET https://a:443?b", Ok(("a:443", "/?b"))),
            ("GET http://a", Ok(("a", "/"))),
            ("OPTIONS *", Ok(("a", "*"))),
            ("GET *", Err(Refusal::NotATarget)),
            ("OPTIONS **", Err(Refusal::NotATarget)),
            ("CONNECT a:80", Err(Refusal::Tunnel)),
            ("CONNECT /", Err(Refusal::Tunnel)),
            ("GET a:80", Err(Refusal::NotATarget)),
            ("GET ftp://a/", Err(Refusal::NotATarget)),
            ("GET b", Err(Refusal::NotATarget)),
            ("GET /a#b", Err(Refusal::NotATarget)),
            ("GET /\u{e9}", Err(Refusal::NotATarget)),
            ("GET /\0", Err(Refusal::NotATarget)),
            ("GET /\u{7f}", Err(Refusal::NotATarget)),
            ("GET http://b/", Ok(("b", "/"))),
            ("GET http://a:81/", Ok(("a:81", "/"))),
            ("GET http://u@a/", Err(Refusal::UnclearHost)),
            ("GET http:///", Err(Refusal::UnclearHost)),
        ] {
            check(line, host, Version::HTTP_11, expect);
        }
    }

    #[test]
    fn a_request_names_one_host() {
        // RFC 9112 §3.2, RFC 9110 §7.2.
        for (hosts, expect) in [
            ("Host: Shop.example:8080\r\n", Ok(("Shop.example:8080", "/"))),
            ("Host: [::1]:80\r\n", Ok(("[::1]:80", "/"))),
            ("Host: a_b:\r\n", Ok(("a_b:", "/"))),
            ("", Err(Refusal::NoHost)),
            ("Host:\r\n", Err(Refusal::UnclearHost)),
            ("Host: a\r\nHost: a\r\n", Err(Refusal::UnclearHost)),
            ("Host: a, a\r\n", Err(Refusal::UnclearHost)),
            ("Host: a b\r\n", Err(Refusal::UnclearHost)),
            ("Host: a/b\r\n", Err(Refusal::UnclearHost)),
            ("Host: u@a\r\n", Err(Refusal::UnclearHost)),
            ("Host: a:b\r\n", Err(Refusal::UnclearHost)),
            ("Host: a:1:2\r\n", Err(Refusal::UnclearHost)),
            ("Host: a:999999\r\n", Err(Refusal::UnclearHost)),
            ("Host: [::1\r\n", Err(Refusal::UnclearHost)),
            ("Host: [x]\r\n", Err(Refusal::UnclearHost)),
            ("Host: \u{e9}\r\n", Err(Refusal::UnclearHost)),
        ] {
            check("GET /", hosts, Version::HTTP_11, expect);
        }
        check("GET http://a/", "", Version::HTTP_11, Err(Refusal::NoHost));
        check("GET http://a/", "", Version::HTTP_10, Ok(("a", "/")));
        check("GET /", "", Version::HTTP_10, Err(Refusal::NoHost));
        check("GET http://a:80/", "Host: A\r\n", Version::HTTP_11, Ok(("a:80", "/")));
        check("GET http://a/", "Host: a b\r\n", Version::HTTP_11, Err(Refusal::UnclearHost));
    }

    #[test]
    fn a_target_has_a_limit() {
        let headers = fields::parse(&Bytes::from_static(b"Host: a\r\n")).unwrap();
        let ask = |bytes: usize| {
            let target = Bytes::from(format!("/{}", "x".repeat(bytes - 1)));
            parse(&target, &Method::GET, Version::HTTP_11, &headers)
        };
        assert!(ask(URL_BYTES_MAX).is_ok());
        assert_eq!(ask(URL_BYTES_MAX + 1), Err(Refusal::LongTarget));
    }
}
