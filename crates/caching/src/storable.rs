//! May a shared cache keep this response, and on what terms (RFC 9111 §3)?
//!
//! The terms are worked out once, when the response is stored, so that a hit parses nothing of the
//! response. After a 304 they are worked out again from the freshened head.
//! `no-store` and `private` are never kept, unless the policy's one loudly named switch is on.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LOCATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use model::limits::VARY_FIELDS_MAX;
use model::{Attributes, CachePolicy};

use crate::directive::{CacheControl, RequestDirectives, Seconds};
use crate::freshness;
use crate::invalidate;
use crate::revalidate::Validators;
use crate::tags;
use crate::variant::{Vary, vary};

/// How a stored response may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Fresh below this age.
    pub lifetime: Duration,
    /// Served stale for this long while it is refreshed.
    pub stale_while_revalidate: Option<Duration>,
    /// Served stale for this long when the origin fails.
    pub stale_if_error: Option<Duration>,
    /// Served stale only within the two windows above, whatever a viewer would accept.
    /// `must-revalidate` and `proxy-revalidate` leave no window; `s-maxage` those it came with.
    pub must_revalidate: bool,
    /// Asked about every time, fresh or not.
    pub no_cache: bool,
}

impl Terms {
    /// Whether a copy of this age is fresh (RFC 9111 §4.2).
    pub fn is_fresh_at(&self, age: Duration) -> bool {
        age < self.lifetime
    }

    /// Seconds of freshness left, negative when stale: `ttl` of RFC 9211 §2.4.
    pub fn ttl_at(&self, age: Duration) -> i64 {
        let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        whole(self.lifetime.saturating_sub(age)) - whole(age.saturating_sub(self.lifetime))
    }

    fn new(control: &CacheControl, lifetime: Duration, policy: &CachePolicy) -> Terms {
        // RFC 9111 §4.2.4 lists s-maxage among what forbids stale answers. An explicit window
        // beside it is an extension that modifies it (§5.2.3); beside the other three it would
        // contradict.
        let no_windows = control.no_cache || control.must_revalidate || control.proxy_revalidate;
        let room = policy.max_ttl().saturating_sub(lifetime);
        // The policy's windows are the operator's word, for when the origin has none of its own.
        let window = |given: Option<Seconds>, by_policy: Duration| {
            let by_policy = Some(by_policy).filter(|length| !length.is_zero());
            let length = given.map(Seconds::duration).or(by_policy);
            length.filter(|_| !no_windows).map(|length| length.min(room))
        };
        Terms {
            lifetime,
            stale_while_revalidate: window(
                control.stale_while_revalidate,
                policy.stale_while_revalidate(),
            ),
            stale_if_error: window(control.stale_if_error, policy.stale_if_error()),
            must_revalidate: control.must_revalidate
                || control.proxy_revalidate
                || control.s_maxage.is_some(),
            no_cache: control.no_cache,
        }
    }

    /// Whether there is an age at which a copy is served without a validator's help.
    fn serves_unvalidated(&self) -> bool {
        let opens = |window: Option<Duration>| window.is_some_and(|length| !length.is_zero());
        let is_ever_fresh = !self.no_cache && !self.lifetime.is_zero();
        is_ever_fresh || opens(self.stale_while_revalidate) || opens(self.stale_if_error)
    }
}

/// What a distribution says of how long responses live.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The cache policy of the behavior that covers the request.
    pub policy: &'a CachePolicy,
    /// How long a response with this status is remembered at least, where it is an error that the
    /// distribution names.
    pub error_min_ttl: Option<Duration>,
}

impl<'a> Rules<'a> {
    /// The rules of a distribution that names no errors.
    pub fn of(policy: &'a CachePolicy) -> Rules<'a> {
        Rules { policy, error_min_ttl: None }
    }
}

/// Why a response is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unstorable {
    /// Only answers to GET are kept.
    Method,
    /// The cache policy's maximum is zero.
    Disabled,
    /// A part of a representation (206).
    Partial,
    /// Not final, bound to its request's conditions, or neither explicitly nor by default
    /// cacheable.
    Status,
    /// `no-store`, said by either side.
    NoStore,
    /// `private`.
    Private,
    /// The request was authorized, and the response does not say that others may have it.
    Authorization,
    /// `Vary: *`, or a field that has no name.
    VaryAny,
    /// More `Vary` fields than [`VARY_FIELDS_MAX`].
    VaryTooMany,
    /// Sets a cookie, and the origin did not say that it may be reused.
    SetCookie,
    /// The request carries a cookie, and the origin did not say that the answer may be kept.
    Cookie,
    /// More tags than [`model::limits::TAGS_MAX`], or one that no purge could name.
    Tags,
    /// Never fresh, and nothing to ask about it: it would never be served.
    NeverFresh,
}

