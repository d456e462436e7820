//! Inventory: the cache as a whole, page by page: what a purge would remove, what purges have left
//! behind as dead weight, and whether another node's hit was right.
//!
//! Nothing here decides what may be served; that is the gate's. It only counts and tidies.

use control::Standing;
use http::HeaderMap;
use http::header::ETAG;
use model::{Attributes, CacheKey, Invalidation, LogPosition, Tags};
use wire::exchange::{Finding, Sample};

use crate::lookup::Copy;
use crate::world::World;

/// Copies looked at together.
const PAGE: usize = 1_024;

/// What `purge` would remove here: copies, and the bytes of their bodies.
pub fn plan_purge(world: &World, purge: &Invalidation) -> (u64, u64) {
    // The same map that purges are kept in, with nothing else in it.
    let mut purged = control::Purged::default();
    let state = world.ledger.state();
    let merges = state.distribution(&purge.distribution).is_some_and(|known| known.merge_slashes);
    for scope in &purge.scopes {
        match merges {
            true => purged.purge(&scope.with_slashes_merged(), LogPosition::new(0, 1)),
            false => purged.purge(scope, LogPosition::new(0, 1)),
        }
    }
    let covers = |copy: &Copy| {
        let object = &copy.object;
        object.attributes.distribution == purge.distribution
            && purged.covers(&object.attributes, &object.tags, LogPosition::ZERO)
    };
    let (mut copies, mut bytes, mut after) = (0, 0, None);
    loop {
        let page = world.store.page(after, PAGE);
        let Some((last, _)) = page.last() else { return (copies, bytes) };
        after = Some(*last);
        let entries = page.iter().map(|(_, entry)| entry);
        for entry in entries.filter(|entry| entry.copy().is_some_and(covers)) {
            copies += u64::from(entry.is_object());
            bytes += entry.content_bytes();
        }
    }
}

/// What one step of a sweep has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Where the next step begins; nothing at the end.
    pub next: Option<CacheKey>,
    /// Copies dropped.
    pub copies: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// Drops dead copies among some of those whose keys follow `after`: their bytes are returned before
/// anybody asks for them again.
pub fn sweep(world: &World, after: Option<CacheKey>) -> Swept {
    let page = world.store.page(after, PAGE);
    let next = page.last().map(|(key, _)| *key).filter(|_| page.len() == PAGE);
    let mut swept = Swept { next, copies: 0, bytes: 0 };
    let state = world.ledger.state();
    for (key, entry) in &page {
        let Some(copy) = entry.copy() else { continue };
        let object = &copy.object;
        let standing = state.standing(&object.attributes, &object.tags, object.head.as_of);
        if standing == Standing::Old {
            world.store.drop_if(key, entry);
            swept.copies += u64::from(entry.is_object());
            swept.bytes += entry.content_bytes();
        }
    }
    swept
}

/// Whether another node was right to serve this, by the map and by the copy that are here.
pub fn judge(world: &World, sample: &Sample) -> Finding {
    let attributes = Attributes {
        distribution: sample.distribution.clone(),
        host: sample.host.clone(),
        path: sample.path.clone(),
    };
    let state = world.ledger.state();
    let tags = Tags::from_marks(sample.tags.clone());
    let purged = state.last_hard_purge(&attributes, &tags);
    if state.applied() < sample.applied || purged > sample.applied {
        return Finding::Unknown;
    }
    if purged > sample.as_of {
        return Finding::Old;
    }
    let Some(distribution) = state.distribution(&sample.distribution) else {
        return Finding::Unknown;
    };
    let behavior = distribution.behavior_at(policy::place(distribution, &attributes.path));
    let key = policy::key(behavior, &attributes, &HeaderMap::new());
    // What else is in the key is not told: another copy than the one meant may be here.
    let entry = world.store.find(&key).filter(|_| policy::is_by_url_alone(behavior));
    let Some(copy) = entry.as_deref().and_then(|entry| entry.copy()) else {
        return Finding::Sound;
    };
    let head = &copy.object.head;
    let etag = head.headers.get(ETAG).map_or(&b""[..], |etag| etag.as_bytes());
    // Two answers of one moment may still be of two fetches; what agrees in both came from one.
    let same_fetch = head.as_of == sample.as_of && copy.object.tags == tags;
    match same_fetch && head.status.is_success() && etag != sample.etag && !etag.is_empty() {
        true => Finding::Differs,
        false => Finding::Sound,
    }
}
