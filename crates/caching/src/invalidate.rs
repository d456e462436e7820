//! What a request that changes something makes of stored responses (RFC 9111 §4.4, RFC 9875 §3).
//!
//! A non-error answer to an unsafe method, or to one whose safety is not known, does away with what
//! is stored for its target, and for the `Location` and `Content-Location` that it names on the
//! same host. What is named elsewhere is none of its business: else one site could empty another's
//! cache. Groups are named by the origin itself, whatever the status.

use http::header::{CONTENT_LOCATION, HeaderName, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use model::limits::SCOPES_MAX;
use model::{Attributes, Host, Path, Scope};

use crate::field;
use crate::groups::{self, CACHE_GROUP_INVALIDATION};

/// Methods that are registered as safe, beside those that a cache answers itself.
const SAFE: [&str; 4] = ["PROPFIND", "QUERY", "REPORT", "SEARCH"];

/// What of the stored responses is not to be used any more, once this response to a request for
/// `target` has arrived. Scopes never reach beyond the target's host.
pub fn invalidated(
    method: &Method,
    status: StatusCode,
    response: &HeaderMap,
    target: &Attributes,
) -> Vec<Scope> {
    if is_safe(method) {
        return Vec::new();
    }
    let mut scopes = Vec::new();
    if status.is_success() || status.is_redirection() {
        scopes.push(url(target, target.path.clone()));
        for name in [LOCATION, CONTENT_LOCATION] {
            scopes.extend(named(response, &name, target).map(|path| url(target, path)));
        }
    }
    let groups = groups::listed(response, &CACHE_GROUP_INVALIDATION);
    scopes.extend(groups.iter().map(|group| Scope::Tag(groups::tag(&target.host, group))));
    scopes.sort();
    scopes.dedup();
    // One entry of the log has room for so many: beyond it everything of the host goes.
    if scopes.len() > SCOPES_MAX { vec![Scope::Host(target.host.clone())] } else { scopes }
}

/// Whether a method is known to change nothing (RFC 9110 §9.2.1).
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        || SAFE.contains(&method.as_str())
}

fn url(target: &Attributes, path: Path) -> Scope {
    Scope::Url { host: Some(target.host.clone()), path }
}

/// The path of the URL in the only field called `name`, if it lies on the target's host.
pub(crate) fn named(response: &HeaderMap, name: &HeaderName, target: &Attributes) -> Option<Path> {
    let value = field::only(response, name)?.to_str().ok()?;
    resolve(value.trim(), target)
}

/// Resolves a reference against the target (RFC 3986 §5.2); none when it leads to another host.
/// Schemes are not compared: a copy is the same whichever of the two it was asked by.
fn resolve(reference: &str, target: &Attributes) -> Option<Path> {
    let reference = reference.split('#').next().unwrap_or_default();
    let base = target.path.without_query();
    let path = match authority(reference)? {
        (Some(host), _) if Host::parse(host).ok()? != target.host => return None,
        (Some(_), "") => "/".to_owned(),
        (Some(_), rest) if rest.starts_with('?') => format!("/{rest}"),
        (Some(_), rest) => rest.to_owned(),
        (None, "") => return Some(target.path.clone()),
        (None, rest) if rest.starts_with('/') => rest.to_owned(),
        (None, rest) if rest.starts_with('?') => format!("{base}{rest}"),
        (None, rest) => {
            let directory = base.rfind('/').map_or("/", |slash| &base[..=slash]);
            format!("{directory}{rest}")
        }
    };
    Path::parse(&path).ok()
}

/// The host of a reference, if it names one, and what follows; none when its scheme is not ours.
fn authority(reference: &str) -> Option<(Option<&str>, &str)> {
    let after_scheme = match reference.find([':', '/', '?']) {
        Some(colon) if reference[colon..].starts_with(':') => {
            let (scheme, rest) = reference.split_at(colon);
            let is_ours = ["http", "https"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours));
            let rest = &rest[1..];
            return (is_ours && rest.starts_with("//")).then(|| split_host(&rest[2..]));
        }
        Some(_) | None => reference,
    };
    match after_scheme.strip_prefix("//") {
        Some(rest) => Some(split_host(rest)),
        None => Some((None, after_scheme)),
    }
}

