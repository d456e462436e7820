//! Slices: a large object is a manifest, which is looked up, planned and revalidated like any
//! object, and slices of 1 MiB, which are fetched when somebody comes to them and evicted one by
//! one.
//!
//! The manifest says whether the object is fresh and may be served; a slice belongs to it by its
//! version, and is only ever asked whether a hard purge covers it (rule R16). One fetch per slice
//! runs at a time in a tier, and everybody reads along. Slices of two versions are never mixed:
//! what arrives has the manifest's strong `ETag`, or the manifest is given up (rule R3).

use std::sync::Arc;

use caching::{ByteRange, Condition, Ranged};
use control::Standing;
use futures_util::FutureExt;
use http::Method;
use model::limits::{SLICE_ATTEMPTS_MAX, SLICE_BYTES};
use model::{CacheKey, LogPosition};
use wire::exchange::Failure;

use crate::account::{Account, Verdict};
use crate::fill::{Absent, Fill, Opening, Reader};
use crate::gate::{Arrival, Judge};
use crate::lookup::{Copy, Entry};
use crate::obtained::Obtained;
use crate::walk::Route;
use crate::want::{Asker, Effort, Want};
use crate::world::World;

mod fetch;

pub(crate) use fetch::fill_slice;

/// What is known of a large object of one version.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Where it is kept.
    pub(crate) key: CacheKey,
    version: CacheKey,
    entry: Arc<Entry>,
}

impl Manifest {
    /// The manifest in `entry`, if it is one.
    pub(crate) fn of(key: CacheKey, entry: &Arc<Entry>) -> Option<Manifest> {
        let Entry::Manifest(copy) = entry.as_ref() else { return None };
        let version = caching::version(&key, &copy.object.head.headers, copy.object.body_bytes)?;
        Some(Manifest { key, version, entry: entry.clone() })
    }

    /// What the store keeps.
    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Its head, tags and terms; the body is elsewhere.
    pub(crate) fn copy(&self) -> &Copy {
        self.entry.copy().expect("a manifest is made of an entry that has a copy")
    }

    /// Bytes of the whole object.
    pub(crate) fn length(&self) -> u64 {
        self.copy().object.body_bytes
    }

    /// Where its slice `number` is kept.
    pub(crate) fn slice_key(&self, number: u64) -> CacheKey {
        caching::slice_key(&self.version, number)
    }

    /// Bytes of its slice `number`; none behind the end.
    pub(crate) fn slice_bytes(&self, number: u64) -> u64 {
        caching::slice_range(number, self.length()).map_or(0, |range| range.bytes())
    }

    /// The slice with which the answer to `want` begins, if it has any content of this object.
    fn first_slice(&self, want: &Want) -> Option<u64> {
        let head = &self.copy().object.head;
        let condition = caching::evaluate(&want.asked, &want.headers, head.status, &head.headers);
        if want.asked != Method::GET || condition != Condition::Proceed {
            return None;
        }
        let length = self.length();
        if want.asker == Asker::Peer {
            let asked = want.slice.filter(|number| number.saturating_mul(SLICE_BYTES) < length);
            return Some(asked.unwrap_or(0));
        }
        match caching::resolve(&want.asked, &want.headers, head.status, &head.headers, length) {
            Ranged::Whole => Some(0),
            Ranged::Part(range) => Some(caching::slice_of(range.first)),
            Ranged::Parts(ranges) => ranges.first().map(|range| caching::slice_of(range.first)),
            Ranged::Unsatisfiable => None,
        }
    }
}

/// A large object to answer with.
#[derive(Debug)]
pub(crate) struct Sliced {
    /// What it is.
    pub(crate) manifest: Manifest,
    /// What is known of its arrival; nothing if the manifest was kept before.
    pub(crate) opening: Option<Arc<Opening>>,
    /// A slice that is open already, the one that the answer begins with if it has any.
    pub(crate) start: Option<(u64, Opened)>,
}

impl Sliced {
    /// What was kept before.
    pub(crate) fn kept(manifest: Manifest) -> Sliced {
        Sliced { manifest, opening: None, start: None }
    }

    /// Where the slice at hand lies.
    pub(crate) fn range_at_hand(&self) -> Option<ByteRange> {
        let (number, _) = self.start.as_ref()?;
        caching::slice_range(*number, self.manifest.length())
    }

    /// The position that both the manifest and the slice at hand reflect (rule R3). What a soft
    /// purge covers is as good as the manifest that was confirmed since, by the strong `ETag` that
    /// they share (rule R14).
    pub(crate) fn as_of(&self, world: &World, want: &Want) -> LogPosition {
        let as_of = self.manifest.copy().object.head.as_of;
        match &self.start {
            Some((_, Opened::Coming(_, slice))) => as_of.min(*slice),
            Some((_, Opened::Kept(entry))) => {
                let slice = entry.copy().expect("a slice is a copy");
                match Judge::new(world, want).slice(slice) {
                    Standing::Softened => as_of,
                    Standing::Good | Standing::Old => as_of.min(slice.object.head.as_of),
                }
            }
            None => as_of,
        }
    }
}

/// A slice that can be read.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It is here.
    Kept(Arc<Entry>),
    /// It is coming, and reflects that position.
    Coming(Reader, LogPosition),
}

