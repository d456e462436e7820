//! Responses on their way out: what is long enough to be overtaken by a purge (rule R21).
//!
//! Each is checked before every piece of it, at the cost of an atomic load and a look at the clock:
//! [`stop_old`] marks those that a purge covers, and a node that has lost its lease stops what was
//! proven too long ago. What is stopped is broken off, and never ends as if it were whole. Small
//! bodies that are all here go out at once and are not registered.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use control::{Standing, State};
use futures_util::task::AtomicWaker;
use futures_util::{Stream, StreamExt};
use model::limits::CHUNK_BYTES_MAX;
use model::position::Watermark;
use model::{Attributes, Moment, Purging, Tags, WhenFenced};

use crate::body::{Body, BodyError, BodyStream, Chunk};
use crate::gate::{Proof, ServePermit};
use crate::want::Want;
use crate::world::World;

const SHARDS: usize = 16;

/// The responses on their way out of one node; as many as its viewers have connections and streams.
#[derive(Default)]
pub struct Flights {
    shards: [Mutex<BTreeMap<u64, Arc<Flight>>>; SHARDS],
    next: AtomicU64,
}

/// One of them.
struct Flight {
    attributes: Arc<Attributes>,
    asked: Option<Arc<Attributes>>,
    tags: Tags,
    checked: Watermark,
    is_cut: AtomicBool,
    waker: AtomicWaker,
}

impl Flights {
    fn shard(&self, id: u64) -> MutexGuard<'_, BTreeMap<u64, Arc<Flight>>> {
        let shard = &self.shards[id as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self, flight: &Arc<Flight>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.shard(id).insert(id, flight.clone());
        id
    }

    /// How many there are.
    pub fn running(&self) -> usize {
        (0..SHARDS as u64).map(|id| self.shard(id).len()).sum()
    }
}

impl Flight {
    /// Marks the flight if a purge that `state` knows of covers it; says whether it was not marked
    /// before.
    fn cut_if_old(&self, state: &State) -> bool {
        let (applied, reached) = (state.applied(), self.checked.reached());
        if reached >= applied || self.is_cut.load(Ordering::Acquire) {
            return false;
        }
        let standing = state.standing(&self.attributes, &self.tags, reached);
        let of = |asked: &Arc<Attributes>| state.standing(asked, &Tags::NONE, reached);
        let standing = standing.max(self.asked.as_ref().map_or(Standing::Good, of));
        let is_old = standing == Standing::Old && stops(state, &self.attributes).is_some();
        match standing {
            Standing::Good => self.checked.raise(applied),
            Standing::Softened | Standing::Old => {}
        }
        if is_old {
            self.is_cut.store(true, Ordering::Release);
            self.waker.wake();
        }
        is_old
    }
}

/// How the distribution wants its purges kept, if that stops responses under way.
fn stops(state: &State, attributes: &Attributes) -> Option<Purging> {
    let distribution = state.distribution(&attributes.distribution);
    let purging = distribution.map_or_else(Purging::default, |known| known.purging.clone());
    purging.stop_in_flight.then_some(purging)
}

/// Cuts off every response on its way to a viewer that a purge known by now covers, and says how
/// many these were. To be called after every change of the state, before it is acknowledged.
pub fn stop_old(world: &World) -> u64 {
    let state = world.ledger.state();
    let mut cut = 0;
    for shard in 0..SHARDS as u64 {
        let flights = world.flights.shard(shard);
        cut += flights.values().filter(|flight| flight.cut_if_old(&state)).count() as u64;
    }
    cut
}

/// The body as it goes out to a viewer under `permit`.
pub(crate) fn guard(
    world: &Arc<World>,
    want: &Want,
    tags: &Tags,
    permit: ServePermit,
    body: Body,
) -> Body {
    match &body {
        Body::Empty => return body,
        Body::Whole { bytes, .. } if *bytes <= CHUNK_BYTES_MAX as u64 => return body,
        Body::Whole { .. } | Body::Stream { .. } => {}
    }
    let bytes = body.bytes();
    let flight = Arc::new(Flight {
        attributes: want.kept.clone(),
        asked: (!Arc::ptr_eq(&want.attributes, &want.kept)).then(|| want.attributes.clone()),
        tags: tags.clone(),
        checked: Watermark::at(permit.judged_at()),
        is_cut: AtomicBool::new(false),
        waker: AtomicWaker::new(),
    });
    let id = world.flights.board(&flight);
    // A purge may have been applied between the gate and here, before this flight could be seen.
    flight.cut_if_old(&world.ledger.state());
    let guarded = Guarded {
        world: world.clone(),
        flight,
        id,
        inner: body.into_stream(),
        pending: Bytes::new(),
        runs_from: permit.runs_from(),
        vouched_until: permit.vouched_until(),
        is_over: false,
    };
    Body::Stream { stream: guarded.boxed(), bytes }
}

struct Guarded {
    world: Arc<World>,
    flight: Arc<Flight>,
    id: u64,
    inner: BodyStream,
    pending: Bytes,
    runs_from: Proof,
    vouched_until: Moment,
    is_over: bool,
}

impl Guarded {
    fn objection(&mut self) -> Option<&'static str> {
        if self.flight.is_cut.load(Ordering::Acquire) {
            return Some("a purge covers it");
        }
        self.is_out_of_time().then_some("purges may cover it that this node has not heard of")
    }

    /// Whether nothing vouches any more for what is left.
    fn is_out_of_time(&mut self) -> bool {
        if self.world.host.now() <= self.vouched_until {
            return false;
        }
        let known = self.world.ledger.knowledge();
        let now = self.world.host.now();
        if let Some(until) = known.valid_until.filter(|until| now <= *until) {
            self.vouched_until = until;
            return false;
        }
        let purging = stops(&known.state, &self.flight.attributes);
        let is_strict = purging.is_some_and(|purging| purging.when_fenced != WhenFenced::StaleOk);
        is_strict && self.runs_from.age_at(now) > known.state.lease()
    }

    /// As much of what is at hand as may go out on one check.
    fn piece(&mut self) -> Bytes {
        let length = self.pending.len().min(CHUNK_BYTES_MAX);
        self.pending.split_to(length)
    }
}

impl Stream for Guarded {
    type Item = Result<Chunk, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        this.flight.waker.register(context.waker());
        if this.pending.is_empty() {
            match this.inner.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(Chunk::Data(data)))) => this.pending = data,
                Poll::Pending if !this.flight.is_cut.load(Ordering::Acquire) => {
                    return Poll::Pending;
                }
                Poll::Pending => {}
                Poll::Ready(Some(Ok(Chunk::Trailers(trailers)))) if this.objection().is_none() => {
                    return Poll::Ready(Some(Ok(Chunk::Trailers(trailers))));
                }
                Poll::Ready(Some(Ok(Chunk::Trailers(_)))) => {}
                end @ Poll::Ready(None | Some(Err(_))) => {
                    this.is_over = true;
                    return end;
                }
            }
        }
        if let Some(objection) = this.objection() {
            this.is_over = true;
            this.flight.is_cut.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(BodyError::Broken(objection.into()))));
        }
        Poll::Ready(Some(Ok(Chunk::Data(this.piece()))))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.world.flights.shard(self.id).remove(&self.id);
    }
}
