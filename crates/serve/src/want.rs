//! What is wanted of one tier: the same noun for a viewer's request at its edge and for a peer's
//! question one tier up.

use std::sync::Arc;

use caching::{Coding, Rules, Terms, Unstorable};
use control::{Standing, State, Tentative};
use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, Method, StatusCode};
use model::object::Head;
use model::{Attributes, CacheBehavior, CacheKey, Distribution, LogPosition, Moment, Tags, Tier};

use crate::world::Interim;

/// One object, wanted by a viewer or by a peer.
#[derive(Clone)]
pub(crate) struct Want {
    /// The tier in which this node is asked.
    pub(crate) tier: Tier,
    /// Whether a viewer waits, rather than a peer: only then may stale content be chosen.
    pub(crate) asker: Asker,
    /// The distribution it belongs to.
    pub(crate) distribution: Arc<Distribution>,
    /// The URL that was asked for: purges match it.
    pub(crate) attributes: Arc<Attributes>,
    /// The URL under which it is kept: purges match it too.
    pub(crate) kept: Arc<Attributes>,
    /// Which behavior covers it.
    pub(crate) place: Option<usize>,
    /// The key of the resource, before any variant.
    pub(crate) key: CacheKey,
    /// End-to-end fields of the request, conditions and ranges included.
    pub(crate) headers: HeaderMap,
    /// The log applied by whoever asks: nothing fetched here may be older news than that.
    pub(crate) applied: LogPosition,
    /// The log applied when the request came, once it has started over so often that anything
    /// fetched since then will do: no purge acknowledged before it came is violated by that.
    pub(crate) settles_for: Option<LogPosition>,
    /// When the request came.
    pub(crate) arrived_at: Moment,
    /// What the answer may rest on.
    pub(crate) footing: Footing,
    /// How far the fetch has to go.
    pub(crate) effort: Effort,
    /// Takes interim responses of the fetch that this request starts, if it starts one.
    pub(crate) interim: Option<Interim>,
    /// The method of the request; a peer's is GET.
    pub(crate) asked: Method,
    /// The slice to begin with if this is a large object, where the asker knows: a viewer who asks
    /// for a range, a peer.
    pub(crate) slice: Option<u64>,
    /// The coding that a viewer likes best, of those that the policy enables.
    pub(crate) coding: Option<Coding>,
}

/// What was asked for, found among a distribution's policies.
pub(crate) struct Resolved {
    /// The URL under which it is kept.
    pub(crate) kept: Arc<Attributes>,
    /// Which behavior covers it.
    pub(crate) place: Option<usize>,
}

impl Resolved {
    /// Finds what `asked` names. Every node finds the same.
    pub(crate) fn of(distribution: &Distribution, asked: &Arc<Attributes>) -> Resolved {
        let resource = policy::resource(distribution, &asked.path);
        let place = policy::place(distribution, &resource);
        let behavior = distribution.behavior_at(place);
        let path = policy::kept_path(&behavior.cache_policy, &resource).unwrap_or(resource);
        let kept = match path == asked.path {
            true => asked.clone(),
            false => Arc::new(Attributes { path, ..asked.as_ref().clone() }),
        };
        Resolved { kept, place }
    }
}

/// What an answer may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Footing {
    /// This node's lease.
    Leased,
    /// The voters said, after the request came, that this node knows of everything (rule R22).
    Confirmed,
    /// They could not be asked: on nothing but what the origin says after the request came.
    Unconfirmed,
}

/// How far a fetch has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    /// As far as it takes.
    Ordinary,
    /// Caches on the origin's side are asked to step aside (rule R13): a copy here was purged, or
    /// may have been.
    PastCaches,
    /// The same, and straight to the origin: what came before was older than its own fetch.
    Anew,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A viewer, at its edge.
    Viewer,
    /// Another node, one tier down.
    Peer,
}

const ABOUT_THE_ASKERS_COPY: [http::HeaderName; 6] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];

/// With whom a request may wait for one fetch. What it says of itself can make any answer its own
/// (RFC 9111 §3.5 and §5.2.1.5), so it neither leads nor marks those who say nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Audience {
    /// Anybody.
    Public,
    /// Those who are authorized too, or want nothing stored.
    Reserved,
}

impl Want {
    /// With whom it may wait.
    pub(crate) fn audience(&self) -> Audience {
        let no_store = caching::RequestDirectives::of(&self.headers).no_store;
        match no_store || self.headers.contains_key(http::header::AUTHORIZATION) {
            true => Audience::Reserved,
            false => Audience::Public,
        }
    }

    /// The behavior that covers it.
    pub(crate) fn behavior(&self) -> &CacheBehavior {
        self.distribution.behavior_at(self.place)
    }

    /// What its distribution says of how long a response with that status lives.
    pub(crate) fn rules(&self, status: StatusCode) -> Rules<'_> {
        let error_min_ttl = policy::error_min_ttl(&self.distribution, status);
        Rules { policy: &self.behavior().cache_policy, error_min_ttl }
    }

    /// How content that reflects `as_of` stands among the purges that `state` knows of.
    pub(crate) fn standing(&self, state: &State, tags: &Tags, as_of: LogPosition) -> Standing {
        let standing = state.standing(&self.kept, tags, as_of);
        standing.max(self.asked_standing(|asked| state.standing(asked, &Tags::NONE, as_of)))
    }

    /// The same for tentative purges and what was fetched at `fetched_at`.
    pub(crate) fn tentative_standing(
        &self,
        tentative: &Tentative,
        tags: &Tags,
        fetched_at: Moment,
    ) -> Standing {
        let standing = tentative.standing(&self.kept, tags, fetched_at);
        let of = |asked: &Attributes| tentative.standing(asked, &Tags::NONE, fetched_at);
        standing.max(self.asked_standing(of))
    }

    /// What is said of the URL that was asked for, where that is not the one it is kept under.
    pub(crate) fn asked_standing(&self, of: impl Fn(&Attributes) -> Standing) -> Standing {
        match Arc::ptr_eq(&self.attributes, &self.kept) {
            true => Standing::Good,
            false => of(&self.attributes),
        }
    }

    /// Whether a response may be kept, and on what terms.
    pub(crate) fn terms(&self, head: &Head) -> Result<Terms, Unstorable> {
        let asked = policy::beyond_the_key(self.behavior(), &self.headers);
        let rules = self.rules(head.status);
        caching::storable(&self.method(), &asked, head.status, &head.headers, &rules)
    }

    /// The fields to send up: the request's, less what speaks of the asker's own copy.
    pub(crate) fn upward_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        for name in ABOUT_THE_ASKERS_COPY {
            headers.remove(name);
        }
        headers
    }

    /// The fields of a response that are for others too, when these are not all of them.
    pub(crate) fn reusable(&self, head: &Head) -> Option<HeaderMap> {
        caching::reusable(&head.headers, &self.behavior().cache_policy)
    }

    /// Whether the asker has a copy, or a part of one, that the answer may depend on.
    pub(crate) fn speaks_of_a_copy(&self) -> bool {
        ABOUT_THE_ASKERS_COPY.iter().any(|name| self.headers.contains_key(name))
    }

    /// The method that goes up: a HEAD is answered from the object it describes.
    pub(crate) fn method(&self) -> Method {
        Method::GET
    }
}
