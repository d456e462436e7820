use super::*;
use crate::behavior::{Methods, PathPattern};
use crate::distribution::RequestLimits;
use crate::policy::response_headers::{Cors, CustomHeader, SecurityHeaders, XssProtection};
use crate::url::Path;
use crate::{FieldName, FieldValue};

fn shop() -> Distribution {
    Distribution {
        name: "shop".parse().unwrap(),
        aliases: vec![Host::parse("shop.example").unwrap()],
        origins: vec![Origin {
            id: "web".into(),
            domain_name: "origin.example".into(),
            http_port: 80,
            connection_timeout_seconds: 10,
            response_timeout_seconds: 30,
            keepalive_timeout_seconds: 5,
            connections_max: 16,
        }],
        default_cache_behavior: CacheBehavior::to_origin("web"),
        cache_behaviors: Vec::new(),
        custom_error_responses: Vec::new(),
        default_root_object: None,
        merge_slashes: false,
        limits: RequestLimits::default(),
        purging: crate::Purging::default(),
    }
}

/// What is said of the shop after `change`, which names `key`.
#[track_caller]
fn refuses(key: &str, change: impl FnOnce(&mut Distribution)) {
    let mut given = shop();
    change(&mut given);
    assert_eq!(given.check().expect_err(key).key, key);
}

fn covering(pattern: &str) -> CacheBehavior {
    let path_pattern = Some(PathPattern::parse(pattern).unwrap());
    CacheBehavior { path_pattern, ..CacheBehavior::to_origin("web") }
}

fn name(given: &str) -> FieldName {
    FieldName::parse(given).unwrap()
}

fn values(given: &[&str]) -> Vec<FieldValue> {
    given.iter().map(|value| FieldValue::parse(value).unwrap()).collect()
}

fn page(code: u16) -> CustomErrorResponse {
    CustomErrorResponse {
        error_code: code,
        response_page_path: Some(Path::parse("/sorry.html").unwrap()),
        response_code: Some(200),
        error_caching_min_ttl_seconds: 10,
    }
}

#[test]
fn a_distribution_with_every_default_fits() {
    assert_eq!(shop().check(), Ok(()));
}

#[test]
fn behaviors_have_each_a_pattern_of_their_own_and_the_default_has_none() {
    refuses("cache_behaviors[0].path_pattern", |shop| {
        shop.cache_behaviors = vec![CacheBehavior::to_origin("web")];
    });
    refuses("cache_behaviors[1].path_pattern", |shop| {
        shop.cache_behaviors = vec![covering("/a"), covering("/a")];
    });
    refuses("default_cache_behavior.path_pattern", |shop| {
        shop.default_cache_behavior = covering("*");
    });
    refuses("cache_behaviors[0].target_origin_id", |shop| {
        shop.cache_behaviors =
            vec![CacheBehavior { target_origin_id: "cgi".into(), ..covering("/a") }];
    });
    let many = |count: usize| (0..count).map(|at| covering(&format!("/{at}"))).collect();
    refuses("cache_behaviors", |shop| shop.cache_behaviors = many(BEHAVIORS_MAX + 1));
    let full = Distribution { cache_behaviors: many(BEHAVIORS_MAX), ..shop() };
    assert_eq!(full.check(), Ok(()));
}

#[test]
fn only_answers_to_get_and_head_are_kept() {
    // RFC 9110 §9.3.7: those to OPTIONS are not cacheable.
    let key = "default_cache_behavior.cached_methods";
    for methods in [Methods::ReadingAndOptions, Methods::All] {
        refuses(key, |shop| shop.default_cache_behavior.cached_methods = methods);
    }
}

#[test]
fn a_key_holds_no_field_that_is_there_already_or_that_we_do_not_derive() {
    let key = "default_cache_behavior.cache_policy.headers";
    for listed in ["Host", "Cookie", "If-None-Match", "CloudFront-Viewer-City"] {
        refuses(key, |shop| {
            let policy = &mut shop.default_cache_behavior.cache_policy;
            policy.headers = KeyHeaders::Whitelist(vec![name(listed)]);
        });
    }
    refuses(key, |shop| {
        let policy = &mut shop.default_cache_behavior.cache_policy;
        policy.headers = KeyHeaders::Whitelist(vec![name("accept-encoding")]);
        policy.enable_accept_encoding_gzip = true;
    });
    let mut fits = shop();
    let listed = DERIVED_HEADERS.map(name).to_vec();
    fits.default_cache_behavior.cache_policy.headers = KeyHeaders::Whitelist(listed);
    assert_eq!(fits.check(), Ok(()));
}

