//! Validation at both ends: asking the origin about a copy, and answering a viewer who has one.
//!
//! RFC 9111 §4.3 and RFC 9110 §13. A 304 freshens only the copy it speaks of, and what was known of
//! the purge log when that copy was fetched stays with it: a 304 never makes content newer. A
//! malformed validator is none, so nothing is ever confirmed by accident.

use std::time::{Duration, SystemTime};

use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, DATE,
    ETAG, EXPIRES, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::object::Head;

use crate::etag::{self, EntityTag};
use crate::field;
use crate::groups::CACHE_GROUPS;
use crate::hop::strip_hop_by_hop;
use crate::targeted::CDN_CACHE_CONTROL;

/// What the origin can be asked about a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// A well-formed entity tag.
    pub etag: Option<HeaderValue>,
    /// A well-formed date.
    pub last_modified: Option<HeaderValue>,
}

impl Validators {
    /// The validators of a stored response.
    pub fn of(response: &HeaderMap) -> Validators {
        let etag = EntityTag::of(response).and_then(|_| response.get(ETAG));
        let modified = field::date(response, &LAST_MODIFIED);
        let last_modified = modified.and_then(|_| response.get(LAST_MODIFIED));
        Validators { etag: etag.cloned(), last_modified: last_modified.cloned() }
    }

    /// The same, as far as it tells every byte of one content from another's (RFC 9110 §8.8.1):
    /// what a copy is asked about that a purge may cover.
    pub fn strong(response: &HeaderMap) -> Validators {
        let is_strong = EntityTag::of(response).is_some_and(|etag| etag.is_strong());
        let etag = response.get(ETAG).filter(|_| is_strong);
        Validators { etag: etag.cloned(), last_modified: None }
    }

    /// Whether there is nothing to ask about.
    pub fn is_none(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Makes a request conditional on these alone (RFC 9111 §4.3.1). The viewer's own conditions
    /// go: they speak of the viewer's copy. Without validators the request becomes unconditional.
    pub fn add_to(&self, request: &mut HeaderMap) {
        for name in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE] {
            request.remove(name);
        }
        if let Some(etag) = &self.etag {
            request.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(last_modified) = &self.last_modified {
            request.insert(IF_MODIFIED_SINCE, last_modified.clone());
        }
    }
}

/// Fields that a 304 does not change: the body they describe stays the stored one (RFC 9111 §3.2).
const BOUND_TO_THE_BODY: [HeaderName; 3] = [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE];

/// Whether a 304 with the fields `answer` speaks of the copy with the fields `stored` (RFC 9111
/// §4.3.4). One with nothing to compare does, since the question named only this copy. If it does
/// not, the copy is of no more use, and the response is fetched whole.
pub fn matches(stored: &HeaderMap, answer: &HeaderMap) -> bool {
    let modified = |headers| field::date(headers, &LAST_MODIFIED);
    match (EntityTag::of(stored), EntityTag::of(answer)) {
        (Some(ours), Some(theirs)) if theirs.is_strong() => ours.equals_strongly(&theirs),
        (Some(ours), Some(theirs)) => ours.equals_weakly(&theirs),
        (None, Some(theirs)) if theirs.is_strong() => false,
        (None, Some(_)) | (_, None) => match (modified(stored), modified(answer)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, _) | (_, None) => true,
        },
    }
}

/// Whether that 304 also says that every byte is the same: it names no weaker tag than the strong
/// one that it was asked about.
pub fn matches_strongly(stored: &HeaderMap, answer: &HeaderMap) -> bool {
    let is_weak = EntityTag::of(answer).is_some_and(|etag| !etag.is_strong());
    !Validators::strong(stored).is_none() && !is_weak && matches(stored, answer)
}

/// The copy's head with the fields and timing of the 304 that speaks of it (RFC 9111 §3.2 and
/// §4.3.4). Its status stays, and so does the older of the two log positions.
pub fn freshen(stored: &Head, answer: &Head) -> Head {
    let mut news = answer.headers.clone();
    strip_hop_by_hop(&mut news);
    let mut headers = stored.headers.clone();
    // The stored Age belongs to the old message; a 304 without one was made just now.
    headers.remove(AGE);
    for name in news.keys().filter(|name| !BOUND_TO_THE_BODY.contains(name)) {
        headers.remove(name);
        for value in news.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    Head {
        status: stored.status,
        headers,
        as_of: stored.as_of.min(answer.as_of),
        requested_at: answer.requested_at,
        received_at: answer.received_at,
        initial_age: answer.initial_age,
        proof_age: answer.proof_age,
    }
}

/// What a viewer's preconditions make of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Send it.
    Proceed,
    /// Send 304: the viewer has it.
    NotModified,
    /// Send 412: the viewer wanted another one.
    PreconditionFailed,
}

