//! What to do with a request, given what is stored: serve, revalidate, fetch, refuse (RFC 9111 §4).
//!
//! Decides on parsed terms and an age, without allocating: this runs on every hit.
//! Viewers' `Cache-Control` is honoured, as RFC 9111 §5.2.1 asks; CloudFront ignores it.
//! What purges make of the copy was found out before; what a hard one covers never comes here.

use std::time::Duration;

use http::StatusCode;

use crate::directive::{RequestDirectives, Seconds};
use crate::storable::Terms;

/// What the cache holds for a request.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its terms.
    pub terms: &'a Terms,
    /// Its current age (RFC 9111 §4.2.3).
    pub age: Duration,
    /// Whether the origin can be asked about it.
    pub has_validator: bool,
    /// What is known of it apart from its age.
    pub validity: Validity,
}

/// What purges, or not knowing of them, make of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Nothing speaks against it.
    Sound,
    /// A soft purge covers it, noticed that long ago: it counts as stale at least since then.
    Softened(Duration),
    /// A purge may cover it that nobody here has heard of: it is no answer until the origin was
    /// asked.
    Unproven,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Serve the copy.
    Serve,
    /// Serve the copy although it is stale, and refresh it in the background.
    ServeStale(Why),
    /// Ask the origin whether the copy is still good.
    Revalidate(Why),
    /// Ask the origin for the whole response.
    Fetch(Why),
    /// Answer 504: the viewer wanted a cached answer, and there is none for it (§5.2.1.7).
    Refuse,
}

/// Why a request went towards the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing is stored for the URL.
    Missing,
    /// Something is, but for other values of the `Vary` fields.
    VaryMissing,
    /// Something is, but it may not be used at all.
    Unusable,
    /// The copy is stale.
    Stale,
    /// A soft purge covers the copy.
    Softened,
    /// A purge may cover the copy that this node has not heard of.
    Unproven,
    /// The origin wants to be asked each time.
    NoCache,
    /// The viewer wants the origin asked.
    RequestNoCache,
    /// The copy is older than the viewer accepts.
    RequestMaxAge,
    /// The copy turns stale sooner than the viewer accepts.
    RequestMinFresh,
    /// Some of the slices wanted are not stored.
    Partial,
    /// The method is not answered from a cache.
    Method,
    /// Caching is switched off for this request.
    Bypass,
}

impl Why {
    /// The value of `fwd` (RFC 9211 §2.2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Missing => "uri-miss",
            Why::VaryMissing => "vary-miss",
            Why::Unusable => "miss",
            Why::Stale | Why::Softened | Why::Unproven | Why::NoCache => "stale",
            Why::RequestNoCache | Why::RequestMaxAge | Why::RequestMinFresh => "request",
            Why::Partial => "partial",
            Why::Method => "method",
            Why::Bypass => "bypass",
        }
    }

    /// What `fwd` leaves open, for `detail` (RFC 9211 §2.8).
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Why::Softened => Some("softened"),
            Why::Unproven => Some("unproven"),
            Why::NoCache | Why::RequestNoCache => Some("no-cache"),
            Why::RequestMaxAge => Some("max-age"),
            Why::RequestMinFresh => Some("min-fresh"),
            Why::Missing
            | Why::VaryMissing
            | Why::Unusable
            | Why::Stale
            | Why::Partial
            | Why::Method
            | Why::Bypass => None,
        }
    }
}

/// What to do with a request. A caller that knows better why nothing is stored replaces
/// [`Why::Missing`] by [`Why::VaryMissing`] or [`Why::Unusable`].
pub fn plan(request: &RequestDirectives, stored: Option<Stored<'_>>) -> Plan {
    let objection = match stored {
        None => Some(Why::Missing),
        Some(stored) => objection(request, stored),
    };
    match (objection, stored) {
        (None, _) => Plan::Serve,
        (Some(why @ (Why::Stale | Why::Softened)), Some(stored))
            if may_serve_stale(request, stored) =>
        {
            Plan::ServeStale(why)
        }
        (Some(_), _) if request.only_if_cached => Plan::Refuse,
        (Some(why), Some(stored)) if stored.has_validator => Plan::Revalidate(why),
        (Some(why), _) => Plan::Fetch(why),
    }
}

