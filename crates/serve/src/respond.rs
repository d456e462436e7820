//! Respond: what was obtained, as an answer to a viewer or to a peer.
//!
//! Conditions and ranges are evaluated here and only here, against the response that would be sent.
//! Every answer says in `Cache-Status` what each tier did (RFC 9211), beside `Age`, `Via` and
//! CloudFront's `X-Cache`.

use std::fmt::Write;
use std::sync::Arc;

use caching::{ByteRange, CacheStatus, Coding, Condition, Encoding, Handling, Multipart, Ranged};
use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    RETRY_AFTER, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use model::{CacheKey, Distribution, Moment};
use policy::Denied;
use wire::exchange::{Answer, AnswerHead, Failure};

use crate::account::{Account, Verdict};
use crate::body::Body;
use crate::encode;
use crate::message::Response;
use crate::obtained::{Cut, Obtained};
use crate::pass;
use crate::refusal::Refusal;
use crate::walk;
use crate::want::Want;
use crate::world::World;

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
pub(crate) const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// The answer to a viewer.
pub(crate) fn to_viewer(
    world: &Arc<World>,
    method: &Method,
    want: &Want,
    obtained: Obtained,
    account: &mut Account,
) -> Response {
    let now = world.host.now();
    let status = obtained.head().status;
    let mut headers = obtained.head().headers.clone();
    hide_tags(&want.distribution, &mut headers);
    headers.insert(AGE, HeaderValue::from(obtained.head().age_at(now).as_secs()));
    let trail = trail_of(world, want, &obtained, account, now);
    let coding = negotiated(world, want, &obtained, &mut headers);
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
    if let Some(coding) = coding {
        if let Some(entry) = encode::kept(world, want, &obtained, coding) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(entry.content_bytes()));
        }
        let body = match *method {
            Method::HEAD => Body::Empty,
            _ => obtained.into_encoded(world, want, coding),
        };
        return Response { status, headers, body };
    }
    let Some(bytes) = obtained.body_bytes() else {
        let body = match *method {
            Method::HEAD => Body::Empty,
            _ => obtained.into_guarded(world, want, Cut::Whole),
        };
        return Response { status, headers, body };
    };
    if status == StatusCode::OK {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    match caching::resolve(method, &want.headers, status, &headers, bytes) {
        Ranged::Whole => {
            let body = whole(world, method, want, &mut headers, obtained);
            Response { status, headers, body }
        }
        Ranged::Part(range) => {
            headers.insert(CONTENT_RANGE, caching::content_range(range, bytes));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(range.bytes()));
            let body = obtained.into_guarded(world, want, Cut::Part(range));
            Response { status: StatusCode::PARTIAL_CONTENT, headers, body }
        }
        Ranged::Parts(ranges) => parts(world, want, headers, obtained, ranges),
        Ranged::Unsatisfiable => {
            headers.insert(CONTENT_RANGE, caching::unsatisfied_range(bytes));
            for of_the_content in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING] {
                headers.remove(of_the_content);
            }
            Response { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, body: Body::Empty }
        }
    }
}

/// The coding in which it goes to the viewer, if it does not go as it is; the fields say so.
fn negotiated(
    world: &World,
    want: &Want,
    obtained: &Obtained,
    headers: &mut HeaderMap,
) -> Option<Coding> {
    let coding = match encode::decide(world, want, obtained) {
        None | Some(Encoding::Never(_)) => return None,
        Some(Encoding::Plain) => None,
        Some(Encoding::As(coding)) => Some(coding),
    };
    caching::add_vary(headers);
    if let Some(coding) = coding {
        caching::encode_fields(headers, coding);
    }
    coding
}

