//! How long a response is fresh, and how old it is when it arrives (RFC 9111 §4.2).
//!
//! The origin's word first (`s-maxage`, `max-age`, `Expires`), then the cache policy's, whose
//! minimum raises and whose maximum caps: CloudFront's table. Malformed dates are taken as the RFC
//! says: an `Expires` in the past, a `Date` as missing. The wall clock is an argument, never read.

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::directive::{CacheControl, Seconds};
use crate::field;
use crate::storable::Rules;

/// How long an error lives when its origin says nothing: CloudFront's default `ErrorCachingMinTTL`.
/// The policy's default, made for content, would keep a 404 for a day.
const ERROR_LIFETIME: Duration = Duration::from_secs(10);

/// What share of the time since it was last modified a response is guessed to stay good: a tenth,
/// as RFC 9111 §4.2.2 suggests.
const HEURISTIC_SHARE: u32 = 10;
/// The longest guess.
const HEURISTIC_MAX: Duration = Duration::from_secs(86_400);

/// The year 10000, for which the format of RFC 9110 §5.6.7 has no room.
const AFTER_ALL_DATES: Duration = Duration::from_secs(253_402_300_800);

/// The lifetime in the response itself (RFC 9111 §4.2.1), if it names one.
pub(crate) fn explicit_lifetime(control: &CacheControl, response: &HeaderMap) -> Option<Duration> {
    let directive = control.s_maxage.or(control.max_age).map(Seconds::duration);
    directive.or_else(|| expires(response).filter(|_| !control.is_targeted))
}

/// What can be guessed from `Last-Modified` (RFC 9111 §4.2.2): nothing without it, or when it lies
/// after `Date`.
pub(crate) fn heuristic_lifetime(response: &HeaderMap) -> Duration {
    let dates = field::date(response, &DATE).zip(field::date(response, &LAST_MODIFIED));
    let since = dates.and_then(|(date, modified)| date.duration_since(modified).ok());
    (since.unwrap_or_default() / HEURISTIC_SHARE).min(HEURISTIC_MAX)
}

/// The lifetime under `policy`, given what the origin said, or else what can be guessed. The
/// policy's default is no guess, so it comes first; where it is zero nobody but the RFC has an
/// opinion.
pub(crate) fn lifetime(
    explicit: Option<Duration>,
    heuristic: Duration,
    status: StatusCode,
    rules: &Rules<'_>,
) -> Duration {
    let Rules { policy, error_min_ttl } = *rules;
    let is_error = status.is_client_error() || status.is_server_error();
    let default = match policy.default_ttl() {
        Duration::ZERO => heuristic,
        default => default,
    };
    let uncapped = match (explicit, error_min_ttl) {
        (explicit, Some(least)) => {
            return explicit.unwrap_or_default().min(policy.max_ttl()).max(least);
        }
        (Some(explicit), None) => explicit.max(policy.min_ttl()),
        (None, None) if is_error => default.min(ERROR_LIFETIME),
        (None, None) => default.max(policy.min_ttl()),
    };
    uncapped.min(policy.max_ttl())
}

/// Gives a response that arrived at `wall_now` a `Date` when it has no valid one (RFC 9110 §6.6.1).
/// To be done before anything else is asked about a response from an origin: `Expires` counts from
/// it.
pub fn ensure_date(response: &mut HeaderMap, wall_now: SystemTime) {
    let is_dated = field::date(response, &DATE).is_some();
    let since_epoch = wall_now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::MAX);
    if is_dated || since_epoch >= AFTER_ALL_DATES {
        return;
    }
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(wall_now)) {
        response.insert(DATE, date);
    }
}

/// `corrected_initial_age` of RFC 9111 §4.2.3: how old a response is when it arrives at `wall_now`,
/// `response_delay` after it was asked for.
pub fn initial_age(
    response: &HeaderMap,
    wall_now: SystemTime,
    response_delay: Duration,
) -> Duration {
    let date = field::date(response, &DATE);
    let apparent = date.and_then(|date| wall_now.duration_since(date).ok()).unwrap_or_default();
    apparent.max(said_age(response).unwrap_or_default().saturating_add(response_delay))
}

/// The age that the response says it has. RFC 9111 §5.1: of several members the first counts, and
/// an invalid one is ignored.
pub fn said_age(response: &HeaderMap) -> Option<Duration> {
    let age = field::all_members(response, &AGE).next().and_then(Seconds::parse);
    age.map(Seconds::duration)
}

