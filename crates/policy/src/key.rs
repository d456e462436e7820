//! The cache key: what tells two resources apart before `Vary` does.
//!
//! Distribution, host and canonical path always; of query, fields and cookies what the policy says;
//! `Accept-Encoding` reduced to what it enables. Never the scheme, never the method: only GET and
//! HEAD are answered from a cache. Every part is written with its place and its length, so no two
//! different lists of parts meet; the hash is too strong to aim at.
//!
//! The path that is kept is also what purges know an object by, beside the URL that is asked for.

use http::HeaderMap;
use model::key::{KeyHasher, Place};
use model::policy::Names;
use model::{Attributes, CacheBehavior, CacheKey, CachePolicy, Path};

use crate::cookies::{self, Cookie};
use crate::encoding::{self, Accepted};
use crate::query;

/// The key of what `kept` names and a request with these `headers` selects.
pub fn key(behavior: &CacheBehavior, kept: &Attributes, headers: &HeaderMap) -> CacheKey {
    let policy = &behavior.cache_policy;
    let mut hasher = KeyHasher::default();
    hasher.part(Place::Distribution, kept.distribution.as_str().as_bytes());
    hasher.part(Place::Host, kept.host.as_str().as_bytes());
    hasher.part(Place::Path, kept.path.as_str().as_bytes());
    let mut listed: Vec<_> = policy.headers.listed().iter().collect();
    listed.sort_by_key(|name| name.as_str());
    listed.dedup();
    for name in listed {
        // Each name opens a field, so that an absent one differs from an empty one, and two lines
        // from two fields.
        hasher.part(Place::FieldName, name.as_str().as_bytes());
        for value in headers.get_all(name.as_header()) {
            hasher.part(Place::FieldValue, value.as_bytes());
        }
    }
    if policy.cookies != Names::None {
        let selected = |cookie: &Cookie<'_>| cookies::is_selected(&policy.cookies, cookie);
        let mut found: Vec<Cookie<'_>> = cookies::all(headers).filter(selected).collect();
        found.sort_by(|one, two| one.name.cmp(two.name));
        for Cookie { name, value, .. } in found {
            hasher.part(Place::CookieName, name);
            hasher.part(Place::CookieValue, value);
        }
    }
    match encoding::accepted(policy, headers) {
        Accepted::These("identity") | Accepted::AsSent | Accepted::Absent => {}
        Accepted::These(codings) => hasher.part(Place::Codings, codings.as_bytes()),
    }
    hasher.finish()
}

/// The path under which an object is kept: with the part of the query that is in the key. Nothing
/// if that is all of it.
pub fn kept_path(policy: &CachePolicy, path: &Path) -> Option<Path> {
    let (names, order) = (&policy.query_strings, policy.query_string_order);
    if query::is_untouched(names, &Names::None, order) {
        return None;
    }
    let query = path.query()?;
    let selected = query::selected(query, names, &Names::None, order);
    Some(path.with_query(selected.as_deref()))
}

/// Whether nothing but the URL is in the keys of `behavior`.
pub fn is_by_url_alone(behavior: &CacheBehavior) -> bool {
    let policy = &behavior.cache_policy;
    let no_cookies = policy.cookies == Names::None;
    no_cookies && policy.headers.listed().is_empty() && !policy.normalises_accept_encoding()
}

#[cfg(test)]
mod tests;
