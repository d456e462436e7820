//! Request collapsing: per key, variant and tier at most one fetch that new requests may join.
//!
//! A request joins only a fetch whose content passes the purge gate now (rule R4). The tier is part
//! of the place, since a node may be an edge for a key and its shield too, and the second must not
//! wait for the first; a node that is its own owner acts as that tier, so that whoever asks it
//! meets there. What proved uncacheable is marked for a while (hit-for-miss), so that its requests
//! do not queue behind one another.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::limits::HIT_FOR_MISS;
use model::{CacheKey, Moment, Tier};

use crate::fill::{Fill, Reader, Writer};
use crate::gate::Judge;
use crate::lookup::{self, Entry, Found};
use crate::reading;
use crate::walk::Route;
use crate::want::{Audience, Want};
use crate::world::World;

const SHARDS: usize = 16;
const MARKS_MAX: usize = 4_096;

/// Where requests meet: a key, a tier, and who may have what their fetch brings.
pub(crate) type Place = (CacheKey, Tier, Audience);

#[derive(Default)]
struct Shard {
    running: HashMap<Place, Arc<Fill>>,
    uncacheable: Marks<Place>,
    unsliceable: Marks<CacheKey>,
}

/// What proved to be so a short while ago; the oldest are forgotten when there are too many.
struct Marks<K> {
    until: BTreeMap<K, Moment>,
    order: VecDeque<K>,
}

impl<K> Default for Marks<K> {
    fn default() -> Self {
        Marks { until: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Copy> Marks<K> {
    fn has(&self, key: &K, now: Moment) -> bool {
        self.until.get(key).is_some_and(|until| now < *until)
    }

    fn set(&mut self, key: K, until: Moment) {
        if self.until.insert(key, until).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MARKS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
    }

    fn clear(&mut self, key: &K) {
        if let Some(until) = self.until.get_mut(key) {
            *until = Moment::START;
        }
    }
}

/// The fetches under way on one node.
pub struct Fills {
    shards: [Mutex<Shard>; SHARDS],
    retained_bytes: AtomicU64,
    retained_bytes_max: u64,
}

/// What a request that found nothing does next.
pub(crate) enum Turn {
    /// Reads what another request is fetching.
    Follow(Reader),
    /// Fetches, for itself and for whoever joins.
    Lead(Lead),
    /// A fetch has just ended: what it brought is in the store by now.
    LookAgain,
}

/// Whether a request may wait with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// It may.
    Any,
    /// It was turned away by a fetch that proved to be for one request only, and goes alone.
    None,
}

/// The duty to fetch.
pub(crate) struct Lead {
    /// Where the response goes.
    pub(crate) writer: Writer,
    /// The leader's own reader.
    pub(crate) reader: Reader,
    /// Where others find the fill; nowhere if it is for this request alone.
    pub(crate) place: Option<Place>,
    /// Where requests of this variant look for a fill, and for a mark that there is none to share.
    pub(crate) looked_at: Place,
}

/// Where others find the fill.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    /// Where it was started; nowhere if the resource is known to be uncacheable.
    pub(crate) own: Option<Place>,
    /// Where requests of this variant look for a fill, and for a mark that there is none to share.
    pub(crate) looked_at: Place,
    /// Where its variant belongs, once known to differ.
    pub(crate) variant: Option<Place>,
    /// Where the slice belongs that it brings, if it brings one.
    pub(crate) slice: Option<Place>,
}

impl Places {
    /// The places of a fetch that has just been started.
    pub(crate) fn of(lead: &Lead) -> Places {
        Places { own: lead.place, looked_at: lead.looked_at, variant: None, slice: None }
    }
}

impl Fills {
    /// Room for `retained_bytes_max` bytes of bodies in flight that may still be kept; beyond it
    /// they stream through.
    pub fn new(retained_bytes_max: u64) -> Fills {
        let shards = std::array::from_fn(|_| Mutex::default());
        Fills { shards, retained_bytes: AtomicU64::new(0), retained_bytes_max }
    }