/// RFC 9111 §5.3: `Expires` counts from `Date`; what is no date, especially `0`, lies in the past,
/// and so does everything when there is no `Date` to count from. Of several the earliest counts
/// (§4.2.1).
fn expires(response: &HeaderMap) -> Option<Duration> {
    let date = field::date(response, &DATE);
    let after_date = |value| field::parse_date(value)?.duration_since(date?).ok();
    let lifetimes = response.get_all(EXPIRES).iter();
    lifetimes.map(|value| after_date(value).unwrap_or_default()).min()
}

#[cfg(test)]
mod tests {
    use model::CachePolicy;

    use super::*;
    use crate::testing::{EARLIER, LATER, NOON, fields, noon, secs};

    fn explicit(lines: &str) -> Option<Duration> {
        let headers = fields(lines);
        explicit_lifetime(&CacheControl::of(&headers, &[]), &headers)
    }

    #[test]
    fn s_maxage_beats_max_age_beats_expires() {
        // RFC 9111 §4.2.1 and §5.3.
        let expires = format!("date:{NOON}|expires:{LATER}");
        let max_age = format!("{expires}|cache-control:max-age=60");
        let s_maxage = format!("{max_age}, s-maxage=600");
        assert_eq!(explicit(&s_maxage), Some(secs(600)));
        assert_eq!(explicit(&max_age), Some(secs(60)));
        assert_eq!(explicit(&expires), Some(secs(10)));
        assert_eq!(explicit("cache-control:public"), None);
    }

    #[test]
    fn an_invalid_or_past_expires_is_stale() {
        // RFC 9111 §5.3.
        for value in ["0", "-1", "", "tomorrow", EARLIER, NOON] {
            let lines = format!("date:{NOON}|expires:{value}");
            assert_eq!(explicit(&lines), Some(Duration::ZERO), "{value}");
        }
        let twice = format!("date:{NOON}|expires:{LATER}|expires:0");
        assert_eq!(explicit(&twice), Some(Duration::ZERO));
    }

    #[test]
    fn expires_counts_from_date_or_else_from_the_arrival() {
        // RFC 9111 §4.2.1, RFC 9110 §6.6.1.
        for (date, undated, dated) in [
            (format!("date:{EARLIER}|"), 20, 20),
            (String::new(), 0, 10),
            ("date:never|".into(), 0, 10),
            (format!("date:{EARLIER}|date:{EARLIER}|"), 0, 10),
        ] {
            let mut headers = fields(&format!("{date}expires:{LATER}"));
            let lifetime =
                |headers: &HeaderMap| explicit_lifetime(&CacheControl::default(), headers);
            assert_eq!(lifetime(&headers), Some(secs(undated)), "{date}");
            ensure_date(&mut headers, noon());
            assert_eq!(lifetime(&headers), Some(secs(dated)), "{date}");
        }
    }

    #[test]
    fn a_wall_clock_that_no_date_can_hold_adds_none() {
        let mut headers = HeaderMap::new();
        ensure_date(&mut headers, SystemTime::UNIX_EPOCH - secs(1));
        ensure_date(&mut headers, SystemTime::UNIX_EPOCH + secs(253_402_300_800));
        assert!(headers.is_empty());
        ensure_date(&mut headers, SystemTime::UNIX_EPOCH + secs(253_402_300_799));
        assert_eq!(headers, fields("date:Fri, 31 Dec 9999 23:59:59 GMT"));
    }

    #[test]
    fn the_policy_clamps_as_cloudfront_does() {
        let policy = |min, default, max| CachePolicy {
            min_ttl_seconds: min,
            default_ttl_seconds: default,
            max_ttl_seconds: max,
            ..CachePolicy::default()
        };
        for (origin, policy, expect) in [
            (Some(50), policy(0, 100, 1000), 50),
            (Some(5000), policy(0, 100, 1000), 1000),
            (Some(5), policy(10, 100, 1000), 10),
            (Some(0), policy(0, 100, 1000), 0),
            (Some(0), policy(10, 100, 1000), 10),
            (None, policy(0, 100, 1000), 100),
            (None, policy(200, 100, 1000), 200),
            (None, policy(0, 100, 0), 0),
            (Some(50), policy(2000, 100, 1000), 1000),
        ] {
            let found = lifetime(origin.map(secs), secs(0), StatusCode::OK, &Rules::of(&policy));
            assert_eq!(found, secs(expect), "{origin:?} {policy:?}");
        }
    }