impl Unstorable {
    /// For `detail` in `Cache-Status`, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unstorable::Method => "method",
            Unstorable::Disabled => "disabled",
            Unstorable::Partial => "partial",
            Unstorable::Status => "status",
            Unstorable::NoStore => "no-store",
            Unstorable::Private => "private",
            Unstorable::Authorization => "authorization",
            Unstorable::VaryAny => "vary-any",
            Unstorable::VaryTooMany => "vary-too-many",
            Unstorable::SetCookie => "set-cookie",
            Unstorable::Cookie => "cookie",
            Unstorable::Tags => "tags",
            Unstorable::NeverFresh => "never-fresh",
        }
    }
}

/// Whether the response to a request may be kept, and on what terms. A response without a `Date`
/// first gets one from [`crate::ensure_date`].
pub fn storable(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    rules: &Rules<'_>,
) -> Result<Terms, Unstorable> {
    let Rules { policy, error_min_ttl } = *rules;
    let control = CacheControl::of(response, &policy.cache_control_targets);
    check_message(method, status, &control)?;
    if !policy.dangerously_cache_private {
        check_privacy(&control)?;
    }
    check_sharing(request, response, &control)?;
    if policy.max_ttl().is_zero() {
        return Err(Unstorable::Disabled);
    }
    let explicit = freshness::explicit_lifetime(&control, response);
    let is_wanted = control.public || error_min_ttl.is_some_and(|time| !time.is_zero());
    if explicit.is_none() && !is_wanted && !is_cacheable_by_default(status) {
        return Err(Unstorable::Status);
    }
    // One viewer's cookie goes to others only when the origin itself asked for reuse: not by the
    // policy's default or minimum, and not by the 304 that another viewer's request brought.
    let reuse_asked = explicit.is_some_and(|time| !time.is_zero()) && !control.no_cache;
    let is_kept = |name| response.contains_key(&name) && !control.withheld.contains(&name);
    if is_kept(SET_COOKIE) && !reuse_asked {
        return Err(Unstorable::SetCookie);
    }
    // Nor is what a cookie may have shaped kept for all, unless the origin says that it may be.
    if explicit.is_none() && request.contains_key(COOKIE) {
        return Err(Unstorable::Cookie);
    }
    let heuristic = freshness::heuristic_lifetime(response);
    let lifetime = freshness::lifetime(explicit, heuristic, status, rules);
    let terms = Terms::new(&control, lifetime, policy);
    if !terms.serves_unvalidated() && Validators::of(response).is_none() {
        return Err(Unstorable::NeverFresh);
    }
    Ok(terms)
}

/// The same for the response to a `POST` for `target`: it answers later GETs when it says for how
/// long, and by its `Content-Location` that it is what lies there (RFC 9110 §9.3.3). One that
/// varies was chosen by fields that no GET has shown yet, and is left to the first that does.
pub fn storable_post(
    target: &Attributes,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    rules: &Rules<'_>,
) -> Result<Terms, Unstorable> {
    let control = CacheControl::of(response, &rules.policy.cache_control_targets);
    let is_explicit = freshness::explicit_lifetime(&control, response).is_some();
    let lies_there = invalidate::named(response, &CONTENT_LOCATION, target)
        .is_some_and(|path| path == target.path);
    if !status.is_success() || !is_explicit || !lies_there || vary(response) != Vary::None {
        return Err(Unstorable::Method);
    }
    storable(&Method::GET, request, status, response, rules)
}

/// The fields of a response that may be reused, when these are not all of them: what `no-cache` or
/// `private` name is for the request that was answered with it (RFC 9111 §5.2.2.4 and §5.2.2.7).
pub fn reusable(response: &HeaderMap, policy: &CachePolicy) -> Option<HeaderMap> {
    let CacheControl { withheld, .. } = CacheControl::of(response, &policy.cache_control_targets);
    withheld.iter().any(|name| response.contains_key(name)).then(|| {
        let mut kept = response.clone();
        withheld.iter().for_each(|name| drop(kept.remove(name)));
        kept
    })
}