fn split_host(rest: &str) -> (Option<&str>, &str) {
    let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    (Some(host), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{attributes, fields};

    fn scopes(method: &str, status: u16, response: &str) -> Vec<String> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let target = attributes("shop.example", "/a/b?c=d");
        let scopes = invalidated(&method, status, &fields(response), &target);
        scopes.iter().map(Scope::to_string).collect()
    }

    const TARGET: &str = "https://shop.example/a/b?c=d";

    #[test]
    fn what_is_not_known_to_be_safe_invalidates_its_target() {
        // RFC 9111 §4.4, RFC 9110 §9.2.1.
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO", "get"] {
            assert_eq!(scopes(method, 200, ""), [TARGET], "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY"] {
            let response = "location:/x|cache-group-invalidation:\"g\"";
            assert!(scopes(method, 200, response).is_empty(), "{method}");
        }
    }

    #[test]
    fn only_a_non_error_answer_invalidates() {
        // RFC 9111 §4.4: 2xx and 3xx.
        for status in [200, 201, 204, 299, 301, 303, 304, 399] {
            assert_eq!(scopes("POST", status, ""), [TARGET], "{status}");
        }
        for status in [400, 404, 409, 500, 503, 599] {
            assert!(scopes("POST", status, "location:/x").is_empty(), "{status}");
        }
    }

    #[test]
    fn what_the_answer_names_on_the_same_host_goes_too() {
        // RFC 9111 §4.4, RFC 3986 §5.4.
        for (reference, expect) in [
            ("/x", "/x"),
            ("/x?y", "/x?y"),
            ("x", "/a/x"),
            ("./x", "/a/x"),
            ("../x", "/x"),
            ("?y", "/a/b?y"),
            ("/x#fragment", "/x"),
            ("//shop.example/x", "/x"),
            ("http://shop.example/x", "/x"),
            ("HTTPS://SHOP.example:443/x", "/x"),
            ("https://shop.example", "/"),
            ("https://shop.example?y", "/?y"),
            ("x:y/../z", ""),
            ("/x/%7ea/../b", "/x/b"),
        ] {
            for field in ["location", "content-location"] {
                let found = scopes("POST", 201, &format!("{field}:{reference}"));
                let other = format!("https://shop.example{expect}");
                match expect.is_empty() {
                    true => assert_eq!(found, [TARGET], "{field}: {reference}"),
                    false => assert!(found.contains(&other), "{field}: {reference}: {found:?}"),
                }
            }
        }
        let both = scopes("PUT", 200, "location:/x|content-location:/y");
        assert_eq!(both.len(), 3);
        assert_eq!(scopes("PUT", 200, "location:/a/b?c=d|content-location:"), [TARGET]);
    }

    #[test]
    fn what_the_answer_names_elsewhere_stays() {
        // RFC 9111 §4.4: a different origin must not be invalidated.
        for reference in [
            "https://other.example/x",
            "//other.example/x",
            "https://shop.example.evil/x",
            "https://shop.example@other.example/x",
            "https://user@shop.example/x",
            "ftp://shop.example/x",
            "mailto:a@shop.example",
            "https:/x",
            "/x|location:/y",
            "/caf\u{e9}",
        ] {
            assert_eq!(scopes("POST", 200, &format!("location:{reference}")), [TARGET]);
        }
    }

    #[test]
    fn groups_go_whatever_the_status() {
        // RFC 9875 §3.
        let field = "cache-group-invalidation:\"one\", \"two\";p=1";
        let groups = ["tag cache-group:shop.example:one", "tag cache-group:shop.example:two"];
        assert_eq!(scopes("POST", 500, field), groups);
        assert_eq!(scopes("POST", 200, field).len(), 3);
        assert_eq!(scopes("POST", 200, "cache-group-invalidation:one"), [TARGET]);
    }

    #[test]
    fn more_than_a_purge_can_name_is_everything_of_the_host() {
        let list = |count: usize| {
            let groups: Vec<String> = (0..count).map(|at| format!("\"{at}\"")).collect();
            format!("cache-group-invalidation:{}", groups.join(","))
        };
        assert_eq!(scopes("POST", 200, &list(SCOPES_MAX - 1)).len(), SCOPES_MAX);
        assert_eq!(scopes("POST", 200, &list(SCOPES_MAX)), ["https://shop.example/*"]);
    }

    proptest! {
        #[test]
        fn no_reference_leads_to_another_host(reference in "[a-c:/?#.@%\\[\\]-]{0,24}") {
            let response = fields(&format!("location:{reference}"));
            let target = attributes("a", "/b/c");
            for scope in invalidated(&Method::POST, StatusCode::OK, &response, &target) {
                prop_assert_eq!(scope.host(), Some(&target.host));
            }
        }
    }
}