/// Whether a response is the very one that a peer asks about, with validators of its own copy.
/// Dates are not put in order here, as viewers' are: an origin that goes back to an older version,
/// or that stops dating, has changed its mind.
pub fn confirms(request: &HeaderMap, status: StatusCode, response: &HeaderMap) -> bool {
    if !status.is_success() {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        let ours = EntityTag::of(response);
        let same = |theirs: &EntityTag<'_>| ours.is_some_and(|ours| ours.equals_weakly(theirs));
        return etag::names_any(request, &IF_NONE_MATCH, same);
    }
    let asked = field::date(request, &IF_MODIFIED_SINCE);
    asked.is_some() && asked == field::date(response, &LAST_MODIFIED)
}

/// Evaluates the viewer's preconditions against a stored response, in the order of RFC 9110
/// §13.2.2.
pub fn evaluate(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
) -> Condition {
    // RFC 9110 §13.2.1: only what would succeed is conditional.
    if !status.is_success() || !matches!(*method, Method::GET | Method::HEAD) {
        return Condition::Proceed;
    }
    let ours = EntityTag::of(response);
    if request.contains_key(IF_MATCH) {
        let same = |theirs: &EntityTag<'_>| ours.is_some_and(|ours| ours.equals_strongly(theirs));
        if !etag::names_any(request, &IF_MATCH, same) {
            return Condition::PreconditionFailed;
        }
    } else if let Some(since) = field::date(request, &IF_UNMODIFIED_SINCE)
        && field::date(response, &LAST_MODIFIED).is_some_and(|modified| modified > since)
    {
        return Condition::PreconditionFailed;
    }
    let has_it = if request.contains_key(IF_NONE_MATCH) {
        let same = |theirs: &EntityTag<'_>| ours.is_some_and(|ours| ours.equals_weakly(theirs));
        etag::names_any(request, &IF_NONE_MATCH, same)
    } else {
        field::date(request, &IF_MODIFIED_SINCE)
            .zip(modified_by(response))
            .is_some_and(|(since, modified)| modified <= since)
    };
    if has_it { Condition::NotModified } else { Condition::Proceed }
}

/// The fields that a 304 made from this response carries (RFC 9110 §15.4.5). `Last-Modified` is
/// only needed where there is no entity tag.
pub fn not_modified_fields(response: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let last_modified = EntityTag::of(response).is_none().then_some(LAST_MODIFIED);
    let required = [CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, VARY];
    // Extensions that guide caches further down as the first of these does (RFC 9213, RFC 9875).
    let guides = [&CDN_CACHE_CONTROL, &CACHE_GROUPS].into_iter().cloned();
    for name in required.into_iter().chain(last_modified).chain(guides) {
        for value in response.get_all(&name) {
            fields.append(&name, value.clone());
        }
    }
    fields
}

/// Whether the response may be told by its date alone: `Last-Modified` is a strong validator once
/// it lies a second before `Date` (RFC 9110 §8.8.2.2).
pub(crate) fn strong_date(response: &HeaderMap) -> Option<SystemTime> {
    let modified = field::date(response, &LAST_MODIFIED)?;
    let since = field::date(response, &DATE)?.duration_since(modified).ok()?;
    (since >= Duration::from_secs(1)).then_some(modified)
}

/// RFC 9111 §4.3.2: without `Last-Modified` a cache compares with `Date`.
fn modified_by(response: &HeaderMap) -> Option<SystemTime> {
    let name = if response.contains_key(LAST_MODIFIED) { LAST_MODIFIED } else { DATE };
    field::date(response, &name)
}

#[cfg(test)]
mod tests {
    use model::{LogPosition, Moment};

    use super::*;
    use crate::testing::{EARLIER, LATER, NOON, fields, secs};

    fn head(status: u16, lines: &str, at: u64) -> Head {
        Head {
            status: StatusCode::from_u16(status).unwrap(),
            headers: fields(lines),
            as_of: LogPosition::new(0, at),
            requested_at: Moment::at(secs(at)),
            received_at: Moment::at(secs(at + 1)),
            initial_age: secs(at + 2),
            proof_age: secs(at + 3),
        }
    }

