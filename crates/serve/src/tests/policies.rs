//! A distribution's policies in the whole mesh: which behavior covers a path, what is one object,
//! what the origin gets, what viewers get.

use http::Method;
use model::behavior::{Methods, PathPattern, ViewerProtocolPolicy};
use model::policy::origin_request::ForwardedHeaders;
use model::policy::response_headers::{Cors, CustomHeader, Percent, ServerTiming};
use model::policy::{KeyHeaders, Names, QueryOrder};
use model::{CacheBehavior, CachePolicy, Distribution, FieldName, FieldValue};

use super::origin::Reply;
use super::viewer::Ask;
use super::world::Lab;
use crate::{Body, OriginError};

const FRESH: &str = "cache-control:max-age=60";

fn names(given: &[&str]) -> Vec<FieldName> {
    given.iter().map(|name| FieldName::parse(name).unwrap()).collect()
}

fn listed(given: &[&str]) -> Vec<String> {
    given.iter().map(|name| (*name).to_owned()).collect()
}

fn dead() -> OriginError {
    OriginError::Unreachable("refused".into())
}

/// Three tiers whose only behavior has that cache policy.
fn keyed_by(policy: CachePolicy) -> Lab {
    let lab = Lab::three_tiers();
    lab.configure(|shop| shop.default_cache_behavior.cache_policy = policy);
    lab
}

/// The origin counts its answers to `target`.
fn counts(lab: &Lab, target: &str) {
    lab.origin.by(target, |seen| Reply::new(FRESH, &seen.earlier.to_string()));
}

#[test]
fn query_strings_outside_the_key_share_one_object_in_every_tier() {
    let lab = keyed_by(CachePolicy {
        query_strings: Names::Whitelist(listed(&["page"])),
        ..CachePolicy::default()
    });
    for target in ["/a?utm=1&page=2", "/a?page=2&utm=2", "/a?page=3"] {
        counts(&lab, target);
    }
    assert_eq!(lab.get("e1", "/a?utm=1&page=2").answer(), (200, "0".into()));
    let again = lab.get("e1", "/a?page=2&utm=2");
    assert_eq!((again.body(), again.header("x-cache")), ("0".into(), "Hit from shoal".into()));
    assert_eq!(lab.get("e1", "/a?page=3").body(), "1");
    assert_eq!(lab.origin.seen()[0].target, "/a?utm=1&page=2", "the origin gets all of it");
}

#[test]
fn a_normalised_order_is_what_the_origin_gets_too() {
    let lab = keyed_by(CachePolicy {
        query_string_order: QueryOrder::Normalised,
        ..CachePolicy::default()
    });
    counts(&lab, "/a?a=1&b=2");
    assert_eq!(lab.get("e1", "/a?b=2&a=1").body(), "0");
    assert_eq!(lab.get("e1", "/a?a=1&b=2").body(), "0");
}

#[test]
fn fields_and_cookies_in_the_key_split_it_in_every_tier_and_reach_the_origin() {
    let lab = Lab::three_tiers();
    lab.configure(|shop| {
        let behavior = &mut shop.default_cache_behavior;
        behavior.cache_policy.headers = KeyHeaders::Whitelist(names(&["X-Lang"]));
        behavior.cache_policy.cookies = Names::Whitelist(listed(&["plan"]));
        behavior.origin_request_policy.headers = ForwardedHeaders::None;
        behavior.origin_request_policy.cookies = Names::None;
    });
    counts(&lab, "/a");
    let ask = |lines: &str| lab.ask("e1", Ask::get("/a").with(lines)).body();
    assert_eq!(ask("x-lang:de|cookie:plan=1; id=7|x-other:1"), "0");
    assert_eq!(ask("x-lang:de|cookie:id=8; plan=1|accept:x"), "0", "the rest is not in the key");
    assert_eq!(ask("x-lang:fr|cookie:plan=1"), "1");
    assert_eq!(ask("x-lang:de|cookie:plan=2"), "2");
    let [first, ..] = &lab.origin.seen()[..] else { panic!("three requests") };
    assert_eq!((first.from.as_str(), &first.headers["cookie"]), ("s1", &"plan=1".parse().unwrap()));
    assert_eq!(first.headers["x-lang"], "de");
    assert!(!first.headers.contains_key("x-other"), "what is in neither policy is not sent");
}

#[test]
fn codings_that_a_policy_enables_are_all_that_tells_accept_encodings_apart() {
    let lab = keyed_by(CachePolicy {
        enable_accept_encoding_gzip: true,
        enable_accept_encoding_brotli: true,
        ..CachePolicy::default()
    });
    lab.origin.by("/a", |seen| {
        let asked = seen.headers.get("accept-encoding").map_or("", |it| it.to_str().unwrap());
        Reply::new("cache-control:max-age=60|vary:accept-encoding", asked)
    });
    let ask = |lines: &str| lab.ask("e1", Ask::get("/a").with(lines)).body();
    assert_eq!(ask("accept-encoding:gzip, deflate, br"), "br, gzip");
    assert_eq!(ask("accept-encoding:br;q=1.0, gzip;q=0.8, *;q=0.1"), "br, gzip");
    assert_eq!(lab.origin.count(), 1);
    assert_eq!(ask("accept-encoding:gzip"), "gzip");
    assert_eq!(ask("accept-encoding:zstd"), "identity");
}