/// Whether a copy may be served because the origin failed (RFC 5861 §4, RFC 9111 §4.2.4). A fresh
/// one may, even to a viewer who wanted the origin asked: request directives are advice (§5.2.1).
/// Where `must-revalidate` or `no-cache` forbids it, the terms have no window.
pub fn may_serve_on_error(stored: Stored<'_>) -> bool {
    let Stored { terms, age, validity, .. } = stored;
    let is_fresh = match validity {
        Validity::Sound => !terms.no_cache && terms.is_fresh_at(age),
        Validity::Softened(_) => false,
        Validity::Unproven => return false,
    };
    is_fresh || is_within(terms.stale_if_error, staleness(stored))
}

/// The origin's answers that count as its failure (RFC 5861 §4).
pub fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// What stands against serving the copy as fresh.
fn objection(request: &RequestDirectives, stored: Stored<'_>) -> Option<Why> {
    let Stored { terms, age, validity, .. } = stored;
    if validity == Validity::Unproven {
        return Some(Why::Unproven);
    }
    if terms.no_cache {
        return Some(Why::NoCache);
    }
    if !terms.is_fresh_at(age) {
        return Some(Why::Stale);
    }
    if let Validity::Softened(_) = validity {
        return Some(Why::Softened);
    }
    if request.no_cache {
        return Some(Why::RequestNoCache);
    }
    if is_too_old(request, age) {
        return Some(Why::RequestMaxAge);
    }
    let left = terms.lifetime.saturating_sub(age);
    let is_too_short = |wanted: Seconds| left < wanted.duration();
    request.min_fresh.is_some_and(is_too_short).then_some(Why::RequestMinFresh)
}

fn is_too_old(request: &RequestDirectives, age: Duration) -> bool {
    request.max_age.is_some_and(|oldest| age > oldest.duration())
}

/// Whether origin or viewer permits the stale copy (RFC 9111 §4.2.4).
fn may_serve_stale(request: &RequestDirectives, stored: Stored<'_>) -> bool {
    let Stored { terms, age, .. } = stored;
    if request.no_cache || request.min_fresh.is_some() || is_too_old(request, age) {
        return false;
    }
    let staleness = staleness(stored);
    let viewer_accepts = is_within(request.max_stale.map(Seconds::duration), staleness);
    // RFC 9111 §5.2.1.1: with max-age alone the viewer does not accept a stale response.
    let origin_permits = is_within(terms.stale_while_revalidate, staleness);
    origin_permits && (request.max_age.is_none() || viewer_accepts)
        || viewer_accepts && !terms.must_revalidate
}

fn staleness(stored: Stored<'_>) -> Duration {
    let by_age = stored.age.saturating_sub(stored.terms.lifetime);
    match stored.validity {
        Validity::Sound | Validity::Unproven => by_age,
        Validity::Softened(since) => by_age.max(since),
    }
}