/// Why there is no slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// There is another version by now: the manifest is of no more use.
    Another,
    /// Nobody answers.
    Failed(Failure),
}

/// What came of looking for the first slice.
pub(crate) enum Entered {
    /// The answer can begin.
    Here(Obtained),
    /// The object is another by now, or was purged meanwhile: start over.
    Again,
    /// It cannot be had.
    Failed(Failure),
}

/// Opens the slice with which the answer begins: as long as nothing is sent, another version only
/// means to start over.
pub(crate) async fn enter(
    world: &Arc<World>,
    want: &Want,
    obtained: Obtained,
    account: &mut Account,
) -> Entered {
    let Obtained::Sliced(mut sliced, permit) = obtained else { return Entered::Here(obtained) };
    let first = sliced.manifest.first_slice(want);
    let at_hand = sliced.start.as_ref().map(|(number, _)| *number);
    if let Some(number) = first.filter(|first| Some(*first) != at_hand) {
        match open(world, want, &sliced.manifest, number).await {
            Ok(opened) => {
                if let (Opened::Coming(..), Verdict::Hit) = (&opened, account.verdict) {
                    account.verdict = Verdict::Forwarded(caching::Why::Partial);
                }
                sliced.start = Some((number, opened));
            }
            Err(Closed::Another) => return Entered::Again,
            Err(Closed::Failed(failure)) => return Entered::Failed(failure),
        }
        let tags = &sliced.manifest.copy().object.tags;
        let standing = want.standing(&world.ledger.state(), tags, permit.judged_at());
        if standing == Standing::Old {
            return Entered::Again;
        }
    }
    if first.is_none() {
        sliced.start = None;
    }
    Entered::Here(Obtained::Sliced(sliced, permit))
}

/// Opens one slice: from the store, from a fetch under way, or by fetching it. With another version
/// the origin itself is asked once more, past every cache, before the manifest is given up.
pub(crate) async fn open(
    world: &Arc<World>,
    want: &Want,
    manifest: &Manifest,
    number: u64,
) -> Result<Opened, Closed> {
    let mut want = Want { slice: Some(number), ..want.clone() };
    for _ in 0..SLICE_ATTEMPTS_MAX {
        let reader = match turn(world, &want, manifest, number) {
            Turn::Kept(entry) => return Ok(Opened::Kept(entry)),
            Turn::Read(reader) => reader,
        };
        want.effort = match reader.opening().await {
            Ok(opening) => match Judge::new(world, &want).arrival(reader.fill(), &opening) {
                Arrival::Admitted(_) => return Ok(Opened::Coming(reader, opening.head.as_of)),
                Arrival::Overtaken => want.effort.max(Effort::PastCaches),
                Arrival::FromBefore => Effort::Anew,
            },
            Err(Absent::Failed(failure)) => return Err(Closed::Failed(failure)),
            Err(Absent::Overtaken) if want.effort == Effort::Anew => break,
            Err(Absent::Overtaken) => Effort::Anew,
        };
    }
    world.store.drop_if(&manifest.key, &manifest.entry);
    Err(Closed::Another)
}

/// Begins to fetch slice `number`, unless it is here or on its way.
pub(crate) fn fetch_ahead(world: &Arc<World>, want: &Want, manifest: &Manifest, number: u64) {
    if world.store.find(&manifest.slice_key(number)).is_none() {
        let want = Want { slice: Some(number), ..want.clone() };
        drop(turn(world, &want, manifest, number));
    }
}

/// How a slice is come by.
enum Turn {
    Kept(Arc<Entry>),
    Read(Reader),
}

fn turn(world: &Arc<World>, want: &Want, manifest: &Manifest, number: u64) -> Turn {
    let key = manifest.slice_key(number);
    let judge = Judge::new(world, want);
    let (mut effort, mut is_old) = (want.effort, false);
    let mut kept = || {
        let entry = world.store.find(&key)?;
        is_old = judge.slice(entry.copy()?) == Standing::Old;
        (!is_old).then_some(entry)
    };
    if let Some(entry) = kept() {
        return Turn::Kept(entry);
    }
    if is_old {
        effort = effort.max(Effort::PastCaches);
    }
    let place = (key, Route::plan(world, want).rank(), want.audience());
    let mut begun = None;
    let reader = world.fills.join_or_start(
        place,
        |fill| judge.lets_join(fill),
        || {
            let (started, began_at) = (world.ledger.state().applied(), world.host.now());
            let (fill, writer) = Fill::start(started, began_at, effort, want.headers.clone());
            begun = Some(writer);
            fill
        },
    );
    let Some(writer) = begun else { return Turn::Read(reader) };
    // Between the look-up and here a fetch may have ended; it keeps first and leaves afterwards.
    if let Some(entry) = world.store.find(&key)
        && entry.copy().is_some_and(|slice| judge.slice(slice) != Standing::Old)
    {
        world.fills.leave(place, writer.fill());
        return Turn::Kept(entry);
    }
    let want = Want { effort, ..want.clone() };
    let task = fetch::fetch(world.clone(), want, manifest.clone(), number, writer, place);
    world.host.spawn(task.boxed());
    Turn::Read(reader)
}