/// What method, status and directives prohibit (RFC 9111 §3).
fn check_message(
    method: &Method,
    status: StatusCode,
    control: &CacheControl,
) -> Result<(), Unstorable> {
    if *method != Method::GET {
        return Err(Unstorable::Method);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(Unstorable::Partial);
    }
    if is_bound_to_its_request(status) || control.must_understand && !is_understood(status) {
        return Err(Unstorable::Status);
    }
    Ok(())
}

/// What is for one viewer only, or for nobody to keep (RFC 9111 §5.2.2.5 and §5.2.2.7). The loudly
/// named switch of a cache policy is the one way around it.
fn check_privacy(control: &CacheControl) -> Result<(), Unstorable> {
    if control.no_store && !control.must_understand {
        return Err(Unstorable::NoStore);
    }
    if control.private {
        return Err(Unstorable::Private);
    }
    Ok(())
}

/// What the request, tags and `Vary` prohibit (RFC 9111 §3, §3.5 and §4.1).
fn check_sharing(
    request: &HeaderMap,
    response: &HeaderMap,
    control: &CacheControl,
) -> Result<(), Unstorable> {
    if RequestDirectives::of(request).no_store {
        return Err(Unstorable::NoStore);
    }
    let is_for_all = control.public || control.must_revalidate || control.s_maxage.is_some();
    if request.contains_key(AUTHORIZATION) && !is_for_all {
        return Err(Unstorable::Authorization);
    }
    tags::check(response)?;
    match vary(response) {
        Vary::Any => Err(Unstorable::VaryAny),
        Vary::Fields(fields) if fields.len() > VARY_FIELDS_MAX => Err(Unstorable::VaryTooMany),
        Vary::None | Vary::Fields(_) => Ok(()),
    }
}

/// Interim, or an answer to conditions or a range that the cache key does not hold.
fn is_bound_to_its_request(status: StatusCode) -> bool {
    status.is_informational() || matches!(status.as_u16(), 304 | 412 | 416)
}

/// RFC 9110 §15.1: the statuses that are cacheable without being told, 206 left out.
fn is_cacheable_by_default(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// The final statuses of RFC 9110 §15, whose caching rules this crate keeps (RFC 9111 §5.2.2.3).
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=411 | 413..=415)
        || matches!(status.as_u16(), 417 | 421 | 422 | 426 | 500..=505)
}

#[cfg(test)]
mod tests {
    use model::FieldName;

    use super::*;
    use crate::testing::{EARLIER, LATER, NOON, attributes, fields, secs};

    fn verdict(request: &str, status: u16, response: &str) -> Result<Terms, Unstorable> {
        let status = StatusCode::from_u16(status).unwrap();
        let policy = CachePolicy::default();
        storable(&Method::GET, &fields(request), status, &fields(response), &Rules::of(&policy))
    }

    fn under(policy: CachePolicy, response: &str) -> Result<Terms, Unstorable> {
        storable(&Method::GET, &fields(""), StatusCode::OK, &fields(response), &Rules::of(&policy))
    }

    fn check(request: &str, status: u16, response: &str, expect: Result<u64, Unstorable>) {
        let found = verdict(request, status, response).map(|terms| terms.lifetime.as_secs());
        assert_eq!(found, expect, "{request} -> {status} {response}");
    }

    #[test]
    fn only_answers_to_get_are_kept() {
        // RFC 9110 §9.2.3; a HEAD must not make an entry that a GET could use.
        let (request, response) = (fields(""), fields("cache-control:max-age=60"));
        for method in [Method::HEAD, Method::POST, Method::OPTIONS, Method::PUT] {
            let policy = CachePolicy::default();
            let found = storable(&method, &request, StatusCode::OK, &response, &Rules::of(&policy));
            assert_eq!(found, Err(Unstorable::Method), "{method}");
        }
    }

