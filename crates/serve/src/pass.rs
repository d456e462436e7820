//! Pass: requests that no cache answers go from the edge straight to the origin, and back,
//! unharmed.
//!
//! Bodies stream both ways, trailers and interim responses included. Nothing is retried or
//! collapsed, and only what a `POST` brings may be kept; what the origin's answer does away with
//! goes before the viewer hears of it, and also if the viewer is there no longer.

use std::sync::Arc;

use caching::{CDN_LOOP, Reach};
use http::header::{ALLOW, VIA};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::{Distribution, UnsafeMethods};

use crate::accept::Visit;
use crate::account::{Account, Source, Verdict};
use crate::allowance;
use crate::body::Body;
use crate::change::{self, Change, Changed};
use crate::invalidate::Spread;
use crate::message::Response;
use crate::post::Posted;
use crate::refusal::Refusal;
use crate::respond;
use crate::walk;
use crate::world::{OriginRequest, World};

/// The methods that are served here.
pub(crate) const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Sends the visit to the origin and its answer to the viewer.
pub(crate) async fn through(
    world: &Arc<World>,
    mut visit: Visit,
    account: &mut Account,
) -> Result<Response, Refusal> {
    if caching::count_forward(&visit.method, &mut visit.headers) == Reach::Here {
        return Ok(end_here(world, account));
    }
    let no_origin = Refusal::Failed(wire::exchange::Failure::Misdirected);
    let distribution = visit.distribution.clone();
    let behavior = distribution.behavior_at(visit.place);
    let origin = distribution.origin_of(behavior).ok_or(no_origin)?;
    let posted = Posted::leaving(world, &visit, account.began);
    let mut headers = visit.headers;
    policy::forwarded_headers(behavior, &mut headers);
    headers.append(VIA, walk::via(world));
    headers.append(&CDN_LOOP, walk::passage(world, &distribution).field_value());
    let resource = policy::resource(&distribution, &visit.attributes.path);
    let bytes_max = behavior.origin_request_policy.body_bytes_max;
    let (body, overrun) = allowance::at_most(visit.body, bytes_max).ok_or(Refusal::Body)?;
    let request = OriginRequest {
        method: visit.method.clone(),
        host: visit.attributes.host.clone(),
        target: policy::forwarded_target(behavior, &resource).as_str().to_owned(),
        headers,
        body,
        interim: walk::relayed(visit.interim),
    };
    account.source = Source::Origin;
    account.verdict = Verdict::Forwarded(caching::Why::Method);
    let exchange = world.origins.fetch(origin, request);
    let changed = match may_invalidate(&distribution, &visit.method) {
        true => {
            let (method, kept) = (visit.method, visit.kept);
            let change = Change { method, distribution: distribution.clone(), kept };
            change::make(world, change, exchange).await
        }
        false => exchange.await.map(|answer| Changed { answer, spread: Spread::Nothing }),
    };
    let Changed { answer, spread } = changed.map_err(|error| match overrun.has_happened() {
        true => Refusal::Body,
        false => Refusal::Failed(walk::failure_of(error)),
    })?;
    let mut headers = answer.headers;
    caching::strip_hop_by_hop(&mut headers);
    policy::withhold_cookies(behavior, &mut headers);
    let keepsake =
        posted.and_then(|posted| posted.answered(world, (answer.status, &headers), &spread));
    account.stored = keepsake.is_some();
    respond::hide_tags(&distribution, &mut headers);
    respond::sign(world, &mut headers, account, answer.status);
    let (bytes, stream) = (answer.body_bytes, answer.body);
    let stream = match keepsake {
        Some(keepsake) => keepsake.fill_from(stream, bytes),
        None => stream,
    };
    let body = Body::Stream { stream, bytes };
    Ok(Response { status: answer.status, headers, body })
}

/// Whether the answer to such a request may do away with anything.
fn may_invalidate(distribution: &Distribution, method: &Method) -> bool {
    match distribution.purging.unsafe_methods {
        UnsafeMethods::Invalidate => !caching::is_safe(method),
        UnsafeMethods::Ignore => false,
    }
}

/// Answers an `OPTIONS` that must not go further (RFC 9110 §7.6.2).
fn end_here(world: &World, account: &mut Account) -> Response {
    let (status, mut headers) = (StatusCode::NO_CONTENT, HeaderMap::new());
    headers.insert(ALLOW, ALLOWED);
    account.detail = Some("max-forwards");
    respond::sign(world, &mut headers, account, status);
    Response { status, headers, body: Body::Empty }
}
