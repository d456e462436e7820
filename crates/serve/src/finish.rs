//! Finish: the last touches on an answer at the viewer's own edge: a page in an error's place, then
//! the response headers policy.
//!
//! Tiers above never do either: they pass the truth on. A page that cannot be had leaves the error
//! as it is. What our own limits refuse has no page: nobody's content is at fault.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use model::{Attributes, CacheBehavior, CacheKey, Distribution, Path, Tier};
use policy::{Asked, CacheDetail, Dressing, ErrorPage, Timing};

use crate::accept::{self, Visit};
use crate::account::{Account, Source, Verdict};
use crate::gate;
use crate::message::Response;
use crate::refusal::Refusal;
use crate::respond::{self, CACHE_STATUS, X_CACHE};
use crate::want::{Footing, Want};
use crate::world::World;

/// What is needed of a visit once it is answered.
pub(crate) struct Finish {
    distribution: Arc<Distribution>,
    place: Option<usize>,
    attributes: Arc<Attributes>,
    method: Method,
    asked: Asked,
    tells_timing: bool,
}

impl Finish {
    /// Notes it while the visit is here.
    pub(crate) fn of(visit: &Visit, account: &Account) -> Finish {
        let timing = visit.behavior().response_headers_policy.server_timing.as_ref();
        Finish {
            distribution: visit.distribution.clone(),
            place: visit.place,
            attributes: visit.attributes.clone(),
            method: visit.method.clone(),
            asked: Asked::of(&visit.method, &visit.headers),
            tells_timing: timing.is_some()
                && policy::is_told(timing, &visit.headers, draw(visit, account)),
        }
    }

    /// The answer as the viewer gets it.
    pub(crate) async fn answer(
        self,
        world: &Arc<World>,
        answered: Result<Response, Refusal>,
        account: &mut Account,
    ) -> Response {
        let is_the_origins = match &answered {
            Ok(_) | Err(Refusal::Failed(_)) => true,
            Err(_) => false,
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(refusal) => respond::refuse(world, &refusal, account),
        };
        if is_the_origins
            && let Some(page) = policy::error_page(&self.distribution, response.status)
            && let Some(shown) = self.page(world, &page, &response.headers, account).await
        {
            response = shown;
        }
        let timing = self.tells_timing.then(|| timing(world, account));
        let dressing = Dressing { asked: &self.asked, timing };
        policy::dress(&self.behavior().response_headers_policy, &dressing, &mut response.headers);
        response
    }

    fn behavior(&self) -> &CacheBehavior {
        self.distribution.behavior_at(self.place)
    }

    /// The page as a response; what the cache did with the error itself stays to be read.
    async fn page(
        &self,
        world: &Arc<World>,
        page: &ErrorPage<'_>,
        error: &HeaderMap,
        account: &Account,
    ) -> Option<Response> {
        let mut own = Account::open(account.began, Tier::Edge, Method::GET);
        let footing = accept::footing(world, &self.distribution).await;
        let want = self.page_want(page.path, account, footing);
        if gate::refuses(world, &want) {
            return None;
        }
        let obtained = crate::obtain(world, &want, &mut own).await.ok()?;
        if obtained.head().status != StatusCode::OK {
            return None;
        }
        let method = match self.method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        };
        let mut shown = respond::to_viewer(world, &method, &want, obtained, &mut own);
        shown.status = page.status;
        for name in [CACHE_STATUS, X_CACHE] {
            shown.headers.remove(&name);
            for value in error.get_all(&name) {
                shown.headers.append(&name, value.clone());
            }
        }
        Some(shown)
    }

    fn page_want(&self, path: &Path, account: &Account, footing: Footing) -> Want {
        let path = policy::asked(&self.distribution, path.clone());
        let attributes = Arc::new(Attributes { path, ..self.attributes.as_ref().clone() });
        let visit = Visit::for_page(&self.distribution, attributes);
        visit.want(account.began, footing)
    }
}

/// A number that nobody aims: it decides which responses tell their timing.
fn draw(visit: &Visit, account: &Account) -> u64 {
    let nanos = account.began.since_start().as_nanos().to_le_bytes();
    CacheKey::of(&[b"timing", visit.attributes.path.as_str().as_bytes(), &nanos]).ring_point()
}

fn timing<'a>(world: &'a World, account: &Account) -> Timing<'a> {
    let detail = match account.verdict {
        Verdict::Hit | Verdict::Stale => CacheDetail::Hit(account.tier),
        Verdict::Revalidated(_) => CacheDetail::Refresh,
        Verdict::None | Verdict::Forwarded(_) => CacheDetail::Miss,
    };
    let upstream = match &account.source {
        Source::Here => None,
        Source::Peer(_, tier) => Some(policy::upstream(Some(*tier))),
        Source::Origin => Some(policy::upstream(None)),
    };
    let first_byte = world.host.now().since(account.began);
    Timing { detail, node: world.name.as_str(), upstream, first_byte }
}
