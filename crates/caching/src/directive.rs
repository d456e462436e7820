//! `Cache-Control`: what an origin permits and what a viewer asks for (RFC 9111 §5.2, RFC 5861).
//!
//! Parsed once into plain flags and seconds. When a value is malformed or a directive is repeated,
//! the most restrictive reading wins (RFC 9111 §4.2.1); unknown directives are ignored (§5.2.3). A
//! field that is targeted at caches like this one replaces `Cache-Control` (see `targeted`).
//! `Pragma` is not read: RFC 9111 §5.4 deprecates it.

use std::time::Duration;

use http::HeaderMap;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    EXPIRES, HeaderName, LAST_MODIFIED, VARY,
};
use model::FieldName;
use model::limits::WITHHELD_FIELDS_MAX;

use crate::{field, targeted};

/// A delta-seconds value (RFC 9111 §1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(u32);

impl Seconds {
    /// None: what a malformed value means.
    pub const ZERO: Seconds = Seconds(0);
    /// 2³¹: what any larger value means (RFC 9111 §1.2.2).
    pub const MAX: Seconds = Seconds(1 << 31);

    /// Parses digits and nothing else; larger values saturate at [`Seconds::MAX`].
    pub fn parse(digits: &[u8]) -> Option<Seconds> {
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let saturating = |sum: u32, digit: &u8| {
            sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')).min(Self::MAX.0)
        };
        Some(Seconds(digits.iter().fold(0, saturating)))
    }

    /// What an integer of a structured field means: below zero nothing, and the rest saturates.
    pub(crate) fn of(integer: i64) -> Seconds {
        let bounded = integer.clamp(0, Self::MAX.0.into());
        Seconds(u32::try_from(bounded).unwrap_or(Self::MAX.0))
    }

    /// As a length of time.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// The response directives that matter to a shared cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Whether a targeted field says all this, so that `Expires` says nothing (RFC 9213 §2.2).
    pub is_targeted: bool,
    /// Nothing may be kept (§5.2.2.5).
    pub no_store: bool,
    /// Kept, but never reused without asking the origin (§5.2.2.4).
    pub no_cache: bool,
    /// For one viewer only (§5.2.2.7).
    pub private: bool,
    /// May be kept although it would not be by default (§5.2.2.9).
    pub public: bool,
    /// Never reused when stale (§5.2.2.2).
    pub must_revalidate: bool,
    /// The same for shared caches (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// Kept only by caches that know the status; those ignore `no-store` (§5.2.2.3).
    pub must_understand: bool,
    /// Lifetime (§5.2.2.1).
    pub max_age: Option<Seconds>,
    /// Lifetime in shared caches (§5.2.2.10).
    pub s_maxage: Option<Seconds>,
    /// How long it may be served stale while it is refreshed (RFC 5861 §3).
    pub stale_while_revalidate: Option<Seconds>,
    /// How long it may be served stale when the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Seconds>,
    /// Fields that are not for reuse, while the rest is: what `no-cache` and `private` name when
    /// they name something (§5.2.2.4 and §5.2.2.7).
    pub withheld: Vec<HeaderName>,
}

impl CacheControl {
    /// What a response says to a cache that listens to the fields called `targets`, the most
    /// specific first: the first one that is well-formed and says something, or else
    /// `Cache-Control` (RFC 9213 §2.2).
    pub fn of(response: &HeaderMap, targets: &[FieldName]) -> CacheControl {
        targeted::control(response, targets).unwrap_or_else(|| CacheControl::plain(response))
    }

    /// Reads all `Cache-Control` fields of a response.
    fn plain(response: &HeaderMap) -> CacheControl {
        let mut control = CacheControl::default();
        each_directive(response, |name, argument| match name {
            b"no-store" => control.no_store = true,
            b"no-cache" => control.no_cache |= !control.withholds(argument),
            b"private" => control.private |= !control.withholds(argument),
            b"public" => control.public = true,
            b"must-revalidate" => control.must_revalidate = true,
            b"proxy-revalidate" => control.proxy_revalidate = true,
            b"must-understand" => control.must_understand = true,
            b"max-age" => lower(&mut control.max_age, seconds(argument)),
            b"s-maxage" => lower(&mut control.s_maxage, seconds(argument)),
            b"stale-while-revalidate" => {
                lower(&mut control.stale_while_revalidate, seconds(argument));
            }
            b"stale-if-error" => lower(&mut control.stale_if_error, seconds(argument)),
            _ => {}
        });
        control
    }

