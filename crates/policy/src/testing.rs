//! What this crate's tests are written with.

use http::{HeaderMap, HeaderName, HeaderValue};
use model::behavior::PathPattern;
use model::distribution::RequestLimits;
use model::{CacheBehavior, Distribution, FieldName, Host};

/// Fields from `name:value|name:value`.
pub(crate) fn fields(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split('|').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// A distribution whose default behavior goes to `main`.
pub(crate) fn distribution(cache_behaviors: Vec<CacheBehavior>) -> Distribution {
    Distribution {
        name: "shop".parse().unwrap(),
        aliases: vec![Host::parse("shop.example").unwrap()],
        origins: Vec::new(),
        default_cache_behavior: CacheBehavior::to_origin("main"),
        cache_behaviors,
        custom_error_responses: Vec::new(),
        default_root_object: None,
        merge_slashes: false,
        limits: RequestLimits::default(),
        purging: model::Purging::default(),
    }
}

/// A behavior for `pattern` with an origin of its own.
pub(crate) fn covering(pattern: &str, origin: &str) -> CacheBehavior {
    let path_pattern = Some(PathPattern::parse(pattern).unwrap());
    CacheBehavior { path_pattern, ..CacheBehavior::to_origin(origin) }
}

/// Field names.
pub(crate) fn names(given: &[&str]) -> Vec<FieldName> {
    given.iter().map(|name| FieldName::parse(name).unwrap()).collect()
}

/// Names of query strings or cookies.
pub(crate) fn listed(given: &[&str]) -> Vec<String> {
    given.iter().map(|name| (*name).to_owned()).collect()
}
