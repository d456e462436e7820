//! Cache directives for some caches only: `CDN-Cache-Control` and its like (RFC 9213).
//!
//! A targeted field is a structured field, read strictly. One that is malformed, empty, or gives a
//! known directive a value of another type says nothing, and the next one is asked, `Cache-Control`
//! last. One that says something replaces `Cache-Control` and `Expires` for all that is decided
//! here; it is passed on like any other field, for the caches further down.

use http::HeaderMap;
use http::header::HeaderName;
use model::FieldName;

use crate::directive::{CacheControl, Seconds};
use crate::sf::{self, Item};

/// The field for all CDNs (RFC 9213 §3.1).
pub static CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What the first of the fields called `targets` says that says something (§2.2).
pub(crate) fn control(response: &HeaderMap, targets: &[FieldName]) -> Option<CacheControl> {
    targets.iter().find_map(|name| {
        let members = sf::dictionary(&sf::joined(response, name.as_header())?)?;
        if members.is_empty() {
            return None;
        }
        let mut control = CacheControl { is_targeted: true, ..CacheControl::default() };
        for (directive, value) in &members {
            read(&mut control, directive, value)?;
        }
        Some(control)
    })
}

/// Notes one directive; none when its value has a type that it cannot have (§2.1).
fn read(control: &mut CacheControl, directive: &str, value: &Item) -> Option<()> {
    match directive {
        "no-store" => control.no_store = flag(value)?,
        "no-cache" => control.no_cache = qualified(control, value)?,
        "private" => control.private = qualified(control, value)?,
        "public" => control.public = flag(value)?,
        "must-revalidate" => control.must_revalidate = flag(value)?,
        "proxy-revalidate" => control.proxy_revalidate = flag(value)?,
        "must-understand" => control.must_understand = flag(value)?,
        "max-age" => control.max_age = Some(seconds(value)?),
        "s-maxage" => control.s_maxage = Some(seconds(value)?),
        "stale-while-revalidate" => control.stale_while_revalidate = Some(seconds(value)?),
        "stale-if-error" => control.stale_if_error = Some(seconds(value)?),
        _ => {}
    }
    Some(())
}

fn flag(value: &Item) -> Option<bool> {
    match value {
        Item::Boolean(given) => Some(*given),
        Item::Integer(_) | Item::Text(_) | Item::Other => None,
    }
}

/// Whether the directive is about the whole response; a string names fields instead.
fn qualified(control: &mut CacheControl, value: &Item) -> Option<bool> {
    match value {
        Item::Boolean(given) => Some(*given),
        Item::Text(names) => Some(!control.withholds(Some(names.as_bytes()))),
        Item::Integer(_) | Item::Other => None,
    }
}

fn seconds(value: &Item) -> Option<Seconds> {
    match value {
        Item::Integer(given) => Some(Seconds::of(*given)),
        Item::Text(_) | Item::Boolean(_) | Item::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    fn targets() -> [FieldName; 2] {
        ["Shoal-Cache-Control", "CDN-Cache-Control"].map(|name| FieldName::parse(name).unwrap())
    }

    fn said(lines: &str) -> CacheControl {
        CacheControl::of(&fields(lines), &targets())
    }

    fn lifetime(lines: &str) -> Option<Seconds> {
        said(lines).max_age
    }

    #[test]
    fn a_targeted_field_replaces_cache_control() {
        // RFC 9213 §2.2: other fields are not considered, even for what it does not mention.
        let control = said("cdn-cache-control:max-age=60|cache-control:no-store, s-maxage=5");
        assert!(control.is_targeted && !control.no_store && control.s_maxage.is_none());
        assert_eq!(control.max_age, Some(Seconds::of(60)));
        let control = said("cdn-cache-control:foo|cache-control:no-store, max-age=60");
        assert!(control.is_targeted && !control.no_store && control.max_age.is_none());
    }

    #[test]
    fn the_most_specific_field_that_says_something_is_heard() {
        // RFC 9213 §2.2: the first valid, non-empty field of the target list.
        let rest = "cdn-cache-control:max-age=2|cache-control:max-age=3";
        for (first, expect) in [
            ("shoal-cache-control:max-age=1", 1),
            ("shoal-cache-control:", 2),
            ("shoal-cache-control:  ", 2),
            ("shoal-cache-control:max-age=1,", 2),
            ("x:y", 2),
        ] {
            let found = lifetime(&format!("{first}|{rest}"));
            assert_eq!(found, Some(Seconds::of(expect)), "{first}");
        }
    }

    #[test]
    fn a_malformed_or_mistyped_field_is_ignored() {
        // RFC 9213 §2.1, RFC 9651 §4.2: strict parsing, no repair.
        for bad in [
            "max-age=10000, &&&&&",
            "max-age=\"10000\"",
            "max-age=1.5",
            "max-age=ten",
            "max-age",
            "max-age =100",
            "max-age= 100",
            "MaX-aGe=3600",
            "no-store=1",
            "public=\"x\"",
            "private=(a b)",
            "max-age=60, no-cache=5",
            "max-age=60,,",
        ] {
            let control = said(&format!("cdn-cache-control:{bad}|cache-control:no-store"));
            assert!(control.no_store && !control.is_targeted, "{bad}");
        }
    }

    #[test]
    fn directives_are_typed() {
        // RFC 9213 §2.1, RFC 9111 §1.2.2.
        for (value, expect) in [
            ("max-age=60", 60),
            ("max-age=60;q=1", 60),
            ("max-age=60, max-age=30, x", 30),
            ("max-age=30, max-age=60", 60),
            ("max-age=-5", 0),
            ("max-age=2147483648", 1 << 31),
            ("max-age=99999999999", 1 << 31),
            ("foobar, max-age=3600", 3600),
            ("foobar=(a b);c, max-age=3600", 3600),
        ] {
            let found = lifetime(&format!("cdn-cache-control:{value}"));
            assert_eq!(found, Some(Seconds::of(expect)), "{value}");
        }
        let lines = "cdn-cache-control:no-store, private|cdn-cache-control:no-cache=?0, public";
        let control = said(lines);
        assert!(control.no_store && control.private && control.public && !control.no_cache);
        let all = "must-revalidate, proxy-revalidate, must-understand, s-maxage=1, \
                   stale-while-revalidate=2, stale-if-error=3";
        let control = said(&format!("cdn-cache-control:{all}"));
        assert!(control.must_revalidate && control.proxy_revalidate && control.must_understand);
        let seconds = [control.s_maxage, control.stale_while_revalidate, control.stale_if_error];
        assert_eq!(seconds, [1, 2, 3].map(|count| Some(Seconds::of(count))));
    }

    #[test]
    fn a_string_qualifies_no_cache_and_private() {
        // RFC 9111 §5.2.2.4 and §5.2.2.7.
        let control = said("cdn-cache-control:no-cache=\"A, b\", private=\"c\"");
        let withheld: Vec<&str> = control.withheld.iter().map(HeaderName::as_str).collect();
        assert_eq!(withheld, ["a", "b", "c"]);
        assert!(!control.no_cache && !control.private);
        assert!(said("cdn-cache-control:private=\"\"").private);
    }

    #[test]
    fn only_the_targets_are_heard() {
        let headers = fields("other-cache-control:no-store|cdn-cache-control:no-store");
        assert!(!CacheControl::of(&headers, &[]).no_store);
        assert!(CacheControl::of(&headers, &targets()).no_store);
    }
}