#[test]
fn lists_of_names_have_a_limit_and_are_not_empty() {
    let key = "default_cache_behavior.cache_policy.query_strings";
    let listed = |count: usize| Names::Whitelist((0..count).map(|at| at.to_string()).collect());
    for count in [0, POLICY_NAMES_MAX + 1] {
        refuses(key, |shop| {
            shop.default_cache_behavior.cache_policy.query_strings = listed(count);
        });
    }
    let mut fits = shop();
    fits.default_cache_behavior.cache_policy.query_strings = listed(POLICY_NAMES_MAX);
    assert_eq!(fits.check(), Ok(()));
    let bytes = |length| Names::AllExcept(vec!["x".repeat(length)]);
    refuses("default_cache_behavior.origin_request_policy.cookies", |shop| {
        let policy = &mut shop.default_cache_behavior.origin_request_policy;
        policy.cookies = bytes(POLICY_NAMES_BYTES_MAX + 1);
    });
}

#[test]
fn an_error_page_comes_with_its_status_once_per_error() {
    let key = |part: &str| format!("custom_error_responses[0].{part}");
    refuses(&key("error_code"), |shop| shop.custom_error_responses = vec![page(402)]);
    refuses("custom_error_responses[1].error_code", |shop| {
        shop.custom_error_responses = vec![page(404), page(404)];
    });
    refuses(&key("response_code"), |shop| {
        shop.custom_error_responses =
            vec![CustomErrorResponse { response_code: None, ..page(404) }];
    });
    refuses(&key("response_page_path"), |shop| {
        shop.custom_error_responses =
            vec![CustomErrorResponse { response_page_path: None, ..page(404) }];
    });
    refuses(&key("response_code"), |shop| {
        shop.custom_error_responses =
            vec![CustomErrorResponse { response_code: Some(600), ..page(404) }];
    });
    let fits = Distribution { custom_error_responses: ERROR_CODES.map(page).into(), ..shop() };
    assert_eq!(fits.check(), Ok(()));
}

#[test]
fn what_holds_a_message_together_is_neither_set_nor_removed() {
    let at = "default_cache_behavior.response_headers_policy";
    refuses(&format!("{at}.custom_headers"), |shop| {
        let header = name("Content-Length");
        let value = FieldValue::parse("1").unwrap();
        let custom = CustomHeader { header, value, wins: true };
        shop.default_cache_behavior.response_headers_policy.custom_headers = vec![custom];
    });
    refuses(&format!("{at}.remove_headers"), |shop| {
        let policy = &mut shop.default_cache_behavior.response_headers_policy;
        policy.remove_headers = vec![name("Via")];
    });
    refuses(&format!("{at}.security_headers.xss_protection.report_uri"), |shop| {
        let xss_protection = Some(XssProtection {
            protection: true,
            mode_block: true,
            report_uri: FieldValue::parse("/report").ok(),
            wins: false,
        });
        shop.default_cache_behavior.response_headers_policy.security_headers =
            SecurityHeaders { xss_protection, ..SecurityHeaders::default() };
    });
}

#[test]
fn credentials_are_not_for_every_origin() {
    let cors = |origins: &[&str], exposed: &[&str]| Cors {
        allow_origins: values(origins),
        allow_methods: values(&["ALL"]),
        allow_headers: Vec::new(),
        expose_headers: values(exposed),
        allow_credentials: true,
        max_age_seconds: 600,
        origin_override: true,
    };
    let at = "default_cache_behavior.response_headers_policy.cors";
    for (key, cors) in [
        ("allow_origins", cors(&["*"], &[])),
        ("expose_headers", cors(&["https://app.example"], &["*"])),
        ("allow_origins", cors(&[], &[])),
    ] {
        refuses(&format!("{at}.{key}"), |shop| {
            shop.default_cache_behavior.response_headers_policy.cors = Some(cors);
        });
    }
}

#[test]
fn limits_go_down_from_the_gateways() {
    refuses("limits.header_bytes_max", |shop| {
        shop.limits.header_bytes_max = HEADER_BYTES_MAX as u32 + 1;
    });
    refuses("limits.header_fields_max", |shop| {
        shop.limits.header_fields_max = HEADER_FIELDS_MAX as u32 + 1;
    });
    refuses("default_cache_behavior.origin_request_policy.body_bytes_max", |shop| {
        shop.default_cache_behavior.origin_request_policy.body_bytes_max =
            REQUEST_BODY_BYTES_MAX + 1;
    });
}
