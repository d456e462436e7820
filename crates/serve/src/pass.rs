//! Pass: requests that no cache answers go from the edge straight to the origin, and back,
//! unharmed.
//!
//! Bodies stream both ways, trailers and interim responses included. Nothing is stored, retried or
//! collapsed.

use http::header::VIA;

use crate::accept::Visit;
use crate::account::{Account, Source, Verdict};
use crate::body::Body;
use crate::message::Response;
use crate::refusal::Refusal;
use crate::respond;
use crate::walk;
use crate::world::{OriginRequest, World};

/// Sends the visit to the origin and its answer to the viewer.
pub(crate) async fn through(
    world: &World,
    visit: Visit,
    account: &mut Account,
) -> Result<Response, Refusal> {
    let no_origin = Refusal::Failed(wire::exchange::Failure::Misdirected);
    let behavior = &visit.distribution.default_cache_behavior;
    let origin = visit.distribution.origin_of(behavior).ok_or(no_origin)?;
    let mut headers = visit.headers;
    headers.append(VIA, walk::via(world));
    let request = OriginRequest {
        method: visit.method,
        host: visit.attributes.host.clone(),
        target: visit.attributes.path.as_str().to_owned(),
        headers,
        body: visit.body,
        interim: visit.interim,
    };
    account.source = Source::Origin;
    account.verdict = Verdict::Forwarded(caching::Why::Method);
    let answer = world.origins.fetch(origin, request).await;
    let answer = answer.map_err(|error| Refusal::Failed(walk::failure_of(error)))?;
    let mut headers = answer.headers;
    caching::strip_hop_by_hop(&mut headers);
    respond::hide_tags(&visit.distribution, &mut headers);
    respond::sign(world, &mut headers, account, answer.status);
    let body = Body::Stream { stream: answer.body, bytes: answer.body_bytes };
    Ok(Response { status: answer.status, headers, body })
}