#[test]
fn a_viewers_device_is_in_the_key_and_never_what_it_claims() {
    let lab = keyed_by(CachePolicy {
        headers: KeyHeaders::Whitelist(names(&["CloudFront-Is-Mobile-Viewer"])),
        ..CachePolicy::default()
    });
    lab.origin.by("/a", |seen| {
        let is_mobile = seen.headers["cloudfront-is-mobile-viewer"].to_str().unwrap();
        Reply::new(FRESH, is_mobile)
    });
    let ask = |lines: &str| lab.ask("e1", Ask::get("/a").with(lines)).body();
    assert_eq!(ask("user-agent:Mozilla/5.0 (iPhone) Mobile/15E148"), "true");
    assert_eq!(ask("user-agent:curl/8|cloudfront-is-mobile-viewer:true"), "false");
    assert_eq!(ask("user-agent:Mozilla/5.0 (X11; Linux) Firefox/127"), "false");
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn a_purge_of_the_url_that_was_asked_for_covers_what_is_kept_under_another() {
    let lab = keyed_by(CachePolicy { query_strings: Names::None, ..CachePolicy::default() });
    counts(&lab, "/a?utm=1");
    counts(&lab, "/a");
    for (purge, served_before) in [("/a?utm=1", "0"), ("/a", "1"), ("/a?utm=*", "2")] {
        assert_eq!(lab.get("e1", "/a?utm=1").body(), served_before, "before {purge}");
        lab.purge(purge);
    }
    assert_eq!(lab.get("e1", "/a?utm=1").body(), "3");
}

#[test]
fn the_first_pattern_that_matches_decides_methods_origin_and_key() {
    let lab = Lab::three_tiers();
    let path_pattern = |pattern| Some(PathPattern::parse(pattern).unwrap());
    lab.configure(|shop| {
        let mut api = CacheBehavior::to_origin("main");
        api.path_pattern = path_pattern("/api/*");
        api.cache_policy.query_strings = Names::None;
        let mut files = CacheBehavior::to_origin("main");
        files.path_pattern = path_pattern("*.txt");
        files.allowed_methods = Methods::Reading;
        shop.cache_behaviors = vec![api, files];
    });
    for target in ["/api/a.txt?x", "/b.txt?x", "/b.txt?y"] {
        counts(&lab, target);
    }
    assert_eq!(lab.get("e1", "/api/a.txt?x").body(), "0");
    assert_eq!(lab.get("e1", "/x/../api/a.t%78t?y").body(), "0", "no spelling slips past it");
    assert_eq!(lab.get("e1", "/b.txt?x").body(), "1");
    assert_eq!(lab.get("e1", "/b.txt?y").body(), "2");
    let post = |target| lab.ask("e1", Ask::with_method(Method::POST, target));
    let refused = post("/b.txt?x");
    assert_eq!((refused.status(), refused.header("allow")), (405, "GET, HEAD".into()));
    assert_eq!(post("/api/a.txt?x").status(), 200);
}

#[test]
fn viewers_in_the_clear_are_sent_to_https_or_away() {
    let lab = Lab::three_tiers();
    let with = |policy| {
        lab.configure(|shop| shop.default_cache_behavior.viewer_protocol_policy = policy);
    };
    with(ViewerProtocolPolicy::RedirectToHttps);
    let sent = lab.get("e1", "/a/../b?c");
    assert_eq!((sent.status(), sent.header("location")), (301, "https://shop.example/b?c".into()));
    assert_eq!(lab.ask("e1", Ask::with_method(Method::POST, "/b")).status(), 307);
    with(ViewerProtocolPolicy::HttpsOnly);
    assert_eq!(lab.get("e1", "/b").status(), 403);
    assert_eq!(lab.origin.count(), 0);
}

#[test]
fn the_root_object_is_one_object_with_its_own_path() {
    let lab = Lab::three_tiers();
    lab.configure(|shop| {
        shop.default_root_object = Some("index.html".to_owned().try_into().unwrap());
    });
    counts(&lab, "/index.html");
    counts(&lab, "/dir/");
    assert_eq!(lab.get("e1", "/").body(), "0");
    assert_eq!(lab.get("e1", "/index.html").body(), "0");
    assert_eq!(lab.get("e1", "/dir/").body(), "1");
    lab.purge("/index.html");
    assert_eq!(lab.get("e1", "/").body(), "2");
    lab.purge("/");
    assert_eq!(lab.get("e1", "/").body(), "3");
}

#[test]
fn merged_slashes_are_merged_for_origin_key_and_purges() {
    let lab = Lab::three_tiers();
    lab.configure(|shop| shop.merge_slashes = true);
    counts(&lab, "/a/b");
    assert_eq!(lab.get("e1", "/a//b").body(), "0");
    assert_eq!(lab.get("e1", "//a/b").body(), "0");
    lab.purge("/a//b");
    assert_eq!(lab.get("e1", "/a/b").body(), "1");
}

#[test]
fn responses_are_dressed_at_the_edge_whatever_their_way() {
    let lab = Lab::three_tiers();
    let custom = |header: &str, value: &str| CustomHeader {
        header: FieldName::parse(header).unwrap(),
        value: FieldValue::parse(value).unwrap(),
        wins: true,
    };
    let dress = |shop: &mut Distribution| {
        let policy = &mut shop.default_cache_behavior.response_headers_policy;
        policy.remove_headers = names(&["x-powered-by"]);
        policy.custom_headers = vec![custom("x-shop", "1")];
        policy.cors = Some(Cors {
            allow_origins: vec![FieldValue::parse("https://*.example").unwrap()],
            allow_methods: Vec::new(),
            allow_headers: Vec::new(),
            expose_headers: Vec::new(),
            allow_credentials: false,
            max_age_seconds: 60,
            origin_override: true,
        });
    };
    lab.configure(dress);
    lab.origin.on("/a", Reply::new("cache-control:max-age=60|x-powered-by:x|etag:\"1\"", "a"));
    lab.origin.on("/lost", Reply::failure(dead()));
    let ask = |method, target: &str, lines: &str| {
        lab.ask("e1", Ask::with_method(method, target).with(lines))
    };
    let origin = "origin:https://app.example";
    for (viewer, status) in [
        (ask(Method::GET, "/a", origin), 200),
        (ask(Method::GET, "/a", origin), 200),
        (ask(Method::HEAD, "/a", origin), 200),
        (ask(Method::POST, "/a", origin), 200),
        (ask(Method::GET, "/a", &format!("{origin}|if-none-match:\"1\"")), 304),
        (ask(Method::GET, "/lost", origin), 502),
    ] {
        assert_eq!((viewer.status(), viewer.header("x-shop")), (status, "1".into()));
        assert_eq!(viewer.header("x-powered-by"), "");
        assert_eq!(viewer.header("access-control-allow-origin"), "https://app.example");
    }
    let other = ask(Method::GET, "/a", "origin:https://app.other");
    assert_eq!(other.header("access-control-allow-origin"), "");
    assert_eq!(other.header("vary"), "Origin");
}

#[test]
fn server_timing_tells_what_the_cache_did() {
    let lab = Lab::three_tiers();
    lab.configure(|shop| {
        let sampling_rate = Percent::try_from(100.0).unwrap();
        shop.default_cache_behavior.response_headers_policy.server_timing =
            Some(ServerTiming { sampling_rate });
    });
    counts(&lab, "/a");
    let told = || lab.get("e1", "/a").header("server-timing");
    let miss = told();
    assert!(miss.starts_with("cdn-cache-miss, cdn-pop;desc=\"e1\""), "{miss}");
    assert!(miss.contains("cdn-upstream-layer;desc=\"REC\""), "{miss}");
    let hit = told();
    assert!(hit.starts_with("cdn-cache-hit, cdn-hit-layer;desc=\"EDGE\""), "{hit}");
}

#[test]
fn what_a_policy_limits_is_refused_with_its_own_status_and_never_kept() {
    let lab = Lab::three_tiers();
    lab.configure(|shop| {
        shop.limits.header_fields_max = 8;
        shop.default_cache_behavior.origin_request_policy.body_bytes_max = 3;
    });
    counts(&lab, "/a");
    let many: Vec<String> = (0..9).map(|at| format!("x-{at}:1")).collect();
    assert_eq!(lab.ask("e1", Ask::get("/a").with(&many.join("|"))).status(), 431);
    let post = |text: &'static str| {
        let body = Body::from_bytes(bytes::Bytes::from_static(text.as_bytes()));
        lab.ask("e1", Ask::with_method(Method::POST, "/a").body(body)).status()
    };
    assert_eq!((post("abcd"), post("abc")), (413, 200));
    assert_eq!(lab.get("e1", "/a").status(), 200, "none of the errors was kept");
    assert_eq!(lab.origin.count(), 2);
}

#[test]
fn cookies_in_the_key_make_what_they_shape_storable() {
    let lab = keyed_by(CachePolicy {
        cookies: Names::All,
        headers: KeyHeaders::Whitelist(names(&["authorization"])),
        ..CachePolicy::default()
    });
    lab.origin.by("/a", |seen| {
        let cookie = seen.headers["cookie"].to_str().unwrap();
        Reply::new("", &format!("{cookie} {}", seen.earlier))
    });
    let ask = |lines: &str| lab.ask("e1", Ask::get("/a").with(lines)).body();
    assert_eq!(ask("cookie:a=1|authorization:x"), "a=1 0");
    assert_eq!(ask("cookie:a=1|authorization:x"), "a=1 0");
    assert_eq!(ask("cookie:a=1|authorization:y"), "a=1 1");
    assert_eq!(ask("cookie:a=2|authorization:x"), "a=2 2");
}
