//! Whether the parts of a distribution fit together: what one type alone cannot say. The first
//! misfit is named by its key, with what was expected.

use super::{Distribution, Misfit};
use crate::behavior::{CacheBehavior, Methods};
use crate::error_page::{CustomErrorResponse, ERROR_CODES};
use crate::field::FieldName;
use crate::limits::{
    ALIASES_MAX, BEHAVIORS_MAX, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, ORIGINS_MAX,
    POLICY_NAMES_BYTES_MAX, POLICY_NAMES_MAX, REQUEST_BODY_BYTES_MAX,
};
use crate::origin::Origin;
use crate::policy::origin_request::ForwardedHeaders;
use crate::policy::response_headers::ResponseHeadersPolicy;
use crate::policy::{CachePolicy, DERIVED_HEADERS, KeyHeaders, Names};
use crate::url::Host;

/// What a response headers policy cannot take away, set or replace: the message would not hold
/// together, or a viewer could not tell what happened.
const OURS: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "cache-status",
];

/// What every key has already, or must never have.
const NOT_IN_A_KEY: [&str; 12] = [
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "range",
    "transfer-encoding",
    "x-forwarded-for",
];

fn misfit(key: impl Into<String>, problem: impl Into<String>) -> Result<(), Misfit> {
    Err(Misfit { key: key.into(), problem: problem.into() })
}

pub(super) fn distribution(given: &Distribution) -> Result<(), Misfit> {
    aliases(&given.aliases)?;
    origins(&given.origins)?;
    behavior("default_cache_behavior", given, &given.default_cache_behavior)?;
    if given.default_cache_behavior.path_pattern.is_some() {
        let problem = "the default behavior covers what is left, expected no pattern";
        return misfit("default_cache_behavior.path_pattern", problem);
    }
    count("cache_behaviors", given.cache_behaviors.len(), BEHAVIORS_MAX)?;
    for (at, one) in given.cache_behaviors.iter().enumerate() {
        let key = format!("cache_behaviors[{at}]");
        behavior(&key, given, one)?;
        let Some(pattern) = &one.path_pattern else {
            return misfit(format!("{key}.path_pattern"), "missing, expected one such as /img/*");
        };
        let earlier = given.cache_behaviors[..at].iter();
        if earlier.filter_map(|one| one.path_pattern.as_ref()).any(|known| known == pattern) {
            let problem = format!("\"{}\" is used twice", pattern.as_str());
            return misfit(format!("{key}.path_pattern"), problem);
        }
    }
    for (at, one) in given.custom_error_responses.iter().enumerate() {
        let earlier = &given.custom_error_responses[..at];
        error_response(&format!("custom_error_responses[{at}]"), one, earlier)?;
    }
    let (bytes, fields) = (HEADER_BYTES_MAX as u32, HEADER_FIELDS_MAX as u32);
    within("limits.header_bytes_max", given.limits.header_bytes_max, 1_024, bytes)?;
    within("limits.header_fields_max", given.limits.header_fields_max, 8, fields)
}

fn aliases(aliases: &[Host]) -> Result<(), Misfit> {
    if aliases.is_empty() || aliases.len() > ALIASES_MAX {
        let problem = format!("{} given, expected 1 to {ALIASES_MAX}", aliases.len());
        return misfit("aliases", problem);
    }
    for (at, alias) in aliases.iter().enumerate() {
        let starred = alias.as_str().strip_prefix('*').unwrap_or(alias.as_str());
        let whole_label =
            starred.len() == alias.as_str().len() || starred.is_empty() || starred.starts_with('.');
        if starred.contains('*') || !whole_label {
            let problem = format!("\"{alias}\": * may only stand for the whole first label");
            return misfit(format!("aliases[{at}]"), problem);
        }
    }
    Ok(())
}

fn origins(origins: &[Origin]) -> Result<(), Misfit> {
    if origins.is_empty() || origins.len() > ORIGINS_MAX {
        let problem = format!("{} given, expected 1 to {ORIGINS_MAX}", origins.len());
        return misfit("origins", problem);
    }
    for (at, one) in origins.iter().enumerate() {
        if origins[..at].iter().any(|earlier| earlier.id == one.id) {
            return misfit(format!("origins[{at}].id"), format!("\"{}\" is used twice", one.id));
        }
        origin(&format!("origins[{at}]"), one)?;
    }
    Ok(())
}

