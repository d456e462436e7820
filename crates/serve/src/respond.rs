//! Respond: what was obtained, as an answer to a viewer or to a peer.
//!
//! Conditions and ranges are evaluated here and only here, against the response that would be sent.
//! Every answer says in `Cache-Status` what each tier did (RFC 9211), beside `Age`, `Via` and
//! CloudFront's `X-Cache`.

use std::sync::Arc;

use caching::{CacheStatus, Condition, Handling, Ranged, Vary};
use futures_util::StreamExt;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use model::object::Head;
use model::{CacheKey, Moment};
use wire::exchange::{Answer, AnswerHead, Failure};

use crate::account::{Account, Verdict};
use crate::body::Body;
use crate::fill::{Absent, Opening, Reader, Sharing};
use crate::lookup::{self, Copy, Entry, Found};
use crate::message::Response;
use crate::refusal::Refusal;
use crate::walk;
use crate::want::{Asker, Want};
use crate::world::World;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// A response to give: from the cache, or as it arrives.
pub(crate) enum Obtained {
    /// Kept before.
    Stored(Arc<Entry>),
    /// Arriving.
    Filling(Arc<Opening>, Reader),
}

/// What came of reading a fill.
pub(crate) enum Reading {
    /// A response to give.
    Here(Obtained),
    /// The stored copy will do, since what arrived is worse.
    Stale,
    /// What arrived is not for this request: start over.
    Again,
    /// What arrived is for one request only, and not for this one.
    Alone,
    /// Nothing arrived.
    Failed(Failure),
}

/// Reads the fill that this request started: whatever arrives is its answer, unless a purge has
/// overtaken it.
pub(crate) async fn lead(
    world: &World,
    want: &Want,
    reader: Reader,
    account: &mut Account,
) -> Reading {
    read(world, want, reader, account, |_| None).await
}

/// Reads a fill that another request started: only what is shareable and of this request's variant
/// will do.
pub(crate) async fn follow(
    world: &World,
    want: &Want,
    reader: Reader,
    account: &mut Account,
) -> Reading {
    account.collapsed = true;
    let judge = |opening: &Opening| match opening.sharing {
        Sharing::Nobody(_) => Some(Reading::Alone),
        Sharing::Variant(key) if key == variant(want, &opening.head) => None,
        Sharing::Variant(_) => Some(Reading::Again),
    };
    read(world, want, reader, account, judge).await
}

pub(crate) fn variant(want: &Want, head: &Head) -> CacheKey {
    match caching::vary(&head.headers) {
        Vary::None | Vary::Any => want.key,
        Vary::Fields(fields) => caching::variant_key(&want.key, &fields, &want.headers),
    }
}

async fn read(
    world: &World,
    want: &Want,
    reader: Reader,
    account: &mut Account,
    objection: impl Fn(&Opening) -> Option<Reading>,
) -> Reading {
    let opening = match reader.opening().await {
        Ok(opening) => opening,
        Err(Absent::Failed(failure)) => return Reading::Failed(failure),
        Err(Absent::Overtaken) => return Reading::Again,
    };
    let objection = match lookup::is_current(world, want, opening.head.as_of) {
        true => objection(&opening),
        false => Some(Reading::Again),
    };
    if let Some(objection) = objection {
        account.collapsed = false;
        return objection;
    }
    account.source = opening.source.clone();
    match opening.sharing {
        Sharing::Variant(_) => account.stored = true,
        Sharing::Nobody(reason) => account.detail = Some(reason),
    }
    if let (true, Verdict::Forwarded(why)) = (opening.revalidated, account.verdict) {
        account.verdict = Verdict::Revalidated(why);
    }
    Reading::Here(Obtained::Filling(opening, reader))
}

