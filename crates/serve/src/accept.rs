//! Accept: which distribution a viewer's request belongs to, and what it asks for in canonical
//! form.

use std::net::SocketAddr;
use std::sync::Arc;

use caching::Expectation;
use http::header::MAX_FORWARDS;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::distribution::RequestLimits;
use model::limits::{CONFIRM, SLICE_BYTES, SLICED_BYTES_MAX};
use model::{
    Attributes, CacheBehavior, Distribution, Freshness, Host, LogPosition, Moment, Path, Tier,
};
use policy::Scheme;

use crate::account::Account;
use crate::body::Body;
use crate::message::Request;
use crate::refusal::Refusal;
use crate::walk;
use crate::want::{Asker, Effort, Footing, Resolved, Want};
use crate::world::{Interim, World};

/// A viewer's request, understood.
pub(crate) struct Visit {
    /// The method.
    pub(crate) method: Method,
    /// How it came.
    pub(crate) scheme: Scheme,
    /// The distribution it belongs to.
    pub(crate) distribution: Arc<Distribution>,
    /// The URL that was asked for, in canonical form.
    pub(crate) attributes: Arc<Attributes>,
    /// The URL under which it is kept.
    pub(crate) kept: Arc<Attributes>,
    /// Which behavior covers it.
    pub(crate) place: Option<usize>,
    /// End-to-end fields, with the viewer's address and what was derived from it added.
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
    let is_about_us = request.method == Method::OPTIONS && request.target == "*";
    let target = if is_about_us { "/" } else { &request.target };
    let path = Path::parse(target).map_err(|_| Refusal::Target)?;
    let state = world.ledger.state();
    let distribution = state.distribution_for(&host).cloned();
    let path = match distribution.as_deref() {
        Some(distribution) => policy::asked(distribution, path),
        None => path,
    };
    account.host = Some(host.clone());
    account.path = Some(path.clone());
    let distribution = distribution.ok_or(Refusal::UnknownHost)?;
    account.distribution = Some(distribution.name.clone());
    check_size(&distribution, &request.headers)?;
    let mut headers = request.headers;
    caching::strip_hop_by_hop(&mut headers);
    headers.remove(http::header::HOST);
    if is_about_us {
        // RFC 9110 §9.3.7: the server itself is asked, which we are to viewers.
        headers.insert(MAX_FORWARDS, HeaderValue::from(0));
    }
    if headers.contains_key(&caching::CDN_LOOP)
        && walk::passage(world, &distribution).is_repeated_in(&headers)
    {
        return Err(Refusal::Loop);
    }
    if caching::meet_expectation(&mut headers) == Expectation::Unknown {
        return Err(Refusal::Expectation);
    }
    note_viewer(&mut headers, request.viewer);
    let name = distribution.name.clone();
    let attributes = Arc::new(Attributes { distribution: name, host, path });
    let Resolved { kept, place } = Resolved::of(&distribution, &attributes);
    let country = world.countries.of(request.viewer.ip());
    policy::derive(distribution.behavior_at(place), country, &mut headers);
    Ok(Visit {
        method: request.method,
        scheme: request.scheme,
        distribution,
        attributes,
        kept,
        place,
        headers,
        body: request.body,
        interim: request.interim,
    })
}

/// A distribution may take less than the gateway does.
fn check_size(distribution: &Distribution, headers: &HeaderMap) -> Result<(), Refusal> {
    let RequestLimits { header_bytes_max, header_fields_max } = distribution.limits;
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let fits = bytes <= header_bytes_max as usize && headers.len() <= header_fields_max as usize;
    if fits { Ok(()) } else { Err(Refusal::Headers) }
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
    /// A page of ours, as a viewer without any wishes would ask for it.
    pub(crate) fn for_page(distribution: &Arc<Distribution>, attributes: Arc<Attributes>) -> Visit {
        let Resolved { kept, place } = Resolved::of(distribution, &attributes);
        let mut headers = HeaderMap::new();
        policy::derive(distribution.behavior_at(place), None, &mut headers);
        Visit {
            method: Method::GET,
            scheme: Scheme::Http,
            distribution: distribution.clone(),
            attributes,
            kept,
            place,
            headers,
            body: Body::Empty,
            interim: None,
        }
    }

    /// The behavior that covers it.
    pub(crate) fn behavior(&self) -> &CacheBehavior {
        self.distribution.behavior_at(self.place)
    }

    /// Whether its behavior lets it in.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        let admitted = policy::admit(self.behavior(), self.scheme, &self.method);
        admitted.map_err(Refusal::Denied)
    }

    /// Whether the answer may come from a cache at all (RFC 9110 §9.2.3, as far as caches implement
    /// it).
    pub(crate) fn is_cacheable_method(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// What the visit, which came at `arrived_at`, asks of this edge.
    pub(crate) fn want(&self, arrived_at: Moment, footing: Footing) -> Want {
        let behavior = self.behavior();
        let mut headers = self.headers.clone();
        policy::forwarded_headers(behavior, &mut headers);
        Want {
            tier: Tier::Edge,
            asker: Asker::Viewer,
            distribution: self.distribution.clone(),
            attributes: self.attributes.clone(),
            kept: self.kept.clone(),
            place: self.place,
            key: policy::key(behavior, &self.kept, &headers),
            headers,
            applied: LogPosition::ZERO,
            settles_for: None,
            arrived_at,
            footing,
            effort: match footing {
                Footing::Leased | Footing::Confirmed => Effort::Ordinary,
                Footing::Unconfirmed => Effort::Anew,
            },
            interim: self.interim.clone(),
            asked: self.method.clone(),
            slice: caching::first_byte(&self.method, &self.headers)
                .map(caching::slice_of)
                .filter(|number| *number < SLICED_BYTES_MAX / SLICE_BYTES),
            // By the viewer's own weights; what goes up names the codings only.
            coding: caching::negotiate(&self.headers, &behavior.cache_policy),
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