fn origin(at: &str, origin: &Origin) -> Result<(), Misfit> {
    let ranges = [
        ("connection_timeout_seconds", origin.connection_timeout_seconds, 1, 10),
        ("response_timeout_seconds", origin.response_timeout_seconds, 1, 120),
        ("keepalive_timeout_seconds", origin.keepalive_timeout_seconds, 1, 120),
        ("connections_max", origin.connections_max, 1, 100_000),
    ];
    for (key, value, low, high) in ranges {
        within(&format!("{at}.{key}"), value, low, high)?;
    }
    if Host::parse(&origin.domain_name).is_err() || origin.domain_name.contains('*') {
        let name = &origin.domain_name;
        let problem = format!("\"{name}\" is no host name or address; the port has its own key");
        return misfit(format!("{at}.domain_name"), problem);
    }
    Ok(())
}

fn behavior(at: &str, whole: &Distribution, given: &CacheBehavior) -> Result<(), Misfit> {
    if whole.origin_of(given).is_none() {
        let wanted = &given.target_origin_id;
        let known: Vec<&str> = whole.origins.iter().map(|origin| origin.id.as_str()).collect();
        let known = known.join(", ");
        let problem = format!("\"{wanted}\" is no origin's id, expected one of: {known}");
        return misfit(format!("{at}.target_origin_id"), problem);
    }
    if given.cached_methods != Methods::Reading {
        let problem =
            "expected [\"GET\", \"HEAD\"]: no other answers are cacheable (RFC 9110 §9.3)";
        return misfit(format!("{at}.cached_methods"), problem);
    }
    cache_policy(&format!("{at}.cache_policy"), &given.cache_policy)?;
    let request = &given.origin_request_policy;
    let key = format!("{at}.origin_request_policy");
    names(&format!("{key}.query_strings"), &request.query_strings)?;
    names(&format!("{key}.cookies"), &request.cookies)?;
    fields(&format!("{key}.headers"), request.headers.listed())?;
    match &request.headers {
        ForwardedHeaders::Whitelist(listed) | ForwardedHeaders::AllViewerAndDerived(listed) => {
            derived_are_known(&format!("{key}.headers"), listed)?;
        }
        ForwardedHeaders::None | ForwardedHeaders::AllViewer | ForwardedHeaders::AllExcept(_) => {}
    }
    if request.body_bytes_max > REQUEST_BODY_BYTES_MAX {
        let problem =
            format!("{} given, expected at most {REQUEST_BODY_BYTES_MAX}", request.body_bytes_max);
        return misfit(format!("{key}.body_bytes_max"), problem);
    }
    response_headers(&format!("{at}.response_headers_policy"), &given.response_headers_policy)
}

fn cache_policy(at: &str, policy: &CachePolicy) -> Result<(), Misfit> {
    if policy.min_ttl_seconds > policy.max_ttl_seconds {
        let (low, high) = (policy.min_ttl_seconds, policy.max_ttl_seconds);
        let problem = format!("{low} is more than max_ttl_seconds, {high}");
        return misfit(format!("{at}.min_ttl_seconds"), problem);
    }
    fields(&format!("{at}.cache_control_targets"), &policy.cache_control_targets)?;
    names(&format!("{at}.query_strings"), &policy.query_strings)?;
    names(&format!("{at}.cookies"), &policy.cookies)?;
    let KeyHeaders::Whitelist(listed) = &policy.headers else { return Ok(()) };
    let key = format!("{at}.headers");
    fields(&key, listed)?;
    derived_are_known(&key, listed)?;
    let refused = |name: &&FieldName| {
        let is_normalised =
            name.as_str() == "accept-encoding" && policy.normalises_accept_encoding();
        is_normalised || NOT_IN_A_KEY.contains(&name.as_str())
    };
    match listed.iter().find(refused) {
        Some(name) => misfit(key, format!("\"{name}\" cannot be in the list: see docs/caching.md")),
        None => Ok(()),
    }
}