impl Reading {
    /// Chooses the stored copy over a failure, where its terms allow (RFC 5861 §4). Only the
    /// viewer's own edge may choose so: tiers above tell the truth.
    pub(crate) fn or_stale(self, found: &Found, want: &Want, now: Moment) -> Reading {
        let failed = match &self {
            Reading::Failed(_) => true,
            Reading::Here(obtained) => caching::is_failure(obtained.head().status),
            Reading::Again | Reading::Alone | Reading::Stale => false,
        };
        let allows =
            |copy: &Copy| caching::may_serve_on_error(&copy.terms, copy.object.head.age_at(now));
        if failed && want.asker == Asker::Viewer && found.copy().is_some_and(allows) {
            return Reading::Stale;
        }
        self
    }
}

impl Obtained {
    fn copy(entry: &Entry) -> &Copy {
        entry.copy().expect("only objects are obtained")
    }

    fn head(&self) -> &Head {
        match self {
            Obtained::Stored(entry) => &Obtained::copy(entry).object.head,
            Obtained::Filling(opening, _) => &opening.head,
        }
    }

    fn body_bytes(&self) -> Option<u64> {
        match self {
            Obtained::Stored(entry) => Some(Obtained::copy(entry).object.body_bytes),
            Obtained::Filling(opening, _) => opening.body_bytes,
        }
    }

    fn trail(&self) -> &str {
        match self {
            Obtained::Stored(_) => "",
            Obtained::Filling(opening, _) => &opening.trail,
        }
    }

    fn ttl(&self, now: Moment) -> Option<i64> {
        let Obtained::Stored(entry) = self else { return None };
        let copy = Obtained::copy(entry);
        Some(copy.terms.ttl_at(copy.object.head.age_at(now)))
    }

    fn into_body(self) -> Body {
        match self {
            Obtained::Stored(entry) => {
                let object = &Obtained::copy(&entry).object;
                match object.body_bytes {
                    0 => Body::Empty,
                    bytes => Body::Whole { chunks: object.body.clone(), bytes },
                }
            }
            Obtained::Filling(opening, reader) => {
                Body::Stream { stream: reader.boxed(), bytes: opening.body_bytes }
            }
        }
    }
}

/// The answer to a viewer.
pub(crate) fn to_viewer(
    world: &World,
    method: &Method,
    want: &Want,
    obtained: Obtained,
    account: &mut Account,
) -> Response {
    let now = world.host.now();
    let status = obtained.head().status;
    let mut headers = obtained.head().headers.clone();
    headers.insert(AGE, HeaderValue::from(obtained.head().age_at(now).as_secs()));
    let trail = trail(world, obtained.trail(), account, obtained.ttl(now));
    match caching::evaluate(method, &want.headers, status, &headers) {
        Condition::Proceed => {}
        Condition::NotModified => {
            let age = HeaderValue::from(obtained.head().age_at(now).as_secs());
            let mut headers = caching::not_modified_fields(&headers);
            headers.insert(AGE, age);
            sign_with(world, &mut headers, account, status, &trail);
            return Response { status: StatusCode::NOT_MODIFIED, headers, body: Body::Empty };
        }
        Condition::PreconditionFailed => {
            return failed_precondition(world, account, &trail);
        }
    }
    sign_with(world, &mut headers, account, status, &trail);
    let Some(bytes) = obtained.body_bytes() else {
        let body = if method == Method::HEAD { Body::Empty } else { obtained.into_body() };
        return Response { status, headers, body };
    };
    let (status, body) = match caching::resolve(method, &want.headers, status, &headers, bytes) {
        Ranged::Whole => (status, whole(method, &mut headers, obtained, bytes)),
        Ranged::Part { first, last } => {
            headers.insert(CONTENT_RANGE, caching::content_range(first, last, bytes));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(last - first + 1));
            (StatusCode::PARTIAL_CONTENT, obtained.into_body().slice(first, last))
        }
        Ranged::Unsatisfiable => {
            headers.insert(CONTENT_RANGE, caching::unsatisfied_range(bytes));
            headers.remove(CONTENT_LENGTH);
            headers.remove(CONTENT_TYPE);
            (StatusCode::RANGE_NOT_SATISFIABLE, Body::Empty)
        }
    };
    Response { status, headers, body }
}

fn whole(method: &Method, headers: &mut HeaderMap, obtained: Obtained, bytes: u64) -> Body {
    if obtained.head().status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    if method == Method::HEAD { Body::Empty } else { obtained.into_body() }
}

