use std::collections::BTreeMap;

use http::Method;
use http::header::{ACCEPT_ENCODING, COOKIE, ORIGIN, PRAGMA, USER_AGENT};
use model::Host;
use model::policy::{KeyHeaders, QueryOrder};
use proptest::prelude::*;

use super::*;
use crate::cors::Asked;
use crate::derived::derive;
use crate::forward::{forwarded_headers, forwarded_target};
use crate::testing::{fields, listed, names};

fn attributes(policy: &CachePolicy, host: &str, path: &str) -> Attributes {
    let path = Path::parse(path).unwrap();
    Attributes {
        distribution: "shop".parse().unwrap(),
        host: Host::parse(host).unwrap(),
        path: kept_path(policy, &path).unwrap_or(path),
    }
}

fn under(policy: &CachePolicy, path: &str, headers: &str) -> CacheKey {
    let kept = attributes(policy, "shop.example", path);
    let behavior =
        CacheBehavior { cache_policy: policy.clone(), ..CacheBehavior::to_origin("main") };
    key(&behavior, &kept, &fields(headers))
}

/// Whether two requests, each a path and its fields, are one object.
#[track_caller]
fn check(policy: &CachePolicy, one: (&str, &str), two: (&str, &str), same: bool) {
    let (first, second) = (under(policy, one.0, one.1), under(policy, two.0, two.1));
    assert_eq!(first == second, same, "{one:?} {two:?}");
}

#[test]
fn equivalent_urls_share_a_key_and_others_do_not() {
    // RFC 9110 §4.2.3.
    let policy = CachePolicy::default();
    let behavior = CacheBehavior::to_origin("main");
    let of = |distribution: &str, host: &str, path: &str| {
        let kept = Attributes {
            distribution: distribution.parse().unwrap(),
            ..attributes(&policy, host, path)
        };
        key(&behavior, &kept, &HeaderMap::new())
    };
    let one = of("shop", "shop.example", "/a?b=c");
    assert_eq!(of("shop", "SHOP.example:443", "/x/../%61?b=c"), one);
    for other in [
        of("blog", "shop.example", "/a?b=c"),
        of("shop", "blog.example", "/a?b=c"),
        of("shop", "shop.example", "/a"),
        of("shop", "shop.example", "/a?b=d"),
    ] {
        assert_ne!(other, one);
    }
}

#[test]
fn query_strings_count_as_the_policy_says() {
    let of = |query_strings, query_string_order| CachePolicy {
        query_strings,
        query_string_order,
        ..CachePolicy::default()
    };
    let all = of(Names::All, QueryOrder::Kept);
    check(&all, ("/a?x=1&y=2", ""), ("/a?y=2&x=1", ""), false);
    check(&all, ("/a", ""), ("/a?", ""), false);
    let sorted = of(Names::All, QueryOrder::Normalised);
    check(&sorted, ("/a?x=1&y=2", ""), ("/a?y=2&x=1", ""), true);
    check(&sorted, ("/a?x=1&x=2", ""), ("/a?x=2&x=1", ""), false);
    check(&sorted, ("/a", ""), ("/a?", ""), true);
    let none = of(Names::None, QueryOrder::Kept);
    check(&none, ("/a?x=1", ""), ("/a", ""), true);
    check(&none, ("/a?x=1", ""), ("/b", ""), false);
    let some = of(Names::Whitelist(listed(&["x"])), QueryOrder::Kept);
    check(&some, ("/a?x=1&y=2", ""), ("/a?y=3&x=1", ""), true);
    check(&some, ("/a?x=1", ""), ("/a?x=2", ""), false);
    check(&some, ("/a?X=1", ""), ("/a", ""), true);
    let but = of(Names::AllExcept(listed(&["x"])), QueryOrder::Kept);
    check(&but, ("/a?x=1&y=2", ""), ("/a?y=2", ""), true);
    check(&but, ("/a?y=1", ""), ("/a?y=2", ""), false);
}

#[test]
fn only_listed_fields_count_and_an_absent_one_is_not_an_empty_one() {
    let listed = KeyHeaders::Whitelist(names(&["x-b", "X-A"]));
    let policy = CachePolicy { headers: listed, ..CachePolicy::default() };
    check(&policy, ("/", "x-a:1|x-b:2|x-c:3"), ("/", "x-c:4|x-b:2|x-a:1"), true);
    check(&policy, ("/", "x-a:1"), ("/", "x-b:1"), false);
    check(&policy, ("/", "x-a:"), ("/", ""), false);
    check(&policy, ("/", "x-a:1|x-a:2"), ("/", "x-a:2|x-a:1"), false);
    check(&policy, ("/", "x-a:1|x-a:2"), ("/", "x-a:1, 2"), false);
    let turned = KeyHeaders::Whitelist(names(&["X-A", "x-b", "x-b"]));
    let turned = CachePolicy { headers: turned, ..CachePolicy::default() };
    let request = ("/", "x-a:1|x-b:2");
    assert_eq!(under(&policy, request.0, request.1), under(&turned, request.0, request.1));
}

#[test]
fn cookies_count_by_name_whatever_their_order() {
    let of = |cookies| CachePolicy { cookies, ..CachePolicy::default() };
    let none = of(Names::None);
    check(&none, ("/", "cookie:a=1"), ("/", ""), true);
    let some = of(Names::Whitelist(listed(&["a", "b"])));
    check(&some, ("/", "cookie:a=1; b=2; c=3"), ("/", "cookie:b=2|cookie:a=1"), true);
    check(&some, ("/", "cookie:a=1"), ("/", "cookie:A=1"), false);
    check(&some, ("/", "cookie:a=1; a=2"), ("/", "cookie:a=2; a=1"), false);
    check(&some, ("/", "cookie:a"), ("/", "cookie:a="), false);
    let all = of(Names::All);
    check(&all, ("/", "cookie:a=1"), ("/", "cookie:a=1; b=2"), false);
    let but = of(Names::AllExcept(listed(&["b"])));
    check(&but, ("/", "cookie:a=1"), ("/", "cookie:a=1; b=2"), true);
}

