//! Accept: which distribution a viewer's request belongs to, and what it asks for in canonical
//! form.

use std::net::SocketAddr;
use std::sync::Arc;

use caching::Expectation;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::limits::CONFIRM;
use model::{Attributes, Distribution, Freshness, Host, LogPosition, Moment, Path, Tier};

use crate::account::Account;
use crate::body::Body;
use crate::message::Request;
use crate::refusal::Refusal;
use crate::walk;
use crate::want::{Asker, Effort, Footing, Want};
use crate::world::{Interim, World};

/// A viewer's request, understood.
pub(crate) struct Visit {
    /// The method.
    pub(crate) method: Method,
    /// The distribution it belongs to.
    pub(crate) distribution: Arc<Distribution>,
    /// What purges match.
    pub(crate) attributes: Arc<Attributes>,
    /// End-to-end fields, with the viewer's address added.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Body,
    /// Takes interim responses.
    pub(crate) interim: Option<Interim>,
}

/// Understands `request`, or says why not.
pub(crate) fn visit(
    world: &World,
    request: Request,
    account: &mut Account,
) -> Result<Visit, Refusal> {
    if !world.tiers.contains(Tier::Edge) {
        return Err(Refusal::NotAnEdge);
    }
    if request.method == Method::CONNECT || request.method == Method::TRACE {
        return Err(Refusal::Method);
    }
    let host = Host::parse(&request.host).map_err(|_| Refusal::Host)?;
    let path = Path::parse(&request.target).map_err(|_| Refusal::Target)?;
    account.host = Some(host.clone());
    account.path = Some(path.clone());
    let state = world.ledger.state();
    let distribution = state.distribution_for(&host).ok_or(Refusal::UnknownHost)?.clone();
    account.distribution = Some(distribution.name.clone());
    let mut headers = request.headers;
    caching::strip_hop_by_hop(&mut headers);
    headers.remove(http::header::HOST);
    if walk::passage(world, &distribution).is_repeated_in(&headers) {
        return Err(Refusal::Loop);
    }
    if caching::meet_expectation(&mut headers) == Expectation::Unknown {
        return Err(Refusal::Expectation);
    }
    note_viewer(&mut headers, request.viewer);
    let attributes = Attributes { distribution: distribution.name.clone(), host, path };
    Ok(Visit {
        method: request.method,
        distribution,
        attributes: Arc::new(attributes),
        headers,
        body: request.body,
        interim: request.interim,
    })
}

/// Appends the viewer to `X-Forwarded-For`, as CloudFront does. It never becomes part of a key.
fn note_viewer(headers: &mut HeaderMap, viewer: SocketAddr) {
    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let before: Vec<&str> =
        headers.get_all(&X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let chain = match before.join(", ") {
        chain if chain.is_empty() => viewer.ip().to_string(),
        chain => format!("{chain}, {}", viewer.ip()),
    };
    if let Ok(value) = HeaderValue::try_from(chain) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

impl Visit {
    /// Whether the answer may come from a cache at all (RFC 9110 §9.2.3, as far as caches implement
    /// it).
    pub(crate) fn is_cacheable_method(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// What the visit, which came at `arrived_at`, asks of this edge.
    pub(crate) fn want(&self, arrived_at: Moment, footing: Footing) -> Want {
        Want {
            tier: Tier::Edge,
            asker: Asker::Viewer,
            distribution: self.distribution.clone(),
            attributes: self.attributes.clone(),
            key: caching::key(&self.attributes),
            headers: self.headers.clone(),
            applied: LogPosition::ZERO,
            settles_for: None,
            arrived_at,
            footing,
            effort: match footing {
                Footing::Leased | Footing::Confirmed => Effort::Ordinary,
                Footing::Unconfirmed => Effort::Anew,
            },
            interim: self.interim.clone(),
        }
    }
}

/// What an answer of the distribution may rest on: where it wants that, the voters are asked first
/// (rule R22).
pub(crate) async fn footing(world: &World, distribution: &Distribution) -> Footing {
    match distribution.purging.freshness {
        Freshness::Leased => Footing::Leased,
        Freshness::Confirm => match world.ledger.confirm(CONFIRM).await {
            true => Footing::Confirmed,
            false => Footing::Unconfirmed,
        },
    }
}
