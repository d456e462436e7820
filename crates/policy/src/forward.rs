//! What the origin gets: what is in the key, what the origin request policy adds, and what HTTP
//! itself needs. What is in neither policy is not sent.
//!
//! The fields are put right once, at the viewer's edge, and travel so: every tier above finds the
//! same key in them, and `Vary` can only tell apart what the origin was shown. An allow list always
//! beats the other policy's block list.

use http::header::{self, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::policy::Names;
use model::policy::origin_request::ForwardedHeaders;
use model::{CacheBehavior, FieldName, Path};

use crate::{cookies, encoding, query};

/// What HTTP itself needs: about the body, about the viewer's copy, about caches and the way.
const NEEDED: [HeaderName; 22] = [
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::EXPECT,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::MAX_FORWARDS,
    header::RANGE,
    header::TRAILER,
    header::VIA,
    // RFC 8586.
    HeaderName::from_static("cdn-loop"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Who asks, where the origin does not learn who the viewer is.
const US: HeaderValue = HeaderValue::from_static("Shoal");

/// Leaves of a viewer's fields what goes up.
pub fn forwarded_headers(behavior: &CacheBehavior, headers: &mut HeaderMap) {
    let (key, origin) = (&behavior.cache_policy, &behavior.origin_request_policy);
    encoding::normalise(key, headers);
    cookies::keep(headers, &key.cookies, &origin.cookies);
    let lists = |listed: &[FieldName], name: &HeaderName| {
        listed.iter().any(|listed| listed.as_header() == name)
    };
    let by_policy: &dyn Fn(&HeaderName) -> bool = match &origin.headers {
        ForwardedHeaders::AllViewer | ForwardedHeaders::AllViewerAndDerived(_) => return,
        ForwardedHeaders::None => &|_| false,
        ForwardedHeaders::Whitelist(listed) => &|name| lists(listed, name),
        ForwardedHeaders::AllExcept(listed) => &|name| !lists(listed, name),
    };
    let is_sent = |name: &HeaderName| {
        let is_settled =
            *name == COOKIE || *name == header::ACCEPT_ENCODING && key.normalises_accept_encoding();
        is_settled || NEEDED.contains(name) || lists(key.headers.listed(), name) || by_policy(name)
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| !is_sent(name)).cloned().collect();
    for name in &dropped {
        headers.remove(name);
    }
    if dropped.contains(&USER_AGENT) {
        headers.insert(USER_AGENT, US);
    }
}

/// Takes the cookies out of an origin's answer that it sets although it gets none: they would start
/// a conversation that this behavior does not carry.
pub fn withhold_cookies(behavior: &CacheBehavior, headers: &mut HeaderMap) {
    let policies = [&behavior.cache_policy.cookies, &behavior.origin_request_policy.cookies];
    if policies.iter().all(|names| **names == Names::None) {
        headers.remove(header::SET_COOKIE);
    }
}

/// Path and query as the origin gets them.
pub fn forwarded_target(behavior: &CacheBehavior, path: &Path) -> Path {
    let (key, origin) = (&behavior.cache_policy, &behavior.origin_request_policy);
    let (key, order) = (&key.query_strings, key.query_string_order);
    let Some(query) = path.query() else { return path.clone() };
    if query::is_untouched(key, &origin.query_strings, order) {
        return path.clone();
    }
    path.with_query(query::selected(query, key, &origin.query_strings, order).as_deref())
}

/// What of a request its key does not hold: what a response may not be shared over unless its
/// origin says so (RFC 9111 §3.5). Credentials and cookies that are in the key are not among it.
pub fn beyond_the_key(behavior: &CacheBehavior, headers: &HeaderMap) -> HeaderMap {
    let policy = &behavior.cache_policy;
    let mut left = headers.clone();
    for name in policy.headers.listed() {
        left.remove(name.as_header());
    }
    if policy.cookies != Names::None
        && cookies::all(headers).all(|cookie| cookies::is_selected(&policy.cookies, &cookie))
    {
        left.remove(COOKIE);
    }
    left
}

/// A policy that adds nothing.
#[cfg(test)]
pub(crate) fn strictest() -> model::OriginRequestPolicy {
    model::OriginRequestPolicy {
        query_strings: Names::None,
        headers: ForwardedHeaders::None,
        cookies: Names::None,
        ..model::OriginRequestPolicy::default()
    }
}

#[cfg(test)]
mod tests {
    use model::OriginRequestPolicy;
    use model::policy::KeyHeaders;

    use super::*;
    use crate::testing::{fields, listed, names};

    fn sends(behavior: &CacheBehavior, sent: &str, expect: &str) {
        let mut headers = fields(sent);
        forwarded_headers(behavior, &mut headers);
        assert_eq!(headers, fields(expect), "{sent}");
        let once = headers.clone();
        forwarded_headers(behavior, &mut headers);
        assert_eq!(headers, once, "not idempotent: {sent}");
    }

    fn strict() -> CacheBehavior {
        let origin_request_policy = strictest();
        CacheBehavior { origin_request_policy, ..CacheBehavior::to_origin("main") }
    }

    #[test]
    fn a_behavior_that_says_nothing_sends_what_the_viewer_sent() {
        let sent = "accept:a|accept-encoding:gzip, br|cookie:a=1; b=2|user-agent:x|authorization:y";
        let behavior = CacheBehavior::to_origin("main");
        sends(&behavior, sent, sent);
        let path = Path::parse("/a?b=1&a=2&").unwrap();
        assert_eq!(forwarded_target(&behavior, &path), path);
    }

    #[test]
    fn what_is_in_neither_policy_is_not_sent() {
        let sent = "accept:a|accept-encoding:gzip|cookie:a=1|user-agent:x|authorization:y\
                    |range:bytes=0-1|if-none-match:\"a\"|cache-control:no-cache\
                    |x-forwarded-for:::1";
        let expect = "user-agent:Shoal|range:bytes=0-1|if-none-match:\"a\"|cache-control:no-cache\
                      |x-forwarded-for:::1";
        sends(&strict(), sent, expect);
        let path = Path::parse("/a?b=1").unwrap();
        let behavior = CacheBehavior {
            cache_policy: model::CachePolicy {
                query_strings: Names::None,
                ..model::CachePolicy::default()
            },
            ..strict()
        };
        assert_eq!(forwarded_target(&behavior, &path).as_str(), "/a");
    }

    #[test]
    fn an_origin_that_gets_no_cookies_sets_none() {
        let answer = fields("set-cookie:a=1|set-cookie:b=2|x:y");
        let mut headers = answer.clone();
        withhold_cookies(&CacheBehavior::to_origin("main"), &mut headers);
        assert_eq!(headers, answer);
        withhold_cookies(&strict(), &mut headers);
        assert_eq!(headers, fields("x:y"));
    }

    #[test]
    fn what_is_in_the_key_is_sent_and_the_origin_policy_adds_to_it() {
        let mut behavior = strict();
        let key = &mut behavior.cache_policy;
        key.headers = KeyHeaders::Whitelist(names(&["X-Key"]));
        key.cookies = Names::Whitelist(listed(&["key"]));
        key.query_strings = Names::Whitelist(listed(&["key"]));
        key.enable_accept_encoding_gzip = true;
        behavior.origin_request_policy = OriginRequestPolicy {
            headers: ForwardedHeaders::Whitelist(names(&["X-More"])),
            cookies: Names::Whitelist(listed(&["more"])),
            query_strings: Names::Whitelist(listed(&["more"])),
            ..strictest()
        };
        sends(
            &behavior,
            "x-key:1|x-more:2|x-none:3|cookie:key=1; none=2; more=3|accept-encoding:gzip, br",
            "x-key:1|x-more:2|cookie:key=1; more=3|accept-encoding:gzip",
        );
        let path = Path::parse("/a?none=1&more=2&key=3").unwrap();
        assert_eq!(forwarded_target(&behavior, &path).as_str(), "/a?more=2&key=3");
    }

    #[test]
    fn an_allow_list_beats_the_other_policys_block_list() {
        let mut behavior = strict();
        behavior.cache_policy.headers = KeyHeaders::Whitelist(names(&["x-a"]));
        behavior.origin_request_policy.headers =
            ForwardedHeaders::AllExcept(names(&["x-a", "x-b"]));
        sends(&behavior, "x-a:1|x-b:2|x-c:3", "x-a:1|x-c:3");
    }

    #[test]
    fn credentials_in_the_key_keep_nothing_from_being_shared() {
        let mut behavior = CacheBehavior::to_origin("main");
        let sent = fields("authorization:x|cookie:a=1|accept:y");
        assert_eq!(beyond_the_key(&behavior, &sent), sent);
        behavior.cache_policy.headers = KeyHeaders::Whitelist(names(&["Authorization"]));
        behavior.cache_policy.cookies = Names::Whitelist(listed(&["a"]));
        assert_eq!(beyond_the_key(&behavior, &sent), fields("accept:y"));
        let more = fields("cookie:a=1; b=2");
        assert_eq!(beyond_the_key(&behavior, &more), more);
    }
}