#[test]
fn codings_count_as_far_as_they_are_enabled() {
    let policy = CachePolicy {
        enable_accept_encoding_gzip: true,
        enable_accept_encoding_brotli: true,
        ..CachePolicy::default()
    };
    let of = |value: &'static str| ("/", value);
    check(&policy, of("accept-encoding:gzip, br"), of("accept-encoding:br;q=0.1,x-gzip"), true);
    check(&policy, of("accept-encoding:gzip"), of("accept-encoding:br"), false);
    check(&policy, of("accept-encoding:deflate"), of(""), true);
    check(&CachePolicy::default(), of("accept-encoding:gzip"), of("accept-encoding:br"), true);
}

/// A request as its key sees it, in a form that two requests can be compared by.
type Plain = (String, BTreeMap<String, Vec<String>>, Vec<(String, Vec<String>)>);

#[derive(Clone, Debug)]
struct Sent {
    path: String,
    fields: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
}

impl Sent {
    fn headers(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| format!("{name}:{value}"));
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = (!cookies.is_empty()).then(|| format!("cookie:{}", cookies.join("; ")));
        fields.chain(cookies).collect::<Vec<_>>().join("|")
    }

    fn plain(&self, policy: &CachePolicy) -> Plain {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let is_listed =
            |name: &String| policy.headers.listed().iter().any(|one| one.as_str() == *name);
        for (name, value) in self.fields.iter().filter(|(name, _)| is_listed(name)) {
            fields.entry(name.clone()).or_default().push(value.clone());
        }
        let mut cookies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.cookies.iter().filter(|(name, _)| policy.cookies.has(name)) {
            cookies.entry(name.clone()).or_default().push(value.clone());
        }
        let kept = attributes(policy, "shop.example", &self.path);
        (kept.path.as_str().to_owned(), fields, cookies.into_iter().collect())
    }
}

prop_compose! {
    fn sent()(
        path in "/[ab]{0,2}",
        query in proptest::option::of("([ab]=[12]{0,2}&){0,2}[ab]?"),
        fields in proptest::collection::vec(("x-[ab]", "[12]{0,2}"), 0..4),
        cookies in proptest::collection::vec(("[ab]{1,2}", "[12]{0,2}"), 0..4),
    ) -> Sent {
        let path = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        Sent { path, fields, cookies }
    }
}

fn selection() -> impl Strategy<Value = Names> {
    let names = proptest::collection::vec("[ab]", 1..3);
    prop_oneof![
        Just(Names::None),
        Just(Names::All),
        names.clone().prop_map(Names::Whitelist),
        names.prop_map(Names::AllExcept),
    ]
}

prop_compose! {
    fn policy()(
        query_strings in selection(),
        cookies in selection(),
        is_sorted in any::<bool>(),
        headers in proptest::collection::vec("x-[ab]", 0..3),
    ) -> CachePolicy {
        let query_string_order =
            if is_sorted { QueryOrder::Normalised } else { QueryOrder::Kept };
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let headers = KeyHeaders::Whitelist(names(&headers));
        CachePolicy {
            query_strings,
            cookies,
            query_string_order,
            headers,
            ..CachePolicy::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn requests_share_a_key_if_and_only_if_the_policy_sees_no_difference(
        policy in policy(),
        one in sent(),
        two in sent(),
    ) {
        let same = one.plain(&policy) == two.plain(&policy);
        let keys = [&one, &two].map(|sent| under(&policy, &sent.path, &sent.headers()));
        prop_assert_eq!(keys[0] == keys[1], same);
    }

    #[test]
    fn a_tier_above_finds_the_same_key_from_what_it_is_sent(policy in policy(), sent in sent()) {
        let behavior = CacheBehavior {
            cache_policy: policy.clone(),
            origin_request_policy: crate::forward::strictest(),
            ..CacheBehavior::to_origin("main")
        };
        let kept = attributes(&policy, "shop.example", &sent.path);
        let mut headers = fields(&sent.headers());
        let at_the_edge = key(&behavior, &kept, &headers);
        forwarded_headers(&behavior, &mut headers);
        prop_assert_eq!(key(&behavior, &kept, &headers), at_the_edge);
        let again = kept_path(&policy, &kept.path).unwrap_or(kept.path.clone());
        prop_assert_eq!(again, kept.path);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        path in "/[ -~]{0,40}",
        value in proptest::collection::vec(32_u8.., 0..60),
    ) {
        let policy = CachePolicy {
            cookies: Names::AllExcept(listed(&["a"])),
            query_strings: Names::AllExcept(listed(&["a"])),
            enable_accept_encoding_gzip: true,
            ..CachePolicy::default()
        };
        let mut headers = HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(&value) {
            for name in [COOKIE, ACCEPT_ENCODING, USER_AGENT, ORIGIN, PRAGMA] {
                headers.insert(name, value.clone());
            }
        }
        let behavior =
            CacheBehavior { cache_policy: policy.clone(), ..CacheBehavior::to_origin("main") };
        if let Ok(path) = Path::parse(&path) {
            let path = kept_path(&policy, &path).unwrap_or(path);
            let kept = Attributes { path, ..attributes(&policy, "shop.example", "/") };
            key(&behavior, &kept, &headers);
            forwarded_target(&behavior, &kept.path);
            derive(&behavior, None, &mut headers);
            Asked::of(&Method::OPTIONS, &headers);
            forwarded_headers(&behavior, &mut headers);
        }
    }
}