fn response_headers(at: &str, policy: &ResponseHeadersPolicy) -> Result<(), Misfit> {
    let set = policy.custom_headers.iter().map(|custom| &custom.header);
    let key = format!("{at}.custom_headers");
    count(&key, policy.custom_headers.len(), POLICY_NAMES_MAX)?;
    if let Some(name) = set.clone().find(|name| OURS.contains(&name.as_str())) {
        return misfit(key, format!("\"{name}\" is for us to say"));
    }
    let key = format!("{at}.remove_headers");
    fields(&key, &policy.remove_headers)?;
    if let Some(name) = policy.remove_headers.iter().find(|name| OURS.contains(&name.as_str())) {
        return misfit(key, format!("\"{name}\" cannot be taken away"));
    }
    if let Some(xss) = &policy.security_headers.xss_protection
        && xss.mode_block
        && xss.report_uri.is_some()
    {
        let key = format!("{at}.security_headers.xss_protection.report_uri");
        return misfit(key, "expected none beside mode_block");
    }
    let Some(cors) = &policy.cors else { return Ok(()) };
    let lists = [
        ("allow_origins", &cors.allow_origins),
        ("allow_methods", &cors.allow_methods),
        ("allow_headers", &cors.allow_headers),
        ("expose_headers", &cors.expose_headers),
    ];
    for (name, list) in lists {
        count(&format!("{at}.cors.{name}"), list.len(), POLICY_NAMES_MAX)?;
    }
    if cors.allow_origins.is_empty() {
        return misfit(format!("{at}.cors.allow_origins"), "none given, expected \"*\" or some");
    }
    let is_any = |list: &[crate::FieldValue]| list.iter().any(|value| value.as_str() == "*");
    for (name, list) in lists {
        if cors.allow_credentials && is_any(list) && name != "allow_methods" {
            let problem = "expected no \"*\" beside allow_credentials: browsers refuse that";
            return misfit(format!("{at}.cors.{name}"), problem);
        }
    }
    Ok(())
}

fn error_response(
    at: &str,
    given: &CustomErrorResponse,
    earlier: &[CustomErrorResponse],
) -> Result<(), Misfit> {
    let code = given.error_code;
    if !ERROR_CODES.contains(&code) {
        let known = ERROR_CODES.map(|code| code.to_string()).join(", ");
        return misfit(format!("{at}.error_code"), format!("{code}, expected one of: {known}"));
    }
    if earlier.iter().any(|known| known.error_code == code) {
        return misfit(format!("{at}.error_code"), format!("{code} is used twice"));
    }
    match (&given.response_page_path, given.response_code) {
        (Some(_), Some(status)) => {
            within(&format!("{at}.response_code"), u32::from(status), 200, 599)
        }
        (None, None) => Ok(()),
        (Some(_), None) => misfit(format!("{at}.response_code"), "missing beside the page"),
        (None, Some(_)) => misfit(format!("{at}.response_page_path"), "missing beside the code"),
    }
}

fn names(key: &str, names: &Names) -> Result<(), Misfit> {
    let listed = names.listed();
    let is_list = matches!(names, Names::Whitelist(_) | Names::AllExcept(_));
    if is_list && listed.is_empty() {
        return misfit(key, "an empty list, expected \"none\" or \"all\" instead");
    }
    count(key, listed.len(), POLICY_NAMES_MAX)?;
    bytes(key, listed.iter().map(String::len).sum())
}

fn fields(key: &str, listed: &[FieldName]) -> Result<(), Misfit> {
    count(key, listed.len(), POLICY_NAMES_MAX)?;
    bytes(key, listed.iter().map(|name| name.as_str().len()).sum())
}

fn derived_are_known(key: &str, listed: &[FieldName]) -> Result<(), Misfit> {
    let is_ours = |name: &&FieldName| name.as_str().starts_with("cloudfront-");
    let mut ours = listed.iter().filter(is_ours);
    match ours.find(|name| !DERIVED_HEADERS.contains(&name.as_str())) {
        Some(name) => {
            let known = DERIVED_HEADERS.join(", ");
            misfit(key, format!("\"{name}\" is not derived here, expected one of: {known}"))
        }
        None => Ok(()),
    }
}

fn count(key: &str, given: usize, max: usize) -> Result<(), Misfit> {
    match given <= max {
        true => Ok(()),
        false => misfit(key, format!("{given} given, expected at most {max}")),
    }
}

fn bytes(key: &str, given: usize) -> Result<(), Misfit> {
    match given <= POLICY_NAMES_BYTES_MAX {
        true => Ok(()),
        false => {
            let max = POLICY_NAMES_BYTES_MAX;
            misfit(key, format!("names of {given} bytes, expected at most {max} together"))
        }
    }
}

fn within(key: &str, value: u32, low: u32, high: u32) -> Result<(), Misfit> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => misfit(key, format!("{value} given, expected {low} to {high}")),
    }
}

#[cfg(test)]
mod tests;