    fn shard(&self, key: &CacheKey) -> MutexGuard<'_, Shard> {
        let [.., last] = key.as_bytes();
        let shard = &self.shards[usize::from(*last) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches under way.
    pub fn running(&self) -> usize {
        let locked = |shard: &Mutex<Shard>| shard.lock().map_or(0, |shard| shard.running.len());
        self.shards.iter().map(locked).sum()
    }

    /// Takes room for `bytes` of a body in flight, unless there is none.
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        let before = self.retained_bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = before + bytes <= self.retained_bytes_max;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives room back.
    pub(crate) fn release(&self, bytes: u64) {
        self.retained_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// A reader of what is being fetched for `place`, if it suits and has room; else of what
    /// `start` begins to fetch for it.
    pub(crate) fn join_or_start(
        &self,
        place: Place,
        suits: impl Fn(&Fill) -> bool,
        start: impl FnOnce() -> Arc<Fill>,
    ) -> Reader {
        let mut shard = self.shard(&place.0);
        if let Some(fill) = shard.running.get(&place)
            && suits(fill)
            && let Some(reader) = fill.join()
        {
            return reader;
        }
        let fill = start();
        shard.running.insert(place, fill.clone());
        fill.join().expect("a fill that has just started has room for its reader")
    }

    /// Makes `fill` findable under another key too, once its variant is known.
    pub(crate) fn also_at(&self, place: Place, fill: &Arc<Fill>) {
        let mut shard = self.shard(&place.0);
        let newer = shard
            .running
            .get(&place)
            .is_some_and(|there| there.provenance().as_of >= fill.provenance().as_of);
        if !newer {
            shard.running.insert(place, fill.clone());
        }
    }

    /// Takes `fill` out of `place`, if it is still the one there.
    pub(crate) fn leave(&self, place: Place, fill: &Arc<Fill>) {
        let mut shard = self.shard(&place.0);
        if shard.running.get(&place).is_some_and(|there| Arc::ptr_eq(there, fill)) {
            shard.running.remove(&place);
        }
    }

    /// Notes that `place` proved uncacheable.
    pub(crate) fn mark_uncacheable(&self, place: Place, now: Moment) {
        self.shard(&place.0).uncacheable.set(place, now.plus(HIT_FOR_MISS));
    }

    /// Notes that `place` proved cacheable after all.
    pub(crate) fn unmark(&self, place: Place) {
        self.shard(&place.0).uncacheable.clear(&place);
    }

    /// Notes that the origin does not serve the resource under `key` in slices.
    pub(crate) fn mark_unsliceable(&self, key: CacheKey, now: Moment) {
        self.shard(&key).unsliceable.set(key, now.plus(HIT_FOR_MISS));
    }

    /// Whether that was noted.
    pub(crate) fn is_unsliceable(&self, key: &CacheKey, now: Moment) -> bool {
        self.shard(key).unsliceable.has(key, now)
    }
}

/// Joins the fetch that is under way for what `want` selects, or becomes the one who fetches.
pub(crate) fn join(world: &World, want: &Want, found: &Found, company: Company) -> Turn {
    let place = (found.key, Route::plan(world, want).rank(), want.audience());
    let judge = Judge::new(world, want);
    if let Some(reader) = begun_before_the_signpost(world, &judge, want, found, place) {
        return Turn::Follow(reader);
    }
    let mut shard = world.fills.shard(&place.0);
    let marked = shard.uncacheable.has(&place, judge.now());
    if marked || company == Company::None {
        return lead(world, want, found, None, place).1;
    }
    if let Some(fill) = shard.running.get(&place)
        && judge.lets_join(fill)
        && let Some(reader) = fill.join_if(|head, key| reading::variant(want, head) == key)
    {
        return Turn::Follow(reader);
    }
    // Between the look-up and here a fetch may have ended; it keeps first and leaves afterwards.
    if !lookup::find(world, want).is_same(found) {
        return Turn::LookAgain;
    }
    let (fill, turn) = lead(world, want, found, Some(place), place);
    shard.running.insert(place, fill);
    turn
}

fn lead(
    world: &World,
    want: &Want,
    found: &Found,
    place: Option<Place>,
    looked_at: Place,
) -> (Arc<Fill>, Turn) {
    let (started, began_at) = (world.ledger.state().applied(), world.host.now());
    let effort = found.effort(want);
    let (fill, writer) = Fill::start(started, began_at, effort, want.headers.clone());
    let reader = fill.join().expect("a fill that has just started has room for its reader");
    (fill, Turn::Lead(Lead { writer, reader, place, looked_at }))
}

/// A fetch of this very variant that was begun before anybody knew that the resource varies.
fn begun_before_the_signpost(
    world: &World,
    judge: &Judge<'_>,
    want: &Want,
    found: &Found,
    (_, rank, audience): Place,
) -> Option<Reader> {
    let Some(Entry::Varies(fields)) = found.signpost.as_deref() else { return None };
    let shard = world.fills.shard(&want.key);
    let fill = shard.running.get(&(want.key, rank, audience))?;
    let same = caching::variant_key(&want.key, fields, &fill.asked) == found.key;
    let suits = same && judge.lets_join(fill);
    suits.then(|| fill.join_if(|_, key| key == found.key))?
}
