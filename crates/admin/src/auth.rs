//! Who may come in: with a token, whoever shows it; without, only this machine, and no web page
//! that runs on it.
//!
//! A browser sends requests to loopback for any page that asks. Two signs give such a page away:
//! the `Host` it was loaded under (DNS rebinding), and the `Origin` that browsers attach to what
//! changes something. Probes are open to all.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method};

use crate::problem::{Fault, Problem};
use crate::token::Token;

/// Paths that everybody may ask for: a load balancer has no secrets, and they tell none.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// The rule at the door.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Whoever shows the token.
    Bearer(Token),
    /// Whoever is on this machine and is no web page.
    Loopback,
}

impl Access {
    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Access::Bearer(token) => check_token(token, headers),
            Access::Loopback => check_page(method, headers),
        }
    }
}

/// Lets a request pass, or answers it.
pub(crate) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let open = OPEN.contains(&request.uri().path());
    match access.admit(request.method(), request.headers()) {
        Err(problem) if !open => problem.into_response(),
        Ok(()) | Err(_) => next.run(request).await,
    }
}

fn check_token(token: &Token, headers: &HeaderMap) -> Result<(), Problem> {
    let shown = only(headers, &AUTHORIZATION).and_then(bearer);
    if shown.is_some_and(|shown| token.is(shown.as_bytes())) {
        return Ok(());
    }
    let detail = match shown {
        Some(_) => "the token is not this node's",
        None => "expected Authorization: Bearer and the text of this node's admin.token_file",
    };
    Err(Problem::new(Fault::Unauthorized, detail))
}

fn bearer(field: &str) -> Option<&str> {
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

fn check_page(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let host = only(headers, &HOST).filter(|host| is_loopback(host));
    let Some(host) = host else {
        let detail = "expected a Host that is localhost, 127.x.x.x or [::1]: \
            this node has no admin.token_file and answers its own machine only";
        return Err(Problem::new(Fault::ForeignHost, detail));
    };
    let is_ours = |origin: &str| origin.eq_ignore_ascii_case(&format!("http://{host}"));
    let is_foreign = headers.contains_key(ORIGIN) && !only(headers, &ORIGIN).is_some_and(is_ours);
    if is_foreign && !method.is_safe() {
        let detail = format!("{method} from a web page of another origin than http://{host}");
        return Err(Problem::new(Fault::ForeignOrigin, detail));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let has_no_user = !host.contains('@');
    has_no_user
        && (name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback()))
}

/// The field's value, if it is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
        given.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    #[test]
    fn only_loopback_hosts_are_ours() {
        for host in
            ["localhost", "LocalHost:9000", "127.0.0.1", "127.9.9.9:1", "[::1]:9000", "[::1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "::1]",
            "localhost@evil.example",
            "evil.example@localhost",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let at = |origin| headers(&[(HOST, "localhost:9000"), (ORIGIN, origin)]);
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            for foreign in
                ["http://evil.example", "null", "http://localhost:3000", "https://localhost:9000"]
            {
                let refused = check_page(&method, &at(foreign)).unwrap_err();
                assert_eq!(refused.code(), "foreign-origin", "{foreign}");
            }
            assert!(check_page(&method, &at("http://localhost:9000")).is_ok());
            assert!(check_page(&method, &headers(&[(HOST, "localhost:9000")])).is_ok());
        }
        assert!(check_page(&Method::GET, &at("http://evil.example")).is_ok());
        let twice = [(HOST, "[::1]"), (ORIGIN, "http://[::1]"), (ORIGIN, "http://evil.example")];
        let mut two = HeaderMap::new();
        for (name, value) in twice {
            two.append(name, HeaderValue::from_static(value));
        }
        assert!(check_page(&Method::POST, &two).is_err());
    }

    #[test]
    fn a_request_without_one_host_is_nobodys() {
        let mut two = headers(&[(HOST, "localhost")]);
        two.append(HOST, HeaderValue::from_static("localhost"));
        for headers in [HeaderMap::new(), two, headers(&[(HOST, "rebound.example:9000")])] {
            let refused = check_page(&Method::GET, &headers).unwrap_err();
            assert_eq!(refused.code(), "foreign-host");
        }
    }

    #[test]
    fn the_scheme_has_any_case_and_the_token_its_own() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bEARER  abc "), Some("abc"));
        for other in ["abc", "Basic abc", "Bearerabc"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