fn failed_precondition(world: &World, account: &mut Account, trail: &str) -> Response {
    let status = StatusCode::PRECONDITION_FAILED;
    let mut headers = HeaderMap::new();
    sign_with(world, &mut headers, account, status, trail);
    Response { status, headers, body: Body::Empty }
}

/// The answer to a peer. A peer's validators are about its own copy: when that is this very
/// response, no body is sent.
pub(crate) fn to_peer(
    world: &World,
    want: &Want,
    obtained: Obtained,
    account: &mut Account,
) -> (Answer, Body) {
    let now = world.host.now();
    let head = obtained.head();
    let trail = trail(world, obtained.trail(), account, obtained.ttl(now));
    let (as_of, age) = (head.as_of, head.age_at(now));
    let condition = caching::evaluate(&Method::GET, &want.headers, head.status, &head.headers);
    account.status = head.status;
    match condition {
        Condition::NotModified => {
            let headers = caching::not_modified_fields(&head.headers);
            let status = StatusCode::NOT_MODIFIED;
            account.status = status;
            let head = AnswerHead { status, headers, as_of, age, body_bytes: Some(0), trail };
            (Answer::Response(head), Body::Empty)
        }
        Condition::Proceed | Condition::PreconditionFailed => {
            let (status, headers) = (head.status, head.headers.clone());
            let body_bytes = obtained.body_bytes();
            let head = AnswerHead { status, headers, as_of, age, body_bytes, trail };
            (Answer::Response(head), obtained.into_body())
        }
    }
}

/// The answer to a viewer whose request ends here.
pub(crate) fn refuse(world: &World, refusal: &Refusal, account: &mut Account) -> Response {
    let status = refusal.status();
    account.detail = Some(refusal.detail());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if *refusal == Refusal::Method {
        headers.insert(
            http::header::ALLOW,
            HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        );
    }
    sign(world, &mut headers, account, status);
    let sentence = format!("{} {refusal}\n", status.as_u16());
    let body = match account.method {
        Method::HEAD => Body::Empty,
        _ => Body::from_bytes(sentence.into()),
    };
    Response { status, headers, body }
}

/// Adds `Via`, `X-Cache` and `Cache-Status` for an answer that no tier above has handled.
pub(crate) fn sign(world: &World, headers: &mut HeaderMap, account: &Account, status: StatusCode) {
    let trail = trail(world, "", account, None);
    sign_with(world, headers, account, status, &trail);
}

fn sign_with(
    world: &World,
    headers: &mut HeaderMap,
    account: &Account,
    status: StatusCode,
    trail: &str,
) {
    headers.append(VIA, walk::via(world));
    let said = match account.verdict {
        Verdict::Hit | Verdict::Stale => "Hit from shoal",
        Verdict::Revalidated(_) => "RefreshHit from shoal",
        Verdict::None => "Error from shoal",
        Verdict::Forwarded(_) if status.is_server_error() => "Error from shoal",
        Verdict::Forwarded(_) => "Miss from shoal",
    };
    headers.insert(X_CACHE, HeaderValue::from_static(said));
    if let Ok(trail) = HeaderValue::from_str(trail) {
        headers.append(CACHE_STATUS, trail);
    }
}

/// The members of `Cache-Status`, the cache nearest the origin first (RFC 9211 §2).
fn trail(world: &World, above: &str, account: &Account, ttl: Option<i64>) -> String {
    let handling = match account.verdict {
        Verdict::None => Handling::Refused,
        Verdict::Hit | Verdict::Stale => Handling::Hit,
        Verdict::Revalidated(why) | Verdict::Forwarded(why) => Handling::Forwarded(why),
    };
    let own = CacheStatus {
        cache: world.name.as_str(),
        handling,
        fwd_status: None,
        ttl,
        stored: account.stored,
        collapsed: account.collapsed,
        detail: account.detail.or(Some(account.tier.as_str())),
    };
    if above.is_empty() { own.to_string() } else { format!("{above}, {own}") }
}
