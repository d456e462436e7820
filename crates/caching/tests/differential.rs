//! Against `http-cache-semantics`: every combination of some requests, responses and times, decided
//! by both. Where they differ, the table says who is right by which section, and each of its lines
//! must be needed.
//!
//! What is compared is what matters: whether the second request is answered without asking the
//! origin.

use std::time::{Duration, SystemTime};

use caching::{Plan, RequestDirectives, Rules, Stored, Validators, Validity, Vary};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy as TheirPolicy};
use model::{CacheKey, CachePolicy};

const NOON: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:27 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const LAST_WEEK: &str = "Sun, 30 Oct 1994 08:49:37 GMT";

const FIRST: [&str; 5] =
    ["", "authorization:Basic eDp5", "cache-control:no-store", "cookie:a=b", "a:1"];
const STATUSES: [u16; 8] = [200, 204, 206, 299, 302, 404, 410, 503];
const SECOND: [&str; 12] = [
    "",
    "a:1",
    "authorization:Basic eDp5",
    "cache-control:no-cache",
    "cache-control:no-store",
    "cache-control:max-age=5",
    "cache-control:max-age=0",
    "cache-control:min-fresh=20",
    "cache-control:max-stale",
    "cache-control:max-stale=20",
    "cache-control:max-age=100, max-stale=100",
    "pragma:no-cache",
];
const ELAPSED: [u64; 5] = [0, 1, 45, 60, 75];
const RESPONSES: [&str; 48] = [
    "",
    "cache-control:max-age=60",
    "cache-control:max-age=0",
    "cache-control:s-maxage=60",
    "cache-control:s-maxage=60, max-age=0",
    "cache-control:s-maxage=0, max-age=60",
    "cache-control:public",
    "cache-control:public, max-age=60",
    "cache-control:private, max-age=60",
    "cache-control:no-store, max-age=60",
    "cache-control:no-cache, max-age=60",
    "cache-control:no-cache|etag:\"1\"",
    "cache-control:max-age=60, must-revalidate",
    "cache-control:max-age=60, proxy-revalidate",
    "cache-control:MAX-AGE=60, Foo=bar",
    "cache-control:max-age=\"60\"",
    "cache-control:max-age=60x",
    "cache-control:max-age=-60",
    "cache-control:max-age=60.0",
    "cache-control:max-age =60",
    "cache-control:max-age=60, max-age=30",
    "cache-control:max-age=30, max-age=60",
    "cache-control:max-age=60|cache-control:max-age=0",
    "cache-control:foo=\"a, max-age=60\"",
    "cache-control:foo=\"a, no-store\", max-age=60",
    "cache-control:no-cache=\"a\", max-age=60",
    "cache-control:private=\"a\", max-age=60",
    "cache-control:no-store, must-understand, max-age=60",
    "cache-control:max-age=30, stale-while-revalidate=30",
    "cache-control:max-age=30, stale-if-error=30",
    "cache-control:immutable",
    "cache-control:immutable, max-age=60",
    "cache-control:max-age=60|pragma:no-cache",
    "pragma:no-cache|expires:LATER|date:NOON",
    "expires:LATER|date:NOON",
    "expires:LATER",
    "expires:0|date:NOON",
    "expires:EARLIER|date:NOON",
    "cache-control:max-age=60|expires:EARLIER|date:NOON",
    "last-modified:LAST_WEEK|date:NOON",
    "last-modified:LAST_WEEK|date:NOON|cache-control:public",
    "cache-control:max-age=60|age:30",
    "cache-control:max-age=60|age:30, 0",
    "cache-control:max-age=60|age:x",
    "cache-control:max-age=60|date:EARLIER",
    "cache-control:max-age=60|set-cookie:a=b",
    "cache-control:max-age=60|vary:a",
    "cache-control:max-age=60|vary:*",
];

/// One combination.
#[derive(Clone, Copy, Debug)]
struct Case {
    first: &'static str,
    status: u16,
    response: &'static str,
    second: &'static str,
    elapsed: u64,
}

