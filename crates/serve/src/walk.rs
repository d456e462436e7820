//! The walk up the tiers: the next hop, until one answers.
//!
//! Before the first byte every failure of a peer means the next successor, then the tier above, and
//! at the end the origin itself: a viewer never sees that a node died. What the tiers above say of
//! the origin is the truth and is not asked twice.

use std::sync::Arc;
use std::time::Duration;

use caching::{CDN_LOOP, Passage, Validators};
use control::lease::wait_for;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, VIA};
use model::limits::PEER_FIRST_BYTE;
use model::object::Head;
use model::{Distribution, LogPosition, Member, Moment, NodeName, Tier};
use placement::{Hop, Walk};
use wire::exchange::{Answer, AnswerHead, Failure, Question};

use crate::account::Source;
use crate::body::{Body, BodyStream};
use crate::want::{Effort, Want};
use crate::world::{Interim, Mesh, OriginError, OriginRequest, PeerError, World};

/// A response that has begun to arrive.
pub(crate) struct Answered {
    /// Status, fields, provenance.
    pub(crate) head: Head,
    /// Bytes of the body, where known.
    pub(crate) body_bytes: Option<u64>,
    /// What the tiers above said (`Cache-Status` members).
    pub(crate) trail: String,
    /// Who sent it.
    pub(crate) source: Source,
    /// How the origin was asked, if this node asked it.
    pub(crate) effort: Effort,
    /// The body.
    pub(crate) body: BodyStream,
}

/// The hops that remain for one fetch.
pub(crate) struct Route {
    mesh: Arc<Mesh>,
    hops: Walk,
}

impl Route {
    /// The hops above `want`'s tier: owners by the ring, dead ones left out.
    pub(crate) fn plan(world: &World, want: &Want) -> Route {
        let mesh = world.members.mesh();
        let me = mesh.view.seat_of(&world.name);
        let alive = |seat| mesh.is_alive(seat);
        let hops = placement::walk(&mesh.view, me, &world.region, want.tier, &want.key, alive);
        Route { hops, mesh: mesh.clone() }
    }

    /// The tier that this node is for what `want` names: the one in which it was asked, or a higher
    /// one that it owns itself. Requests meet there, from whichever side they come.
    pub(crate) fn rank(&self) -> Tier {
        self.hops.rank()
    }

    /// The origin and nothing else.
    pub(crate) fn straight(world: &World, want: &Want) -> Route {
        let mut route = Route::plan(world, want);
        let peers = route.hops.clone().take_while(|hop| *hop != Hop::Origin).count();
        route.hops.by_ref().take(peers).for_each(drop);
        route
    }

    /// The first shield on the way, if it is another node.
    pub(crate) fn shield(mut self) -> Option<NodeName> {
        while let Some(Next::Peer(name, tier)) = self.next() {
            if tier == Tier::Shield {
                return Some(name);
            }
        }
        None
    }

    fn next(&mut self) -> Option<Next> {
        Some(match self.hops.next()? {
            Hop::Origin => Next::Origin,
            Hop::Peer { seat, tier } => {
                let Member { name, .. } = self.mesh.view.member(seat);
                Next::Peer(name.clone(), tier)
            }
        })
    }
}

enum Next {
    Peer(NodeName, Tier),
    Origin,
}

/// Asks hop after hop; the first answer wins.
pub(crate) async fn first_answer(
    world: &World,
    want: &Want,
    validators: Option<&Validators>,
    route: &mut Route,
) -> Result<Answered, Failure> {
    while let Some(next) = route.next() {
        match next {
            Next::Origin => return ask_origin(world, want, validators).await,
            Next::Peer(name, tier) => {
                if let Some(verdict) = ask_peer(world, want, validators, &name, tier).await {
                    return verdict;
                }
            }
        }
    }
    Err(Failure::Unreachable)
}

/// `None` means: ask the next hop.
async fn ask_peer(
    world: &World,
    want: &Want,
    validators: Option<&Validators>,
    name: &NodeName,
    tier: Tier,
) -> Option<Result<Answered, Failure>> {
    let mut headers = want.upward_headers();
    if let Some(validators) = validators {
        validators.add_to(&mut headers);
    }
    let applied = want.applied.max(world.ledger.state().applied());
    let attributes = want.attributes.as_ref().clone();
    let question = Question { tier, attributes, headers, applied, slice: want.slice };
    let requested_at = world.host.now();
    let answer = match world.peers.ask(name, question, PEER_FIRST_BYTE, want.interim.clone()).await
    {
        Ok(answer) => answer,
        Err(PeerError::Unreachable(_)) => {
            world.members.doubt(name);
            return None;
        }
        Err(PeerError::Broken(_)) => return None,
    };
    match answer.answer {
        Answer::Behind(_) | Answer::Failed(Failure::Misdirected) => None,
        Answer::Failed(
            failure @ (Failure::Unreachable | Failure::TimedOut | Failure::Overloaded),
        ) => Some(Err(failure)),
        Answer::Response(said) => {
            let AnswerHead { status, headers, as_of, age, proof_age, body_bytes, trail } = said;
            let head = Head {
                status,
                headers,
                as_of,
                requested_at,
                received_at: world.host.now(),
                initial_age: age,
                proof_age,
            };
            let (source, effort) = (Source::Peer(name.clone(), tier), Effort::Ordinary);
            Some(Ok(Answered { head, body_bytes, trail, source, effort, body: answer.body }))
        }
    }
}