    #[test]
    fn a_peer_is_told_that_it_has_the_same_only_if_it_has() {
        let asked_by_date = format!("if-modified-since:{NOON}");
        for (request, status, response, expect) in [
            ("if-none-match:\"a\"".into(), 200, "etag:\"a\"".into(), true),
            ("if-none-match:W/\"a\"".into(), 200, "etag:\"a\"".into(), true),
            ("if-none-match:\"a\"".into(), 200, "etag:\"b\"".into(), false),
            ("if-none-match:\"a\"".into(), 404, "etag:\"a\"".into(), false),
            (asked_by_date.clone(), 200, format!("last-modified:{NOON}"), true),
            (asked_by_date.clone(), 200, format!("last-modified:{EARLIER}"), false),
            (asked_by_date.clone(), 200, format!("last-modified:{LATER}"), false),
            (asked_by_date.clone(), 200, format!("date:{EARLIER}"), false),
            (
                format!("{asked_by_date}|if-none-match:\"a\""),
                200,
                format!("last-modified:{NOON}"),
                false,
            ),
            (String::new(), 200, "etag:\"a\"".into(), false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = confirms(&fields(&request), status, &fields(&response));
            assert_eq!(found, expect, "{request} {response}");
        }
    }

    #[test]
    fn only_well_formed_validators_are_sent() {
        // RFC 9111 §4.3.1.
        for (response, expect) in [
            ("etag:\"a\"".into(), "if-none-match:\"a\"".into()),
            ("etag:W/\"a\"".into(), "if-none-match:W/\"a\"".into()),
            (format!("last-modified:{NOON}"), format!("if-modified-since:{NOON}")),
            (
                format!("etag:\"a\"|last-modified:{NOON}"),
                format!("if-none-match:\"a\"|if-modified-since:{NOON}"),
            ),
            ("etag:a|last-modified:yesterday".into(), String::new()),
            ("etag:\"a\"|etag:\"b\"".into(), String::new()),
        ] {
            let validators = Validators::of(&fields(&response));
            let mut request = fields(&format!(
                "if-none-match:\"x\"|if-modified-since:{LATER}|if-match:*|if-range:\"x\""
            ));
            validators.add_to(&mut request);
            assert_eq!(request, fields(&expect), "{response}");
            assert_eq!(validators.is_none(), expect.is_empty());
        }
    }

    #[test]
    fn a_304_freshens_only_the_copy_it_speaks_of() {
        // RFC 9111 §4.3.4.
        let dated = |tag: &str, date: &str| format!("{tag}|last-modified:{date}");
        for (stored, answer, expect) in [
            ("etag:\"a\"".into(), "etag:\"a\"".into(), true),
            ("etag:\"a\"".into(), "etag:\"b\"".into(), false),
            ("etag:W/\"a\"".into(), "etag:\"a\"".into(), false),
            ("etag:\"a\"".into(), "etag:W/\"a\"".into(), true),
            ("etag:\"a\"".into(), "etag:W/\"b\"".into(), false),
            (dated("", NOON), "etag:\"a\"".into(), false),
            (dated("", NOON), dated("etag:W/\"a\"", NOON), true),
            (dated("etag:\"a\"", NOON), dated("", NOON), true),
            (dated("etag:\"a\"", NOON), dated("", LATER), false),
            (dated("etag:\"a\"", NOON), dated("etag:\"a\"", LATER), true),
            ("etag:\"a\"".into(), String::new(), true),
        ] {
            assert_eq!(matches(&fields(&stored), &fields(&answer)), expect, "{stored} / {answer}");
        }
    }

    #[test]
    fn freshening_replaces_fields_but_not_what_describes_the_body() {
        // RFC 9111 §3.2.
        let stored = head(
            203,
            "x:1|x:2|y:1|age:9|content-length:5|content-encoding:gzip|content-type:text/a",
            1,
        );
        let answer = head(
            304,
            "x:3|x:4|z:1|content-length:0|content-encoding:br|content-range:bytes */5|\
             content-type:text/b|connection:close, hop|hop:1|transfer-encoding:chunked",
            9,
        );
        let fresh = freshen(&stored, &answer);
        let expect = "x:3|x:4|y:1|z:1|content-length:5|content-encoding:gzip|content-type:text/b";
        assert_eq!(fresh.headers, fields(expect));
        assert_eq!(fresh.status, 203);
    }

    #[test]
    fn freshening_renews_the_age_but_never_the_log_position() {
        // RFC 9111 §4.3.4; rule R2 of the purge protocol.
        for (at, answered_at) in [(1, 9), (9, 1)] {
            let (stored, answer) = (head(200, "", at), head(304, "", answered_at));
            let fresh = freshen(&stored, &answer);
            assert_eq!(fresh.as_of, LogPosition::new(0, 1));
            assert_eq!(fresh.requested_at, answer.requested_at);
            assert_eq!(fresh.received_at, answer.received_at);
            assert_eq!(fresh.initial_age, answer.initial_age);
            assert_eq!(fresh.proof_age, answer.proof_age);
        }
    }

    fn check(request: &str, response: &str, expect: Condition) {
        let (request, response) = (fields(request), fields(response));
        for method in [Method::GET, Method::HEAD] {
            let found = evaluate(&method, &request, StatusCode::OK, &response);
            assert_eq!(found, expect, "{method} {request:?} {response:?}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        // RFC 9110 §13.1.2.
        use Condition::{NotModified, Proceed};
        for (request, response, expect) in [
            ("\"a\"", "etag:\"a\"", NotModified),
            ("W/\"a\"", "etag:\"a\"", NotModified),
            ("\"a\"", "etag:W/\"a\"", NotModified),
            ("\"b\", \"a\"", "etag:\"a\"", NotModified),
            ("\"b\"", "etag:\"a\"", Proceed),
            ("*", "etag:\"a\"", NotModified),
            ("*", "", NotModified),
            ("\"a\"", "", Proceed),
            ("a", "etag:a", Proceed),
        ] {
            check(&format!("if-none-match:{request}"), response, expect);
        }
    }

    #[test]
    fn if_none_match_silences_if_modified_since() {
        // RFC 9110 §13.1.3.
        let request = format!("if-none-match:\"b\"|if-modified-since:{LATER}");
        check(&request, &format!("etag:\"a\"|last-modified:{NOON}"), Condition::Proceed);
    }

    #[test]
    fn if_modified_since_compares_dates() {
        // RFC 9110 §13.1.3, RFC 9111 §4.3.2.
        use Condition::{NotModified, Proceed};
        for (since, response, expect) in [
            (NOON, format!("last-modified:{NOON}"), NotModified),
            (LATER, format!("last-modified:{NOON}"), NotModified),
            (EARLIER, format!("last-modified:{NOON}"), Proceed),
            ("garbage", format!("last-modified:{NOON}"), Proceed),
            (NOON, format!("date:{NOON}"), NotModified),
            (NOON, format!("date:{LATER}"), Proceed),
            (NOON, format!("last-modified:garbage|date:{NOON}"), Proceed),
            (NOON, String::new(), Proceed),
        ] {
            check(&format!("if-modified-since:{since}"), &response, expect);
        }
    }

    #[test]
    fn if_match_and_if_unmodified_since_can_fail() {
        // RFC 9110 §13.1.1, §13.1.4 and §13.2.2.
        use Condition::{NotModified, PreconditionFailed, Proceed};
        let response = format!("etag:\"a\"|last-modified:{NOON}");
        for (request, expect) in [
            ("if-match:\"a\"".into(), Proceed),
            ("if-match:*".into(), Proceed),
            ("if-match:W/\"a\"".into(), PreconditionFailed),
            ("if-match:\"b\"".into(), PreconditionFailed),
            ("if-match:\"a\"|if-none-match:\"a\"".into(), NotModified),
            ("if-match:\"b\"|if-none-match:\"a\"".into(), PreconditionFailed),
            (format!("if-match:\"a\"|if-unmodified-since:{EARLIER}"), Proceed),
            (format!("if-unmodified-since:{EARLIER}"), PreconditionFailed),
            (format!("if-unmodified-since:{NOON}"), Proceed),
            ("if-unmodified-since:garbage".into(), Proceed),
        ] {
            check(&request, &response, expect);
        }
        check(&format!("if-unmodified-since:{EARLIER}"), "etag:\"a\"", Proceed);
    }

    #[test]
    fn what_would_not_succeed_is_not_conditional() {
        // RFC 9110 §13.2.1.
        let (request, response) = (fields("if-none-match:*|if-match:\"x\""), fields("etag:\"a\""));
        for (method, status) in [(Method::GET, 404), (Method::GET, 301), (Method::POST, 200)] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = evaluate(&method, &request, status, &response);
            assert_eq!(found, Condition::Proceed, "{method} {status}");
        }
    }

    #[test]
    fn a_304_carries_what_a_cache_needs() {
        // RFC 9110 §15.4.5.
        let guide = format!("cache-control:a|cache-control:b|date:{NOON}|expires:0|vary:x");
        let guide = format!("{guide}|cdn-cache-control:c|cache-groups:\"d\"");
        let rest = "content-location:/a|content-type:text/plain|content-length:3|set-cookie:a=b";
        let response = fields(&format!("{guide}|{rest}|etag:\"a\"|last-modified:{NOON}"));
        let expect = fields(&format!("{guide}|content-location:/a|etag:\"a\""));
        assert_eq!(not_modified_fields(&response), expect);
        let dated = fields(&format!("last-modified:{NOON}"));
        assert_eq!(not_modified_fields(&dated), dated);
    }

    #[test]
    fn a_date_is_strong_once_it_lies_a_second_back() {
        // RFC 9110 §8.8.2.2.
        assert!(strong_date(&fields(&format!("last-modified:{EARLIER}|date:{NOON}"))).is_some());
        assert!(strong_date(&fields(&format!("last-modified:{NOON}|date:{NOON}"))).is_none());
        assert!(strong_date(&fields(&format!("last-modified:{NOON}"))).is_none());
    }
}