    /// Notes the field names in `argument`. Without any, or with one that is none, or with too
    /// many, nothing is noted and the directive is about the whole response.
    pub(crate) fn withholds(&mut self, argument: Option<&[u8]>) -> bool {
        let Some(argument) = argument else { return false };
        let words = argument.split(|byte| *byte == b',').map(|word| word.trim_ascii());
        let words = words.filter(|word| !word.is_empty());
        let names: Option<Vec<HeaderName>> =
            words.map(|word| HeaderName::from_bytes(word).ok()).collect();
        let fits = |names: &Vec<HeaderName>| {
            !names.is_empty()
                && !names.iter().any(|name| NEVER_WITHHELD.contains(name))
                && self.withheld.len() + names.len() <= WITHHELD_FIELDS_MAX
        };
        let Some(names) = names.filter(fits) else { return false };
        self.withheld.extend(names);
        true
    }
}

/// The request directives that matter to a shared cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// The response must not be kept (§5.2.1.5).
    pub no_store: bool,
    /// Only an answer that the origin has just confirmed (§5.2.1.4).
    pub no_cache: bool,
    /// Only an answer from the cache (§5.2.1.7).
    pub only_if_cached: bool,
    /// Only an answer of at most this age (§5.2.1.1).
    pub max_age: Option<Seconds>,
    /// A stale answer is welcome, up to this staleness (§5.2.1.2).
    pub max_stale: Option<Seconds>,
    /// Only an answer that stays fresh for this long (§5.2.1.3).
    pub min_fresh: Option<Seconds>,
}

impl RequestDirectives {
    /// Reads all `Cache-Control` fields of a request, without allocating.
    pub fn of(request: &HeaderMap) -> RequestDirectives {
        let mut asked = RequestDirectives::default();
        each_directive(request, |name, argument| match name {
            b"no-store" => asked.no_store = true,
            b"no-cache" => asked.no_cache = true,
            b"only-if-cached" => asked.only_if_cached = true,
            b"max-age" => lower(&mut asked.max_age, seconds(argument)),
            // Without an argument any staleness will do.
            b"max-stale" if argument.is_none() => lower(&mut asked.max_stale, Seconds::MAX),
            b"max-stale" => lower(&mut asked.max_stale, seconds(argument)),
            b"min-fresh" => asked.min_fresh = asked.min_fresh.max(Some(seconds(argument))),
            _ => {}
        });
        asked
    }
}

/// Without these the rest of a response means something else, to us or to viewers.
const NEVER_WITHHELD: [HeaderName; 11] = [
    AGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    VARY,
];

/// The longest directive we know. A longer name is unknown, whatever it is.
const NAME_BYTES_MAX: usize = "stale-while-revalidate".len();

/// Calls `read` with each directive's name in lower case and its argument without quotes.
fn each_directive(headers: &HeaderMap, mut read: impl FnMut(&[u8], Option<&[u8]>)) {
    for member in field::all_members(headers, &CACHE_CONTROL) {
        let mut parts = member.splitn(2, |byte| *byte == b'=');
        let spaced = parts.next().unwrap_or_default();
        let name = spaced.trim_ascii_end();
        // No space belongs before the `=` (RFC 9111 §5.2): then there is no telling what is meant.
        let is_clear = name.len() == spaced.len();
        let argument = parts.next().map(|argument| if is_clear { unquote(argument) } else { b"" });
        let mut buffer = [0; NAME_BYTES_MAX];
        if let Some(lowered) = buffer.get_mut(..name.len()) {
            lowered.copy_from_slice(name);
            lowered.make_ascii_lowercase();
            read(lowered, argument);
        }
    }
}