/// Several ranges: one `multipart/byteranges`, which says in every part what it holds and nothing
/// of it for the whole (RFC 9110 §15.3.7.2).
fn parts(
    world: &Arc<World>,
    want: &Want,
    mut headers: HeaderMap,
    obtained: Obtained,
    mut ranges: Vec<ByteRange>,
) -> Response {
    if obtained.is_arriving() {
        // What goes by once is sent in the order in which it comes.
        ranges.sort_unstable();
    }
    let length = obtained.body_bytes().unwrap_or_default();
    let boundary = boundary(want, world.host.now());
    let frame = Multipart::new(&ranges, headers.get(CONTENT_TYPE), length, &boundary);
    headers.insert(CONTENT_TYPE, frame.content_type.clone());
    headers.insert(CONTENT_LENGTH, HeaderValue::from(frame.bytes));
    let body = obtained.into_guarded(world, want, Cut::Parts(frame));
    Response { status: StatusCode::PARTIAL_CONTENT, headers, body }
}

/// 128 bits that nobody who writes content can foresee.
fn boundary(want: &Want, now: Moment) -> String {
    let nanos = now.since_start().as_nanos().to_le_bytes();
    let hash = CacheKey::of(&[b"boundary", want.key.as_bytes(), &nanos]);
    let [half, _] = hash.as_bytes().as_chunks::<16>().0 else { unreachable!("a key has 32 bytes") };
    format!("{:032x}", u128::from_le_bytes(*half))
}

fn whole(
    world: &Arc<World>,
    method: &Method,
    want: &Want,
    headers: &mut HeaderMap,
    obtained: Obtained,
) -> Body {
    if let Some(bytes) = obtained.body_bytes()
        && obtained.head().status != StatusCode::NO_CONTENT
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    match *method {
        Method::HEAD => Body::Empty,
        _ => obtained.into_guarded(world, want, Cut::Whole),
    }
}

/// Tags are between the origin and us, unless the distribution says otherwise.
pub(crate) fn hide_tags(distribution: &Distribution, headers: &mut HeaderMap) {
    if !distribution.purging.expose_tags {
        caching::TAG_FIELDS.iter().for_each(|name| drop(headers.remove(*name)));
    }
}

fn failed_precondition(world: &World, account: &mut Account, trail: &str) -> Response {
    let status = StatusCode::PRECONDITION_FAILED;
    let mut headers = HeaderMap::new();
    sign_with(world, &mut headers, account, status, trail);
    Response { status, headers, body: Body::Empty }
}

/// The answer to a peer. A peer's validators are about its own copy: when that is this very
/// response, no body is sent. Of a large object it gets one slice, under the fields of the whole.
pub(crate) fn to_peer(
    world: &World,
    want: &Want,
    obtained: Obtained,
    account: &mut Account,
) -> (Answer, Body) {
    let now = world.host.now();
    let head = obtained.head();
    let trail = trail_of(world, want, &obtained, account, now);
    let proof_age = obtained.permit().proof().age_at(now);
    let is_same = caching::confirms(&want.headers, head.status, &head.headers);
    let mut said = AnswerHead {
        status: head.status,
        headers: head.headers.clone(),
        as_of: head.as_of,
        age: head.age_at(now),
        proof_age,
        body_bytes: obtained.body_bytes(),
        trail,
    };
    if is_same {
        // With all fields: the asker freshens its copy with what the origin said since (RFC 9111
        // §3.2), and only the viewer's own edge leaves out what a 304 need not carry.
        (said.status, said.body_bytes) = (StatusCode::NOT_MODIFIED, Some(0));
        account.status = said.status;
        return (Answer::Response(said), Body::Empty);
    }
    if let Obtained::Sliced(sliced, _) = &obtained {
        let Some(range) = sliced.range_at_hand() else {
            return (Answer::Failed(Failure::Unreachable), Body::Empty);
        };
        said.as_of = sliced.as_of(world, want);
        said.status = StatusCode::PARTIAL_CONTENT;
        said.body_bytes = Some(range.bytes());
        let length = sliced.manifest.length();
        said.headers.insert(CONTENT_RANGE, caching::content_range(range, length));
        said.headers.insert(CONTENT_LENGTH, HeaderValue::from(range.bytes()));
    }
    account.status = said.status;
    (Answer::Response(said), obtained.into_body())
}