    #[test]
    fn a_post_is_kept_when_it_says_for_how_long_and_what_it_is() {
        // RFC 9110 §9.3.3, RFC 9111 §3.
        let fresh = "cache-control:max-age=60|content-location:";
        for (status, response, expect) in [
            (200, format!("{fresh}/a?b"), Ok(60)),
            (200, format!("{fresh}https://shop.example/a?b"), Ok(60)),
            (201, format!("{fresh}?b"), Ok(60)),
            (200, format!("{fresh}/a"), Err(Unstorable::Method)),
            (200, format!("{fresh}https://other.example/a?b"), Err(Unstorable::Method)),
            (200, "cache-control:max-age=60".into(), Err(Unstorable::Method)),
            (200, "content-location:/a?b".into(), Err(Unstorable::Method)),
            (200, "cache-control:public|content-location:/a?b".into(), Err(Unstorable::Method)),
            (404, format!("{fresh}/a?b"), Err(Unstorable::Method)),
            (303, format!("{fresh}/a?b"), Err(Unstorable::Method)),
            (200, format!("{fresh}/a?b|vary:x"), Err(Unstorable::Method)),
            (200, format!("{fresh}/a?b|cache-control:private"), Err(Unstorable::Private)),
            (206, format!("{fresh}/a?b"), Err(Unstorable::Partial)),
        ] {
            let target = attributes("shop.example", "/a?b");
            let (status, policy) = (StatusCode::from_u16(status).unwrap(), CachePolicy::default());
            let found = storable_post(
                &target,
                &fields(""),
                status,
                &fields(&response),
                &Rules::of(&policy),
            );
            assert_eq!(found.map(|terms| terms.lifetime.as_secs()), expect, "{status} {response}");
        }
    }

    #[test]
    fn a_status_is_kept_by_default_or_on_request() {
        // RFC 9111 §3, RFC 9110 §15.1.
        for status in [200, 203, 204, 300, 301, 308] {
            check("", status, "", Ok(86_400));
        }
        for status in [404, 405, 410, 414, 501] {
            check("", status, "", Ok(10));
        }
        for status in [201, 302, 307, 400, 403, 500, 503, 299] {
            check("", status, "", Err(Unstorable::Status));
            check("", status, "etag:\"a\"|cache-control:no-cache", Err(Unstorable::Status));
            check("", status, "cache-control:max-age=60", Ok(60));
            check("", status, &format!("date:{NOON}|expires:{LATER}"), Ok(10));
        }
        check("", 302, "cache-control:public", Ok(86_400));
    }

    #[test]
    fn an_answer_bound_to_its_request_is_never_kept() {
        // RFC 9111 §3: 206 and 304 need support for them; 412 and 416 depend on unkeyed fields.
        check("", 206, "cache-control:max-age=60", Err(Unstorable::Partial));
        for status in [100, 103, 304, 412, 416] {
            check("", status, "cache-control:max-age=60, public", Err(Unstorable::Status));
        }
    }

