//! The answer to a cross-origin request: which page may read the response, and what a preflight
//! allows (the Fetch standard's CORS protocol).
//!
//! With `*` every response says so, as CloudFront does it. With a list only the origin that asked
//! is named, and `Vary: Origin` keeps caches behind us from giving its answer to others.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::FieldValue;
use model::behavior::Methods;
use model::policy::response_headers::Cors;

/// Every field by which a server takes part.
const FIELDS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// What a request says of where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    origin: Option<HeaderValue>,
    is_preflight: bool,
}

impl Asked {
    /// Reads a request.
    pub fn of(method: &Method, headers: &HeaderMap) -> Asked {
        let origin = headers.get(ORIGIN).cloned();
        let is_preflight =
            *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Asked { origin, is_preflight }
    }
}

/// Sets the fields that `cors` wants on an answer to what was asked.
pub(crate) fn answer(cors: &Cors, asked: &Asked, headers: &mut HeaderMap) {
    if !cors.origin_override && headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    FIELDS.iter().for_each(|name| drop(headers.remove(name)));
    let is_for_all = cors.allow_origins.iter().any(|allowed| allowed.as_str() == "*");
    let allowed = match is_for_all {
        true => Some(HeaderValue::from_static("*")),
        false => {
            headers.append(VARY, HeaderValue::from_static("Origin"));
            asked.origin.clone().filter(|origin| allows(cors, origin))
        }
    };
    let Some(allowed) = allowed else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if cors.allow_credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if asked.is_preflight {
        set(headers, ACCESS_CONTROL_ALLOW_METHODS, &methods(&cors.allow_methods));
        set(headers, ACCESS_CONTROL_ALLOW_HEADERS, &joined(&cors.allow_headers));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age_seconds));
    } else {
        set(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &joined(&cors.expose_headers));
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, list: &str) {
    if let Ok(value) = HeaderValue::from_str(list)
        && !list.is_empty()
    {
        headers.insert(name, value);
    }
}

fn joined(list: &[FieldValue]) -> String {
    list.iter().map(FieldValue::as_str).collect::<Vec<_>>().join(", ")
}

fn methods(list: &[FieldValue]) -> String {
    match list.iter().any(|method| method.as_str() == "ALL") {
        true => Methods::All.names().join(", "),
        false => joined(list),
    }
}

fn allows(cors: &Cors, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    cors.allow_origins.iter().any(|allowed| covers(allowed.as_str(), origin))
}

/// Whether `allowed`, in which one star stands for labels or a port, covers `origin`.
fn covers(allowed: &str, origin: &str) -> bool {
    let Some((before, after)) = allowed.split_once('*') else {
        return allowed.eq_ignore_ascii_case(origin);
    };
    let origin = origin.to_ascii_lowercase();
    let (before, after) = (before.to_ascii_lowercase(), after.to_ascii_lowercase());
    let starred = origin.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&after));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    starred.is_some_and(|starred| !starred.is_empty() && starred.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    fn cors(origins: &[&str]) -> Cors {
        let values = |given: &[&str]| -> Vec<FieldValue> {
            given.iter().map(|value| FieldValue::parse(value).unwrap()).collect()
        };
        Cors {
            allow_origins: values(origins),
            allow_methods: values(&["GET", "PUT"]),
            allow_headers: values(&["x-a", "x-b"]),
            expose_headers: values(&["x-c"]),
            allow_credentials: false,
            max_age_seconds: 60,
            origin_override: false,
        }
    }

    fn answered(cors: &Cors, method: Method, request: &str, response: &str) -> HeaderMap {
        let mut headers = fields(response);
        answer(cors, &Asked::of(&method, &fields(request)), &mut headers);
        headers
    }

    #[test]
    fn every_origin_is_allowed_by_a_star_and_told_so_always() {
        let expect = fields("access-control-allow-origin:*|access-control-expose-headers:x-c");
        for request in ["", "origin:https://app.example"] {
            assert_eq!(answered(&cors(&["*"]), Method::GET, request, ""), expect);
        }
    }

    #[test]
    fn of_a_list_only_the_origin_that_asked_is_named() {
        let listed = cors(&["https://app.example", "https://*.shop.example", "http://dev:*"]);
        for (origin, allowed) in [
            ("https://app.example", true),
            ("https://APP.example", true),
            ("https://a.shop.example", true),
            ("https://a.b.shop.example", true),
            ("http://dev:3000", true),
            ("http://app.example", false),
            ("https://app.example.evil.example", false),
            ("https://shop.example", false),
            ("https://evil.example/.shop.example", false),
            ("https://evil.example#.shop.example", false),
            ("null", false),
        ] {
            let request = format!("origin:{origin}");
            let headers = answered(&listed, Method::GET, &request, "");
            let named = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|it| it.to_str().unwrap());
            assert_eq!(named, allowed.then_some(origin), "{origin}");
            assert_eq!(headers[VARY], "Origin");
        }
        assert_eq!(answered(&listed, Method::GET, "", ""), fields("vary:Origin"));
    }

    #[test]
    fn a_preflight_learns_what_is_allowed() {
        let request = "origin:https://x.example|access-control-request-method:PUT";
        let expect = "access-control-allow-origin:*|access-control-allow-methods:GET, PUT\
                      |access-control-allow-headers:x-a, x-b|access-control-max-age:60";
        let headers = answered(&cors(&["*"]), Method::OPTIONS, request, "");
        assert_eq!(headers, fields(expect));
        let all = Cors { allow_methods: vec![FieldValue::parse("ALL").unwrap()], ..cors(&["*"]) };
        let headers = answered(&all, Method::OPTIONS, request, "");
        let names = "GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE";
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], names);
    }

    #[test]
    fn the_origins_own_answer_stands_unless_it_is_overridden() {
        let theirs = "access-control-allow-origin:https://y.example|access-control-max-age:1";
        let kept = answered(&cors(&["*"]), Method::GET, "", theirs);
        assert_eq!(kept, fields(theirs));
        let over = Cors { origin_override: true, ..cors(&["https://app.example"]) };
        assert_eq!(answered(&over, Method::GET, "", theirs), fields("vary:Origin"));
    }

    #[test]
    fn credentials_are_allowed_to_a_named_origin() {
        let with = Cors { allow_credentials: true, ..cors(&["https://app.example"]) };
        let headers = answered(&with, Method::GET, "origin:https://app.example", "");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
    }
}