    #[test]
    fn a_tenth_of_the_time_since_it_was_modified_is_the_guess() {
        // RFC 9111 §4.2.2.
        for (lines, expect) in [
            (format!("date:{NOON}|last-modified:{EARLIER}"), 1),
            (format!("date:{NOON}|last-modified:{NOON}"), 0),
            (format!("date:{NOON}|last-modified:{LATER}"), 0),
            (format!("date:{NOON}|last-modified:Sat, 05 Nov 1994 08:49:37 GMT"), 8_640),
            (format!("date:{NOON}|last-modified:Sun, 06 Nov 1983 08:49:37 GMT"), 86_400),
            (format!("date:{NOON}|last-modified:yesterday"), 0),
            (format!("last-modified:{EARLIER}"), 0),
            (format!("date:{NOON}"), 0),
        ] {
            assert_eq!(heuristic_lifetime(&fields(&lines)), secs(expect), "{lines}");
        }
    }

    #[test]
    fn a_guess_counts_only_where_nobody_has_said_anything() {
        // RFC 9111 §4.2.2: never beside an explicit lifetime; a default is the operator's word.
        let policy =
            |default| CachePolicy { default_ttl_seconds: default, ..CachePolicy::default() };
        for (explicit, default, expect) in
            [(None, 0, 50), (None, 7, 7), (Some(3), 0, 3), (Some(0), 0, 0)]
        {
            let found = lifetime(
                explicit.map(secs),
                secs(50),
                StatusCode::OK,
                &Rules::of(&policy(default)),
            );
            assert_eq!(found, secs(expect), "{explicit:?} {default}");
        }
        let capped = CachePolicy { max_ttl_seconds: 9, ..policy(0) };
        assert_eq!(lifetime(None, secs(50), StatusCode::OK, &Rules::of(&capped)), secs(9));
    }

    #[test]
    fn a_date_in_a_form_of_no_standard_lies_in_the_past() {
        // RFC 9110 §5.6.7: three forms, case-sensitive, each with its own punctuation.
        for value in [
            "THU, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 AUG 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 gMT",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "2050-08-18T02:01:18Z",
        ] {
            let lines = format!("date:{NOON}|expires:{value}");
            assert_eq!(explicit(&lines), Some(Duration::ZERO), "{value}");
        }
        let lines = format!("date:{NOON}|expires:Thu, 18 Aug 2050 02:01:18 GMT");
        assert!(explicit(&lines).unwrap() > secs(1_000_000_000));
    }

    #[test]
    fn an_error_without_a_lifetime_is_kept_for_seconds_only() {
        let policy = CachePolicy { min_ttl_seconds: 60, ..CachePolicy::default() };
        let lifetime =
            |explicit| lifetime(explicit, secs(99), StatusCode::NOT_FOUND, &Rules::of(&policy));
        assert_eq!(lifetime(None), ERROR_LIFETIME);
        assert_eq!(lifetime(Some(secs(99))), secs(99));
    }

    #[test]
    fn age_at_arrival_is_the_larger_of_the_two_estimates() {
        // RFC 9111 §4.2.3.
        for (lines, expect) in [
            (String::new(), 2),
            (format!("date:{NOON}"), 2),
            (format!("date:{EARLIER}"), 10),
            (format!("date:{LATER}"), 2),
            ("date:never".into(), 2),
            ("age:7".into(), 9),
            (format!("date:{EARLIER}|age:7"), 10),
            (format!("date:{EARLIER}|age:9"), 11),
        ] {
            assert_eq!(initial_age(&fields(&lines), noon(), secs(2)), secs(expect), "{lines}");
        }
    }

    #[test]
    fn a_malformed_age_is_ignored_and_a_list_gives_its_first() {
        // RFC 9111 §5.1.
        for (lines, expect) in [
            ("age:-1", 0),
            ("age:x", 0),
            ("age:1.5", 0),
            ("age:", 0),
            ("age:5, 9", 5),
            ("age:5|age:9", 5),
            ("age:x, 9", 0),
            ("age:99999999999", 1 << 31),
        ] {
            assert_eq!(initial_age(&fields(lines), noon(), secs(0)), secs(expect), "{lines}");
        }
    }
}