fn is_within(window: Option<Duration>, staleness: Duration) -> bool {
    window.is_some_and(|length| staleness < length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fields, secs};

    const FRESH_FOR_60: Terms = Terms {
        lifetime: secs(60),
        stale_while_revalidate: None,
        stale_if_error: None,
        must_revalidate: false,
        no_cache: false,
    };

    fn check(request: &str, terms: Terms, age: u64, expect: Plan) {
        let directives = RequestDirectives::of(&fields(&format!("cache-control:{request}")));
        let validity = Validity::Sound;
        let stored = Stored { terms: &terms, age: secs(age), has_validator: true, validity };
        assert_eq!(plan(&directives, Some(stored)), expect, "{request:?} {terms:?} {age}");
        let bare = Stored { has_validator: false, ..stored };
        let expect = match expect {
            Plan::Revalidate(why) => Plan::Fetch(why),
            Plan::Serve | Plan::ServeStale(_) | Plan::Fetch(_) | Plan::Refuse => expect,
        };
        assert_eq!(plan(&directives, Some(bare)), expect, "{request:?} without a validator");
    }

    #[test]
    fn a_copy_is_fresh_until_its_age_reaches_its_lifetime() {
        // RFC 9111 §4.2: fresh means freshness_lifetime > current_age.
        check("", FRESH_FOR_60, 0, Plan::Serve);
        check("", FRESH_FOR_60, 59, Plan::Serve);
        check("", FRESH_FOR_60, 60, Plan::Revalidate(Why::Stale));
    }

    #[test]
    fn nothing_stored_is_fetched() {
        let nothing = RequestDirectives::default();
        assert_eq!(plan(&nothing, None), Plan::Fetch(Why::Missing));
    }

    #[test]
    fn no_cache_is_asked_about_each_time() {
        // RFC 9111 §5.2.2.4.
        let terms = Terms { no_cache: true, ..FRESH_FOR_60 };
        check("", terms, 0, Plan::Revalidate(Why::NoCache));
        check("max-stale", terms, 0, Plan::Revalidate(Why::NoCache));
    }

    #[test]
    fn a_viewer_can_narrow_what_is_served() {
        // RFC 9111 §5.2.1.1, §5.2.1.3, §5.2.1.4.
        for (request, age, expect) in [
            ("no-cache", 0, Plan::Revalidate(Why::RequestNoCache)),
            ("max-age=30", 30, Plan::Serve),
            ("max-age=30", 31, Plan::Revalidate(Why::RequestMaxAge)),
            ("max-age=0", 1, Plan::Revalidate(Why::RequestMaxAge)),
            ("max-age=30, max-stale", 31, Plan::Revalidate(Why::RequestMaxAge)),
            ("min-fresh=20", 40, Plan::Serve),
            ("min-fresh=20", 41, Plan::Revalidate(Why::RequestMinFresh)),
            ("no-store", 0, Plan::Serve),
            ("no-cache", 60, Plan::Revalidate(Why::Stale)),
        ] {
            check(request, FRESH_FOR_60, age, expect);
        }
    }

    #[test]
    fn only_if_cached_never_reaches_the_origin() {
        // RFC 9111 §5.2.1.7.
        check("only-if-cached", FRESH_FOR_60, 0, Plan::Serve);
        check("only-if-cached", FRESH_FOR_60, 60, Plan::Refuse);
        check("only-if-cached, max-stale", FRESH_FOR_60, 60, Plan::ServeStale(Why::Stale));
        check("only-if-cached, no-cache", FRESH_FOR_60, 0, Plan::Refuse);
        let directives = RequestDirectives { only_if_cached: true, ..Default::default() };
        assert_eq!(plan(&directives, None), Plan::Refuse);
    }

    #[test]
    fn a_stale_copy_is_served_while_it_is_refreshed() {
        // RFC 5861 §3.
        let terms = Terms { stale_while_revalidate: Some(secs(10)), ..FRESH_FOR_60 };
        check("", terms, 60, Plan::ServeStale(Why::Stale));
        check("", terms, 69, Plan::ServeStale(Why::Stale));
        check("", terms, 70, Plan::Revalidate(Why::Stale));
        for request in ["no-cache", "max-age=0", "max-age=99", "min-fresh=0"] {
            check(request, terms, 61, Plan::Revalidate(Why::Stale));
        }
        check("max-age=99, max-stale=5", terms, 61, Plan::ServeStale(Why::Stale));
        let none = Terms { stale_while_revalidate: Some(secs(0)), ..FRESH_FOR_60 };
        check("", none, 60, Plan::Revalidate(Why::Stale));
    }

    #[test]
    fn a_viewer_may_accept_staleness_unless_the_origin_forbids_it() {
        // RFC 9111 §5.2.1.2 and §4.2.4.
        check("max-stale", FRESH_FOR_60, 999, Plan::ServeStale(Why::Stale));
        check("max-stale=10", FRESH_FOR_60, 69, Plan::ServeStale(Why::Stale));
        check("max-stale=10", FRESH_FOR_60, 70, Plan::Revalidate(Why::Stale));
        let strict = Terms { must_revalidate: true, ..FRESH_FOR_60 };
        check("max-stale", strict, 61, Plan::Revalidate(Why::Stale));
        let windowed = Terms { stale_while_revalidate: Some(secs(5)), ..strict };
        check("", windowed, 64, Plan::ServeStale(Why::Stale));
        check("max-stale", windowed, 66, Plan::Revalidate(Why::Stale));
    }

    #[test]
    fn an_error_is_covered_only_within_the_window() {
        // RFC 5861 §4, RFC 9111 §4.2.4.
        let windowed = Terms { stale_if_error: Some(secs(10)), ..FRESH_FOR_60 };
        for (terms, age, expect) in [
            (FRESH_FOR_60, 59, true),
            (FRESH_FOR_60, 60, false),
            (windowed, 69, true),
            (windowed, 70, false),
            (Terms { stale_if_error: Some(secs(0)), ..FRESH_FOR_60 }, 60, false),
            (Terms { no_cache: true, ..FRESH_FOR_60 }, 0, false),
        ] {
            let validity = Validity::Sound;
            let stored = Stored { terms: &terms, age: secs(age), has_validator: true, validity };
            assert_eq!(may_serve_on_error(stored), expect, "{terms:?} {age}");
        }
    }

    #[test]
    fn a_soft_purge_makes_a_copy_stale_from_when_it_was_noticed() {
        let windowed = Terms { stale_while_revalidate: Some(secs(10)), ..FRESH_FOR_60 };
        let windowed = Terms { stale_if_error: Some(secs(20)), ..windowed };
        let asks = Plan::Revalidate(Why::Softened);
        for (terms, age, since, expect, on_error) in [
            (FRESH_FOR_60, 0, 0, asks, false),
            (windowed, 0, 0, Plan::ServeStale(Why::Softened), true),
            (windowed, 59, 9, Plan::ServeStale(Why::Softened), true),
            (windowed, 59, 10, asks, true),
            (windowed, 59, 20, asks, false),
            (windowed, 69, 3, Plan::ServeStale(Why::Stale), true),
            (windowed, 70, 3, Plan::Revalidate(Why::Stale), true),
            (windowed, 80, 3, Plan::Revalidate(Why::Stale), false),
        ] {
            let validity = Validity::Softened(secs(since));
            let stored = Stored { terms: &terms, age: secs(age), has_validator: true, validity };
            let found = plan(&RequestDirectives::default(), Some(stored));
            assert_eq!(found, expect, "{terms:?} {age} {since}");
            assert_eq!(may_serve_on_error(stored), on_error, "{terms:?} {age} {since}");
        }
    }

    #[test]
    fn an_unproven_copy_is_no_answer_however_much_staleness_is_accepted() {
        let windows = Some(secs(1_000));
        let terms = Terms { stale_while_revalidate: windows, ..FRESH_FOR_60 };
        let terms = Terms { stale_if_error: windows, ..terms };
        let validity = Validity::Unproven;
        for (age, request) in [(0, ""), (70, ""), (70, "max-stale")] {
            let directives = RequestDirectives::of(&fields(&format!("cache-control:{request}")));
            let stored = Stored { terms: &terms, age: secs(age), has_validator: true, validity };
            assert_eq!(plan(&directives, Some(stored)), Plan::Revalidate(Why::Unproven));
            assert!(!may_serve_on_error(stored));
        }
    }

    #[test]
    fn the_four_gateway_and_server_failures_count_as_errors() {
        // RFC 5861 §4.
        let failures: Vec<u16> =
            (100..600).filter(|code| is_failure(StatusCode::from_u16(*code).unwrap())).collect();
        assert_eq!(failures, [500, 502, 503, 504]);
    }
}
