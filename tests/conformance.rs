//! HTTP by the book: cases in files, played by a scripted origin and raw-socket viewers through one
//! node, and through three that are a tier each.
//!
//! `conformance/cases/THEME.toml` holds the cases of a theme, each a promise with the section that
//! makes it; there is a test for each theme. `SHOAL_CONFORMANCE_ONLY=words` plays only cases with
//! these words in their names, `SHOAL_CONFORMANCE_CASES=directory` plays other files.

pub(crate) mod template;
mod message;
mod fields;
pub(crate) mod case;
mod answer;
mod origin;
mod viewer;
mod verdict;
pub(crate) mod shapes;
pub(crate) mod run;

use std::collections::BTreeSet;

/// A test for each theme.
macro_rules! themes {
    ($($test:ident = $file:literal,)*) => {
        const THEMES: &[&str] = &[$($file),*];

        $(#[test]
        fn $test() {
            run::theme($file);
        })*
    };
}

themes! {
    freshness = "freshness",
    cache_control_parsing = "cache-control-parsing",
    request_directives = "request-directives",
    age = "age",
    expires = "expires",
    heuristics = "heuristics",
    cdn_cache_control = "cdn-cache-control",
    vary = "vary",
    validation_etag = "validation-etag",
    validation_last_modified = "validation-last-modified",
    head = "head",
    update_304 = "update-304",
    stale = "stale",
    invalidation = "invalidation",
    status_codes = "status-codes",
    authorization = "authorization",
    cookies = "cookies",
    ranges = "ranges",
    multi_ranges = "multi-ranges",
    partial = "partial",
    slices = "slices",
    conditional = "conditional",
    methods = "methods",
    hop_by_hop = "hop-by-hop",
    via = "via",
    cdn_loop = "cdn-loop",
    cache_status = "cache-status",
    cache_groups = "cache-groups",
    viewer_syntax = "viewer-syntax",
    origin_syntax = "origin-syntax",
    limits = "limits",
    interim = "interim",
    pragma = "pragma",
    must_understand = "must-understand",
    post = "post",
    post_then_get = "post-then-get",
    canonical_url = "canonical-url",
    collapsing = "collapsing",
    trailers = "trailers",
    ttl_policy = "ttl-policy",
    behaviors = "behaviors",
    key = "key",
    error_pages = "error-pages",
    response_headers = "response-headers",
    compression = "compression",
    origin_requests = "origin-requests",
    policies = "policies",
}

#[test]
fn every_file_of_cases_is_a_theme_and_every_case_a_promise_with_its_section() {
    let directory = case::directory();
    let files = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    let stem =
        |file: std::ffi::OsString| file.to_str().unwrap().strip_suffix(".toml").map(str::to_owned);
    for file in files.filter_map(stem) {
        assert!(THEMES.contains(&file.as_str()), "{file}.toml is played by no test");
    }
    for theme in THEMES {
        let mut names = BTreeSet::new();
        for case in case::read(&directory, theme).case {
            assert!(
                case.section.contains('§') || case.section.starts_with("polic"),
                "{theme}: {case:?}"
            );
            assert!(!case.steps.is_empty(), "{theme}: {case:?}");
            assert!(names.insert(case.name.clone()), "{theme}: {:?} stands twice", case.name);
        }
    }
}