/// The answer to a viewer whose request ends here.
pub(crate) fn refuse(world: &World, refusal: &Refusal, account: &mut Account) -> Response {
    let status = refusal.status();
    account.detail = Some(refusal.detail());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if *refusal == Refusal::Fenced {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if *refusal == Refusal::Method {
        headers.insert(ALLOW, pass::ALLOWED);
    }
    if let Refusal::Denied(denied) = refusal {
        explain(*denied, &mut headers, account);
    }
    sign(world, &mut headers, account, status);
    let sentence = format!("{} {refusal}\n", status.as_u16());
    let body = match account.method {
        Method::HEAD => Body::Empty,
        _ => Body::from_bytes(sentence.into()),
    };
    Response { status, headers, body }
}

/// What would do instead.
fn explain(denied: Denied, headers: &mut HeaderMap, account: &Account) {
    match (denied, &account.host, &account.path) {
        (Denied::Method(allowed), ..) => {
            let allowed = HeaderValue::try_from(allowed.names().join(", "));
            let allowed = allowed.expect("names of methods are tokens");
            headers.insert(http::header::ALLOW, allowed);
        }
        (Denied::Redirect(_), Some(host), Some(path)) => {
            if let Ok(location) = HeaderValue::try_from(format!("https://{host}{path}")) {
                headers.insert(http::header::LOCATION, location);
            }
        }
        (Denied::Redirect(_) | Denied::HttpsOnly, ..) => {}
    }
}

/// Adds `Via`, `X-Cache` and `Cache-Status` for an answer that no tier above has handled.
pub(crate) fn sign(world: &World, headers: &mut HeaderMap, account: &Account, status: StatusCode) {
    let trail = trail(world, "", account, (None, None));
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

/// The members of `Cache-Status` for what was obtained. What the next hop answered is said where it
/// may differ from what the asker is told (RFC 9211 §2.3).
fn trail_of(
    world: &World,
    want: &Want,
    obtained: &Obtained,
    account: &Account,
    now: Moment,
) -> String {
    let fwd_status = match account.verdict {
        Verdict::Revalidated(_) => Some(StatusCode::NOT_MODIFIED),
        Verdict::Forwarded(_) if want.speaks_of_a_copy() => Some(obtained.head().status),
        Verdict::None | Verdict::Hit | Verdict::Stale | Verdict::Forwarded(_) => None,
    };
    trail(world, obtained.trail(), account, (fwd_status, obtained.ttl(now)))
}

/// What a member of `Cache-Status` takes, nearly always.
const OWN_MEMBER_BYTES: usize = 96;

/// The members of `Cache-Status`, the cache nearest the origin first (RFC 9211 §2).
fn trail(
    world: &World,
    above: &str,
    account: &Account,
    (fwd_status, ttl): (Option<StatusCode>, Option<i64>),
) -> String {
    let handling = match account.verdict {
        Verdict::None => Handling::Refused,
        Verdict::Hit | Verdict::Stale => Handling::Hit,
        Verdict::Revalidated(why) | Verdict::Forwarded(why) => Handling::Forwarded(why),
    };
    let own = CacheStatus {
        cache: world.name.as_str(),
        handling,
        fwd_status,
        ttl,
        stored: account.stored,
        collapsed: account.collapsed,
        detail: account.detail.or(reason(account.verdict)).or(Some(account.tier.as_str())),
    };
    let mut members = String::with_capacity(above.len() + OWN_MEMBER_BYTES);
    let separator = if above.is_empty() { "" } else { ", " };
    write!(members, "{above}{separator}{own}").expect("a string takes what is written");
    members
}

/// Why a copy was not served, where `fwd` does not say it all.
fn reason(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Revalidated(why) | Verdict::Forwarded(why) => why.detail(),
        Verdict::None | Verdict::Hit | Verdict::Stale => None,
    }
}