async fn ask_origin(
    world: &World,
    want: &Want,
    validators: Option<&Validators>,
) -> Result<Answered, Failure> {
    let behavior = want.behavior();
    let origin = want.distribution.origin_of(behavior).ok_or(Failure::Misdirected)?;
    let mut headers = want.upward_headers();
    if let Some(validators) = validators {
        validators.add_to(&mut headers);
    }
    if let Some(number) = want.slice {
        caching::ask_for_slice(&mut headers, number);
    }
    headers.append(VIA, via(world));
    headers.append(&CDN_LOOP, passage(world, &want.distribution).field_value());
    if want.effort != Effort::Ordinary {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let resource = policy::resource(&want.distribution, &want.attributes.path);
    let request = OriginRequest {
        method: want.method(),
        host: want.attributes.host.clone(),
        target: policy::forwarded_target(behavior, &resource).as_str().to_owned(),
        headers,
        body: Body::Empty,
        interim: relayed(want.interim.clone()),
    };
    // Rule R1: read before the request leaves, so that a purge applied meanwhile covers what comes
    // back.
    let as_of = world.ledger.state().applied();
    let requested_at = world.host.now();
    let answer = world.origins.fetch(origin, request).await.map_err(failure_of)?;
    let received_at = world.host.now();
    let mut headers = answer.headers;
    caching::strip_hop_by_hop(&mut headers);
    policy::withhold_cookies(behavior, &mut headers);
    caching::ensure_date(&mut headers, world.host.wall());
    let delay = received_at.since(requested_at);
    let initial_age = caching::initial_age(&headers, world.host.wall(), delay);
    let from_before = caching::said_age(&headers).map(longest);
    let head = Head {
        status: answer.status,
        headers,
        as_of: from_before.map_or(as_of, |age| as_of.min(applied_before(world, requested_at, age))),
        requested_at,
        received_at,
        initial_age,
        proof_age: from_before.unwrap_or_default(),
    };
    Ok(Answered {
        head,
        body_bytes: answer.body_bytes,
        trail: String::new(),
        source: Source::Origin,
        effort: want.effort,
        body: answer.body,
    })
}

/// Interim responses of an origin as they may go on: without what ends at this hop.
pub(crate) fn relayed(interim: Option<Interim>) -> Option<Interim> {
    let interim = interim?;
    Some(Arc::new(move |status, mut headers| {
        caching::strip_hop_by_hop(&mut headers);
        interim(status, headers);
    }))
}

/// `Age` has whole seconds: an answer is at most that much older than it says.
const AGE_GRAIN: Duration = Duration::from_secs(1);

/// That age by this node's clock, if it runs as fast, and the cache's as slowly, as clocks may.
fn longest(age: Duration) -> Duration {
    wait_for(age.saturating_add(AGE_GRAIN))
}

/// Rule R13: what a cache on the origin's side had for so long reflects what was purged by then.
fn applied_before(world: &World, requested_at: Moment, age: Duration) -> LogPosition {
    let then = requested_at.since_start().checked_sub(age);
    then.map_or(LogPosition::ZERO, |then| world.ledger.applied_at(Moment::at(then)))
}

/// What an origin's silence means to those who asked.
pub(crate) fn failure_of(error: OriginError) -> Failure {
    match error {
        OriginError::Unreachable(_) => Failure::Unreachable,
        OriginError::TimedOut(_) => Failure::TimedOut,
        OriginError::Overloaded => Failure::Overloaded,
    }
}

/// What the mesh adds to the `CDN-Loop` of a request that goes on to an origin (RFC 8586).
pub(crate) fn passage(world: &World, distribution: &Distribution) -> Passage {
    let state = world.ledger.state();
    Passage::new(state.mesh().unwrap_or_default(), &distribution.name)
}

/// The `Via` of this node (RFC 9110 §7.6.3): the mesh is one gateway, named after the node that
/// spoke.
pub(crate) fn via(world: &World) -> HeaderValue {
    let text = format!("1.1 {}.shoal", world.name);
    HeaderValue::try_from(text).expect("a node name is a DNS label")
}