    #[test]
    fn no_store_wins_whoever_says_it() {
        // RFC 9111 §5.2.1.5 and §5.2.2.5.
        check("", 200, "cache-control:no-store, max-age=60, public", Err(Unstorable::NoStore));
        check("cache-control:no-store", 200, "cache-control:max-age=9", Err(Unstorable::NoStore));
        check("", 200, r#"cache-control:x="|cache-control:no-store"#, Err(Unstorable::NoStore));
    }

    #[test]
    fn must_understand_replaces_no_store_where_the_status_is_known() {
        // RFC 9111 §5.2.2.3.
        let both = "cache-control:no-store, must-understand, max-age=60";
        check("", 200, both, Ok(60));
        check("", 299, both, Err(Unstorable::Status));
        check("", 299, "cache-control:must-understand, max-age=60", Err(Unstorable::Status));
        check("cache-control:no-store", 200, both, Err(Unstorable::NoStore));
    }

    #[test]
    fn private_is_never_kept() {
        // RFC 9111 §5.2.2.7.
        for value in ["private", "private, max-age=60", "public, s-maxage=60, private=\"\""] {
            check("", 200, &format!("cache-control:{value}"), Err(Unstorable::Private));
        }
    }

    #[test]
    fn private_and_no_store_are_kept_under_the_loud_switch_and_no_other() {
        let loud = CachePolicy { dangerously_cache_private: true, ..CachePolicy::default() };
        let least = CachePolicy { min_ttl_seconds: 60, ..CachePolicy::default() };
        for (directives, seconds) in [
            ("private", 86_400),
            ("private, max-age=5", 5),
            ("no-store", 86_400),
            ("no-store, max-age=5", 5),
        ] {
            let response = format!("cache-control:{directives}");
            assert_eq!(under(loud.clone(), &response).unwrap().lifetime, secs(seconds));
            assert!(under(least.clone(), &response).is_err(), "{directives}");
        }
        let cookie = under(loud, "cache-control:private|set-cookie:a=b");
        assert_eq!(cookie, Err(Unstorable::SetCookie));
    }

    #[test]
    fn the_policys_windows_hold_where_the_origin_names_none() {
        // RFC 5861; RFC 9111 §4.2.4.
        let policy = CachePolicy {
            stale_while_revalidate_seconds: 7,
            stale_if_error_seconds: 9,
            max_ttl_seconds: 100,
            ..CachePolicy::default()
        };
        for (directives, revalidate, error) in [
            ("max-age=60", Some(7), Some(9)),
            ("s-maxage=60", Some(7), Some(9)),
            ("max-age=60, stale-if-error=0", Some(7), Some(0)),
            ("max-age=60, stale-while-revalidate=3", Some(3), Some(9)),
            ("max-age=96", Some(4), Some(4)),
            ("max-age=60, must-revalidate", None, None),
            ("max-age=60, proxy-revalidate", None, None),
            ("max-age=60, no-cache, s-maxage=1", None, None),
        ] {
            let response = format!("etag:\"a\"|cache-control:{directives}");
            let terms = under(policy.clone(), &response).unwrap();
            assert_eq!(terms.stale_while_revalidate, revalidate.map(secs), "{directives}");
            assert_eq!(terms.stale_if_error, error.map(secs), "{directives}");
        }
    }

    #[test]
    fn an_error_that_the_distribution_names_is_remembered() {
        let policy = CachePolicy { max_ttl_seconds: 100, ..CachePolicy::default() };
        let of = |status: u16, response: &str, least: Option<u64>| {
            let status = StatusCode::from_u16(status).unwrap();
            let rules = Rules { policy: &policy, error_min_ttl: least.map(secs) };
            let found = storable(&Method::GET, &fields(""), status, &fields(response), &rules);
            found.map(|terms| terms.lifetime)
        };
        for (status, response, least, expect) in [
            (503, "", None, Err(Unstorable::Status)),
            (503, "", Some(5), Ok(secs(5))),
            (503, "", Some(0), Err(Unstorable::Status)),
            (404, "", None, Ok(secs(10))),
            (404, "", Some(30), Ok(secs(30))),
            (404, "", Some(300), Ok(secs(300))),
            (404, "cache-control:max-age=60", Some(30), Ok(secs(60))),
            (404, "cache-control:max-age=600", Some(30), Ok(secs(100))),
            (404, "cache-control:max-age=0", Some(30), Ok(secs(30))),
            (503, "cache-control:no-store", Some(30), Err(Unstorable::NoStore)),
        ] {
            assert_eq!(of(status, response, least), expect, "{status} {response} {least:?}");
        }
    }

    #[test]
    fn what_no_cache_and_private_name_is_left_out_and_the_rest_kept() {
        // RFC 9111 §5.2.2.4 and §5.2.2.7.
        for (directives, expect) in [
            ("no-cache=\"a\", max-age=60", "b:2|c:3"),
            ("private=\"A, c\", max-age=60", "b:2"),
            ("no-cache=\"a\", private=\"b\", max-age=60", "c:3"),
        ] {
            let response = format!("a:1|b:2|c:3|cache-control:{directives}");
            check("", 200, &response, Ok(60));
            let kept = reusable(&fields(&response), &CachePolicy::default()).unwrap();
            assert_eq!(kept, fields(&format!("{expect}|cache-control:{directives}")));
        }
        let all = fields("a:1|cache-control:no-cache=\"x\", max-age=60");
        assert_eq!(reusable(&all, &CachePolicy::default()), None);
    }

    #[test]
    fn a_cookie_that_is_left_out_keeps_nothing_else_out() {
        // RFC 9111 §5.2.2.4.
        check("", 200, "set-cookie:a=b|cache-control:no-cache=\"Set-Cookie\"", Ok(86_400));
        check("", 200, "set-cookie:a=b|cache-control:no-cache=\"x\"", Err(Unstorable::SetCookie));
    }

    #[test]
    fn a_field_without_which_the_rest_means_something_else_is_not_left_out() {
        for name in ["Vary", "cache-control", "Content-Encoding"] {
            let response = format!("cache-control:private=\"{name}\"");
            check("", 200, &response, Err(Unstorable::Private));
        }
    }

    #[test]
    fn a_targeted_field_decides_alone() {
        // RFC 9213 §2.2.
        let date = format!("date:{NOON}|expires:{LATER}|");
        for (targeted, rest, expect) in [
            ("max-age=60", "cache-control:no-store", Ok(60)),
            ("max-age=60", "cache-control:private, max-age=5", Ok(60)),
            ("max-age=60", "expires:0", Ok(60)),
            ("s-maxage=60, max-age=5", "cache-control:max-age=9", Ok(60)),
            ("no-store", "cache-control:max-age=60", Err(Unstorable::NoStore)),
            ("private", "cache-control:max-age=60", Err(Unstorable::Private)),
            ("max-age=0", &date, Err(Unstorable::NeverFresh)),
            ("foo", &date, Ok(86_400)),
            ("no-cache", "etag:\"a\"", Ok(86_400)),
            ("&&&", "cache-control:no-store", Err(Unstorable::NoStore)),
            ("max-age=\"60\"", "cache-control:max-age=5", Ok(5)),
        ] {
            check("", 200, &format!("cdn-cache-control:{targeted}|{rest}"), expect);
        }
    }

    #[test]
    fn the_policy_names_the_targeted_fields() {
        // RFC 9213 §2.2: the target list is the cache's own.
        let targets = |names: &[&str]| CachePolicy {
            cache_control_targets: names
                .iter()
                .map(|name| FieldName::parse(name).unwrap())
                .collect(),
            ..CachePolicy::default()
        };
        let response =
            "shoal-cache-control:max-age=1|cdn-cache-control:max-age=2|cache-control:max-age=3";
        for (names, expect) in [
            (&["shoal-cache-control", "cdn-cache-control"][..], 1),
            (&["CDN-Cache-Control", "shoal-cache-control"], 2),
            (&[], 3),
        ] {
            let lifetime = under(targets(names), response).map(|terms| terms.lifetime);
            assert_eq!(lifetime, Ok(secs(expect)), "{names:?}");
        }
    }

    #[test]
    fn a_guess_keeps_what_nobody_has_said_anything_about() {
        // RFC 9111 §4.2.2, RFC 9110 §15.1.
        let policy = CachePolicy { default_ttl_seconds: 0, ..CachePolicy::default() };
        let response = format!("date:{NOON}|last-modified:{EARLIER}");
        let guessed = |status: u16, lines: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let response = fields(&format!("{response}|{lines}"));
            storable(&Method::GET, &fields(""), status, &response, &Rules::of(&policy))
        };
        for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
            assert_eq!(guessed(status, "").map(|terms| terms.lifetime), Ok(secs(1)), "{status}");
        }
        for status in [201, 202, 302, 307, 403, 500, 502, 503, 504, 599] {
            assert_eq!(guessed(status, ""), Err(Unstorable::Status), "{status}");
            let public = guessed(status, "cache-control:public");
            assert_eq!(public.map(|terms| terms.lifetime), Ok(secs(1)), "{status}");
        }
        let silent =
            storable(&Method::GET, &fields(""), StatusCode::OK, &fields(""), &Rules::of(&policy));
        assert_eq!(silent, Err(Unstorable::NeverFresh));
    }

    #[test]
    fn an_authorized_answer_is_kept_only_when_it_says_so() {
        // RFC 9111 §3.5.
        let authorized = "authorization:Basic eDp5";
        for (value, expect) in [
            ("max-age=60", Err(Unstorable::Authorization)),
            ("max-age=60, proxy-revalidate", Err(Unstorable::Authorization)),
            ("max-age=60, public", Ok(60)),
            ("max-age=60, must-revalidate", Ok(60)),
            ("max-age=60, s-maxage=30", Ok(30)),
        ] {
            check(authorized, 200, &format!("cache-control:{value}"), expect);
        }
        check(authorized, 200, "", Err(Unstorable::Authorization));
    }

    #[test]
    fn a_response_that_varies_by_anything_is_not_kept() {
        // RFC 9111 §4.1.
        check("", 200, "vary:accept, *", Err(Unstorable::VaryAny));
        check("", 200, "vary:accept-encoding", Ok(86_400));
        let wide: Vec<String> = (0..=VARY_FIELDS_MAX).map(|at| format!("x-{at}")).collect();
        check("", 200, &format!("vary:{}", wide[1..].join(",")), Ok(86_400));
        check("", 200, &format!("vary:{}", wide.join(",")), Err(Unstorable::VaryTooMany));
    }

    #[test]
    fn a_cookie_is_shared_only_when_the_origin_asked_for_reuse() {
        // RFC 9111 §7.3 leaves it to explicit directives.
        let cookie = "set-cookie:a=b|etag:\"a\"|cache-control:";
        check("", 200, &format!("{cookie}max-age=60"), Ok(60));
        check("", 200, &format!("{cookie}s-maxage=60"), Ok(60));
        for value in ["", "public", "max-age=0", "max-age=60, no-cache"] {
            check("", 200, &format!("{cookie}{value}"), Err(Unstorable::SetCookie));
        }
    }

    #[test]
    fn what_could_never_be_served_is_not_kept() {
        check("", 200, "cache-control:max-age=0", Err(Unstorable::NeverFresh));
        check("", 200, "cache-control:no-cache", Err(Unstorable::NeverFresh));
        check("", 200, "expires:0", Err(Unstorable::NeverFresh));
        check("", 200, "etag:unquoted|expires:0", Err(Unstorable::NeverFresh));
        check("", 200, "etag:\"a\"|cache-control:max-age=0", Ok(0));
        check("", 200, "etag:\"a\"|cache-control:no-cache", Ok(86_400));
        check("", 200, "cache-control:max-age=0, stale-while-revalidate=5", Ok(0));
    }

    #[test]
    fn a_policy_with_maximum_zero_keeps_nothing() {
        let policy =
            CachePolicy { default_ttl_seconds: 0, max_ttl_seconds: 0, ..CachePolicy::default() };
        let found = under(policy, "etag:\"a\"|cache-control:max-age=60");
        assert_eq!(found, Err(Unstorable::Disabled));
    }

    #[test]
    fn a_prohibition_of_stale_answers_closes_the_windows() {
        // RFC 9111 §4.2.4 and §5.2.3.
        let windows = "stale-while-revalidate=5, stale-if-error=50, max-age=10";
        for (also, expect, must_revalidate) in [
            ("", (Some(secs(5)), Some(secs(50))), false),
            (", s-maxage=9", (Some(secs(5)), Some(secs(50))), true),
            (", must-revalidate", (None, None), true),
            (", proxy-revalidate", (None, None), true),
            (", no-cache", (None, None), false),
        ] {
            let response = format!("etag:\"a\"|cache-control:{windows}{also}");
            let terms = verdict("", 200, &response).unwrap();
            assert_eq!((terms.stale_while_revalidate, terms.stale_if_error), expect, "{also}");
            assert_eq!(terms.must_revalidate, must_revalidate, "{also}");
            assert_eq!(terms.no_cache, also == ", no-cache");
        }
    }

    #[test]
    fn a_stale_window_does_not_outlive_the_maximum() {
        let policy = CachePolicy { max_ttl_seconds: 100, ..CachePolicy::default() };
        let response = "cache-control:max-age=90, stale-if-error=99, stale-while-revalidate=5";
        let terms = under(policy, response).unwrap();
        assert_eq!(terms.stale_if_error, Some(secs(10)));
        assert_eq!(terms.stale_while_revalidate, Some(secs(5)));
    }

    #[test]
    fn the_policys_minimum_never_overrides_no_cache() {
        let policy = CachePolicy { min_ttl_seconds: 100, ..CachePolicy::default() };
        assert!(under(policy, "etag:\"a\"|cache-control:no-cache").unwrap().no_cache);
    }

    #[test]
    fn ttl_counts_down_through_zero() {
        let terms = verdict("", 200, "cache-control:max-age=60").unwrap();
        for (age, ttl) in [(0, 60), (59, 1), (60, 0), (75, -15)] {
            assert_eq!(terms.ttl_at(secs(age)), ttl);
            assert_eq!(terms.is_fresh_at(secs(age)), ttl > 0);
        }
        assert!(terms.ttl_at(Duration::MAX) < 0);
    }
}