/// Where we and they part: what such cases have in common, and why ours is the verdict wanted.
type Difference = (&'static str, fn(&Case) -> bool);

const DIFFERENCES: [Difference; 18] = [
    ("RFC 9111 §5.2: no space belongs before the =, so it is no lifetime (§4.2.1)", |case| {
        case.response.contains("max-age =")
    }),
    ("RFC 9111 §5.2: the names of directives have no case", |case| {
        case.response.contains("MAX-AGE")
    }),
    (
        "RFC 9111 §3: an explicit lifetime makes any final status storable; they know a list",
        |case| matches!(case.status, 299 | 503),
    ),
    ("RFC 9111 §5.4: Pragma is deprecated and says nothing here", |case| {
        case.second.contains("pragma") || case.response.contains("pragma")
    }),
    ("RFC 9111 §5.2.2.8: proxy-revalidate forbids stale answers, not fresh ones", |case| {
        case.response.contains("proxy-revalidate")
    }),
    ("RFC 9111 §5.2.2.4, §5.2.2.7: a qualified directive is about the fields it names", |case| {
        case.response.contains("=\"a\"")
    }),
    ("RFC 9111 §5.2.2.3: must-understand replaces no-store", |case| {
        case.response.contains("must-understand")
    }),
    ("RFC 5861 §3: a stale copy is served while it is refreshed", |case| {
        case.response.contains("stale-while-revalidate")
    }),
    ("RFC 8246 §2: immutable is no lifetime", |case| case.response.contains("immutable")),
    ("RFC 9111 §4.2.1: of repeated directives the least counts; they take none", |case| {
        case.response.matches("max-age").count() > 1 && !case.response.contains("s-maxage")
    }),
    ("RFC 9111 §5.2: what stands inside a string is no directive", |case| {
        case.response.contains("foo=\"a")
    }),
    ("RFC 9111 §5.1: of several ages the first counts", |case| {
        case.response.contains("age:30, 0")
    }),
    ("RFC 9111 §4.2.3: Date tells an age too", |case| case.response.contains("date:EARLIER")),
    ("RFC 9111 §7.3 leaves it to us: a cookie is shared when its answer has a lifetime", |case| {
        case.response.contains("set-cookie")
    }),
    ("an answer that a cookie may have shaped is shared only with a lifetime of its own", |case| {
        case.first.contains("cookie")
    }),
    ("RFC 9111 §4.2.4: no viewer makes us serve what origins forbid to serve stale", |case| {
        let forbids = ["no-cache", "s-maxage"].iter().any(|word| case.response.contains(word));
        case.second.contains("max-stale") && forbids
    }),
    (
        "what is never fresh and has no validator is not kept for viewers who take it stale",
        |case| {
            let forbids =
                ["no-cache", "s-maxage=60"].iter().any(|word| case.response.contains(word));
            case.second.contains("max-stale") && !forbids
        },
    ),
    (
        "an error without a lifetime is kept for seconds, not for a tenth of its content's age",
        |case| matches!(case.status, 404 | 410) && case.response.contains("last-modified"),
    ),
];

fn fields(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split('|').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("the table is well-formed");
        let value = match value {
            "NOON" => NOON,
            "EARLIER" => EARLIER,
            "LATER" => LATER,
            "LAST_WEEK" => LAST_WEEK,
            other => other,
        };
        let name: HeaderName = name.parse().expect("the table is well-formed");
        headers.append(name, HeaderValue::from_str(value).expect("the table is well-formed"));
    }
    headers
}

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

/// Whether our cache answers the second request by itself.
fn ours(case: &Case) -> bool {
    let (first, second) = (fields(case.first), fields(case.second));
    let mut response = fields(case.response);
    caching::ensure_date(&mut response, noon());
    let policy = CachePolicy { default_ttl_seconds: 0, ..CachePolicy::default() };
    let status = StatusCode::from_u16(case.status).expect("the table is well-formed");
    let rules = Rules::of(&policy);
    let Ok(terms) = caching::storable(&Method::GET, &first, status, &response, &rules) else {
        return false;
    };
    if let Vary::Fields(names) = caching::vary(&response) {
        let key = |request| caching::variant_key(&CacheKey::of(&[]), &names, request);
        if key(&first) != key(&second) {
            return false;
        }
    }
    let initial = caching::initial_age(&response, noon(), Duration::ZERO);
    let stored = Stored {
        terms: &terms,
        age: initial + Duration::from_secs(case.elapsed),
        has_validator: !Validators::of(&response).is_none(),
        validity: Validity::Sound,
    };
    match caching::plan(&RequestDirectives::of(&second), Some(stored)) {
        Plan::Serve | Plan::ServeStale(_) => true,
        Plan::Revalidate(_) | Plan::Fetch(_) | Plan::Refuse => false,
    }
}

/// Whether theirs does.
fn theirs(case: &Case) -> bool {
    let request = |lines| {
        let mut request =
            Request::builder().uri("http://a.example/").body(()).expect("the table is well-formed");
        *request.headers_mut() = fields(lines);
        request
    };
    let mut response =
        Response::builder().status(case.status).body(()).expect("the table is well-formed");
    *response.headers_mut() = fields(case.response);
    let options = CacheOptions::default();
    let policy = TheirPolicy::new_options(&request(case.first), &response, noon(), options);
    let later = noon() + Duration::from_secs(case.elapsed);
    let answer = policy.before_request(&request(case.second), later);
    policy.is_storable() && matches!(answer, BeforeRequest::Fresh(_))
}

fn cases() -> impl Iterator<Item = Case> {
    FIRST.into_iter().flat_map(|first| {
        STATUSES.into_iter().flat_map(move |status| {
            RESPONSES.into_iter().flat_map(move |response| {
                SECOND.into_iter().flat_map(move |second| {
                    let case = move |elapsed| Case { first, status, response, second, elapsed };
                    ELAPSED.into_iter().map(case)
                })
            })
        })
    })
}

#[test]
fn where_we_differ_from_another_implementation_we_know_why() {
    let mut needed = [false; DIFFERENCES.len()];
    let (mut all, mut differing) = (0, 0);
    let mut unexplained = Vec::new();
    for case in cases() {
        all += 1;
        let (ours, theirs) = (ours(&case), theirs(&case));
        if ours == theirs {
            continue;
        }
        differing += 1;
        let explains = |(_, covers): &Difference| covers(&case);
        let covering: Vec<usize> =
            (0..DIFFERENCES.len()).filter(|at| explains(&DIFFERENCES[*at])).collect();
        match covering[..] {
            [] => unexplained.push((ours, case)),
            [only] => needed[only] = true,
            [..] => {}
        }
    }
    let shown = unexplained.iter().take(20).map(|(ours, case)| format!("we {ours}: {case:?}\n"));
    assert!(unexplained.is_empty(), "nobody knows why:\n{}", shown.collect::<String>());
    assert!(all > 100_000 && differing < all / 4, "{differing} of {all}");
    for ((reason, _), needed) in DIFFERENCES.iter().zip(needed) {
        assert!(needed, "nothing differs any more by this: {reason}");
    }
}