/// RFC 9111 §5.2: a recipient accepts both the token and the quoted form of an argument.
fn unquote(argument: &[u8]) -> &[u8] {
    let inside = argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inside.unwrap_or(argument)
}

/// RFC 9111 §4.2.1: invalid freshness information makes a response stale.
fn seconds(argument: Option<&[u8]>) -> Seconds {
    argument.and_then(Seconds::parse).unwrap_or(Seconds::ZERO)
}

fn lower(slot: &mut Option<Seconds>, given: Seconds) {
    *slot = Some(slot.map_or(given, |known| known.min(given)));
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    fn response(value: &str) -> CacheControl {
        CacheControl::plain(&fields(&format!("cache-control:{value}")))
    }

    fn request(value: &str) -> RequestDirectives {
        RequestDirectives::of(&fields(&format!("cache-control:{value}")))
    }

    #[test]
    fn delta_seconds_saturate_and_take_digits_only() {
        // RFC 9111 §1.2.2.
        for (given, expect) in [
            ("0", Some(0)),
            ("060", Some(60)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(1 << 31)),
            ("2147483649", Some(1 << 31)),
            ("99999999999999999999999999", Some(1 << 31)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            (" 1", None),
            ("1s", None),
        ] {
            assert_eq!(Seconds::parse(given.as_bytes()), expect.map(Seconds), "{given}");
        }
    }

    #[test]
    fn every_response_directive_is_read_in_any_case() {
        // RFC 9111 §5.2: names are case-insensitive.
        let all = "No-Store, NO-CACHE, private, Public, must-Revalidate, proxy-revalidate, \
                   must-understand, Max-Age=1, S-MAXAGE=2, stale-while-revalidate=3, \
                   Stale-If-Error=4";
        let expect = CacheControl {
            no_store: true,
            no_cache: true,
            private: true,
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            max_age: Some(Seconds(1)),
            s_maxage: Some(Seconds(2)),
            stale_while_revalidate: Some(Seconds(3)),
            stale_if_error: Some(Seconds(4)),
            ..CacheControl::default()
        };
        assert_eq!(response(all), expect);
    }

    #[test]
    fn unknown_directives_and_their_arguments_are_ignored() {
        // RFC 9111 §5.2.3.
        for value in [
            "",
            "immutable, no-transform",
            "x-no-store",
            "no-store-please=1, nostore",
            r#"ext="no-store, private, max-age=1""#,
            r#"ext="\", no-store""#,
            "a-directive-with-a-name-longer-than-any-we-know=no-store",
        ] {
            assert_eq!(response(value), CacheControl::default(), "{value}");
        }
    }

    #[test]
    fn a_malformed_lifetime_is_no_lifetime() {
        // RFC 9111 §4.2.1: invalid freshness information is encouraged to be taken as stale.
        for bad in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1.5",
            "max-age=60.0",
            "max-age=x60",
            "max-age=60x",
            "max-age='60'",
            "max-age= 60",
            "max-age =60",
            "max-age = 60",
            "max-age=60 60",
            "max-age=\"\"",
        ] {
            assert_eq!(response(bad).max_age, Some(Seconds::ZERO), "{bad}");
        }
        assert_eq!(response("max-age=0060").max_age, Some(Seconds(60)));
        assert_eq!(response(r#"max-age="60""#).max_age, Some(Seconds(60)));
        assert_eq!(response(r#"max-age="60"#).max_age, Some(Seconds::ZERO));
        assert_eq!(response("max-age=99999999999").max_age, Some(Seconds::MAX));
    }

    #[test]
    fn of_repeated_lifetimes_the_shortest_counts() {
        // RFC 9111 §4.2.1.
        assert_eq!(response("max-age=60, max-age=30, max-age=90").max_age, Some(Seconds(30)));
        assert_eq!(response("s-maxage=60, s-maxage=x").s_maxage, Some(Seconds::ZERO));
        let lines = fields("cache-control:max-age=60|cache-control:max-age=10, no-cache");
        let control = CacheControl::plain(&lines);
        assert_eq!((control.max_age, control.no_cache), (Some(Seconds(10)), true));
    }

    #[test]
    fn a_qualified_directive_is_about_the_fields_it_names() {
        // RFC 9111 §5.2.2.4 and §5.2.2.7; both forms of an argument are taken (§5.2).
        for (value, expect) in [
            (r#"no-cache="Set-Cookie, X""#, "set-cookie x"),
            (r#"private="X-User""#, "x-user"),
            ("private=X-User", "x-user"),
            (r#"no-cache="a", private=", b ,""#, "a b"),
        ] {
            let control = response(value);
            let withheld: Vec<&str> = control.withheld.iter().map(HeaderName::as_str).collect();
            assert_eq!(withheld.join(" "), expect, "{value}");
            assert!(!control.no_cache && !control.private, "{value}");
        }
    }

    #[test]
    fn a_qualification_that_names_nothing_is_about_the_whole_response() {
        let many: Vec<String> = (0..=WITHHELD_FIELDS_MAX).map(|at| format!("x-{at}")).collect();
        let (fits, too_many) = (many[1..].join(","), many.join(","));
        assert!(!response(&format!("private=\"{fits}\"")).private);
        for argument in ["", " ,", "a b", "a, caf\u{e9}", "\\", &too_many] {
            assert!(response(&format!("private=\"{argument}\"")).private, "{argument}");
            assert!(response(&format!("no-cache=\"{argument}\"")).no_cache, "{argument}");
        }
        for value in ["no-cache=", "no-cache=\"a", "no-cache =\"a\"", "no-cache=a, no-cache"] {
            assert!(response(value).no_cache, "{value}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"\xff\xfe, no-store, \"\x80").unwrap();
        headers.insert(CACHE_CONTROL, value);
        assert!(CacheControl::plain(&headers).no_store);
    }

    #[test]
    fn every_request_directive_is_read() {
        // RFC 9111 §5.2.1.
        let all = "no-store, no-cache, only-if-cached, max-age=1, max-stale=2, min-fresh=3";
        let expect = RequestDirectives {
            no_store: true,
            no_cache: true,
            only_if_cached: true,
            max_age: Some(Seconds(1)),
            max_stale: Some(Seconds(2)),
            min_fresh: Some(Seconds(3)),
        };
        assert_eq!(request(all), expect);
        assert_eq!(request("max-stale").max_stale, Some(Seconds::MAX));
        assert_eq!(request("max-stale, max-stale=5").max_stale, Some(Seconds(5)));
        assert_eq!(request("max-stale=x").max_stale, Some(Seconds::ZERO));
        assert_eq!(request("min-fresh=5, min-fresh=9").min_fresh, Some(Seconds(9)));
    }

    #[test]
    fn pragma_says_nothing() {
        // RFC 9111 §5.4.
        assert_eq!(RequestDirectives::of(&fields("pragma:no-cache")), RequestDirectives::default());
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in proptest::collection::vec(0u8.., 0..120)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(CACHE_CONTROL, value)]);
                CacheControl::plain(&headers);
                RequestDirectives::of(&headers);
            }
        }

        #[test]
        fn no_store_is_seen_beside_anything(noise in "[a-z0-9=\", \\\\-]{0,60}") {
            let mut headers = fields("cache-control:no-store");
            headers.append(CACHE_CONTROL, HeaderValue::from_str(&noise).unwrap());
            prop_assert!(CacheControl::plain(&headers).no_store);
        }

        #[test]
        fn one_line_or_many_mean_the_same(members in proptest::collection::vec(MEMBER, 0..8)) {
            let mut lines = HeaderMap::new();
            for member in &members {
                lines.append(CACHE_CONTROL, HeaderValue::from_str(member).unwrap());
            }
            prop_assert_eq!(CacheControl::plain(&lines), response(&members.join(" ,")));
            prop_assert_eq!(RequestDirectives::of(&lines), request(&members.join(",")));
        }
    }

    const MEMBER: &str = "(no-cache|private|max-age|s-maxage|max-stale|min-fresh|x)\
                          (=[0-9]{1,12}|=\"[0-9]{1,12}\")?";
}
