//! What a `POST` brings that answers later `GET`s: a response that says for how long, and that it
//! is what lies at its URL (RFC 9110 §9.3.3). The edge that passed it on keeps it, nobody else.
//!
//! Such a response also does away with what was there (RFC 9111 §4.4), by an entry of the log that
//! comes after the position that it reflects itself (rule R1). It is kept only when nothing else
//! lies between the two: then it reflects all that the log holds up to that entry, and the entry
//! speaks of what it replaces.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use caching::Terms;
use control::State;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode};
use model::limits::OBJECT_BYTES_MAX;
use model::object::Head;
use model::{DistributionName, LogPosition, Moment, Object, Tags};

use crate::accept::Visit;
use crate::body::{BodyStream, Chunk};
use crate::gate::Judge;
use crate::invalidate::Spread;
use crate::lookup::{Copy, Entry};
use crate::want::{Footing, Want};
use crate::world::World;

/// A `POST` on its way to the origin.
pub(crate) struct Posted {
    want: Want,
    as_of: LogPosition,
    requested_at: Moment,
}

impl Posted {
    /// Notes what is known before the request leaves, if it is a `POST`.
    pub(crate) fn leaving(world: &World, visit: &Visit, began: Moment) -> Option<Posted> {
        (visit.method == Method::POST).then(|| Posted {
            want: visit.want(began, Footing::Leased),
            as_of: world.ledger.state().applied(),
            requested_at: world.host.now(),
        })
    }

    /// What is to be kept of the answer, if it may be kept; `spread` is what became of the purge
    /// that it stands for.
    pub(crate) fn answered(
        self,
        world: &Arc<World>,
        (status, headers): (StatusCode, &HeaderMap),
        spread: &Spread,
    ) -> Option<Keepsake> {
        let Posted { want, as_of, requested_at } = self;
        let as_of = match spread {
            Spread::Nothing => as_of,
            Spread::Purged(id) => after(&world.ledger.state(), &want.distribution.name, as_of, id)?,
            Spread::Unknown => return None,
        };
        // What a cache on the way had already is no answer to this request (rule R13).
        if caching::said_age(headers).is_some() {
            return None;
        }
        let mut headers = headers.clone();
        caching::ensure_date(&mut headers, world.host.wall());
        let policy = &want.behavior().cache_policy;
        let asked = policy::beyond_the_key(want.behavior(), &want.headers);
        let rules = want.rules(status);
        let terms = caching::storable_post(&want.attributes, &asked, status, &headers, &rules);
        let terms = terms.ok()?;
        let tags = caching::tags(&want.attributes.host, &headers).ok()?;
        let received_at = world.host.now();
        let delay = received_at.since(requested_at);
        let initial_age = caching::initial_age(&headers, world.host.wall(), delay);
        let headers = caching::reusable(&headers, policy).unwrap_or(headers);
        let proof_age = Duration::ZERO;
        let head =
            Head { status, headers, as_of, requested_at, received_at, initial_age, proof_age };
        let world = world.clone();
        Some(Keepsake { world, want, head, terms, tags, chunks: Vec::new(), bytes: 0 })
    }
}

/// The position of the purge `id`, if nothing that bears on the distribution lies between it and
/// `as_of`.
pub(crate) fn after(
    state: &State,
    distribution: &DistributionName,
    as_of: LogPosition,
    id: &str,
) -> Option<LogPosition> {
    let since = || state.invalidations().take_while(|record| record.position > as_of);
    let ours = since().find(|record| record.id.to_string() == id)?;
    let is_next = ours.position == LogPosition::new(as_of.epoch(), as_of.index() + 1);
    let is_alone = since().all(|one| one.id == ours.id || one.distribution != *distribution);
    (is_next && is_alone).then_some(ours.position)
}

/// A response that is kept once all of it has gone by.
pub(crate) struct Keepsake {
    world: Arc<World>,
    want: Want,
    head: Head,
    terms: Terms,
    tags: Tags,
    chunks: Vec<Bytes>,
    bytes: u64,
}

impl Keepsake {
    /// The same body; it is kept before its last byte is out, if `expected` says which that is.
    pub(crate) fn fill_from(self, body: BodyStream, expected: Option<u64>) -> BodyStream {
        let step = move |(mut body, keepsake): (BodyStream, Option<Keepsake>)| async move {
            let piece = body.next().await;
            let keepsake = keepsake.and_then(|keepsake| match &piece {
                Some(Ok(Chunk::Data(data))) => keepsake.and(data.clone(), expected),
                Some(Ok(Chunk::Trailers(_))) => Some(keepsake),
                Some(Err(_)) => None,
                None => {
                    let is_whole = expected.is_none_or(|bytes| bytes == keepsake.bytes);
                    is_whole.then(|| keepsake.keep());
                    None
                }
            });
            piece.map(|piece| (piece, (body, keepsake)))
        };
        stream::unfold((body, Some(self)), step).boxed()
    }

    /// With one more chunk; nothing once it is whole, or too large.
    fn and(mut self, chunk: Bytes, expected: Option<u64>) -> Option<Keepsake> {
        let length = chunk.len() as u64;
        let fits = self.bytes + length <= OBJECT_BYTES_MAX && self.world.fills.reserve(length);
        if !fits {
            return None;
        }
        self.bytes += length;
        self.chunks.push(chunk);
        if expected == Some(self.bytes) {
            self.keep();
            return None;
        }
        Some(self)
    }

    fn keep(&self) {
        let Keepsake { world, want, head, terms, tags, chunks, bytes } = self;
        // The purge that it stands for was heard of before this moment, and does not mean it.
        let born_at = head.received_at;
        if !Judge::new(world, want).lets_keep(head.as_of, tags, born_at) {
            return;
        }
        let object = Object {
            attributes: want.kept.clone(),
            tags: tags.clone(),
            head: head.clone(),
            body: chunks.clone().into(),
            body_bytes: *bytes,
        };
        let copy = Copy { born_at, ..Copy::new(object, *terms) };
        world.store.keep(want.key, Arc::new(Entry::Object(copy)));
    }
}

impl Drop for Keepsake {
    fn drop(&mut self) {
        self.world.fills.release(self.bytes);
    }
}
