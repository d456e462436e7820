//! Lookup: what the cache has for a request, and what the gate says of it (rule R5).
//!
//! What a purge covers is not found: neither it nor its validators leave this room (R14). A
//! resource with `Vary` is kept as a signpost under its own key, and one object per variant under
//! derived keys (RFC 9111 §4.1).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use caching::{Stored, Terms, Validators, Validity, Why};
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderName, StatusCode};
use model::object::Head;
use model::position::Watermark;
use model::{CacheKey, Moment, Object};

use crate::account::{Account, Verdict};
use crate::gate::{Gate, Judge};
use crate::obtained::Obtained;
use crate::slice::{Manifest, Sliced};
use crate::want::{Effort, Want};
use crate::world::World;

/// What the store keeps under one key.
#[derive(Debug)]
pub enum Entry {
    /// An object.
    Object(Copy),
    /// A large object without its body, which is kept slice by slice under keys of their own.
    Manifest(Copy),
    /// One slice of a large object, under the head that it was fetched with.
    Slice(Copy),
    /// The content of an object in some coding, to be sent while the object itself may be.
    Encoded(Copy),
    /// A signpost: the fields that select among variants kept under derived keys.
    Varies(Box<[HeaderName]>),
}

/// An object in the cache, with what was worked out once when it was stored.
#[derive(Debug)]
pub struct Copy {
    /// The response.
    pub object: Object,
    /// How long and under which conditions it may be served.
    pub terms: Terms,
    /// Up to which position it was last checked against purges.
    pub checked: Watermark,
    /// When its content was made, at the latest, by this node's clock.
    pub born_at: Moment,
    /// When a soft purge was first seen to cover it.
    pub softened_at: OnceLock<Moment>,
    /// Until when it is served stale without asking again, since the origin failed.
    pub excused_until: Excuse,
}

/// A moment that moves only forward; at the start of time there is none.
#[derive(Debug, Default)]
pub struct Excuse(AtomicU64);

impl Excuse {
    fn extend(&self, until: Moment) {
        let nanos = u64::try_from(until.since_start().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }

    fn holds_at(&self, now: Moment) -> bool {
        now.since_start().as_nanos() < u128::from(self.0.load(Ordering::Relaxed))
    }
}

impl Entry {
    /// What purges bear on: an object, or what is kept of one.
    pub(crate) fn copy(&self) -> Option<&Copy> {
        match self {
            Entry::Object(copy)
            | Entry::Manifest(copy)
            | Entry::Slice(copy)
            | Entry::Encoded(copy) => Some(copy),
            Entry::Varies(_) => None,
        }
    }

    /// Bytes of content that are kept in it.
    pub(crate) fn content_bytes(&self) -> u64 {
        match self {
            Entry::Object(copy) | Entry::Slice(copy) | Entry::Encoded(copy) => {
                copy.object.body_bytes
            }
            Entry::Manifest(_) | Entry::Varies(_) => 0,
        }
    }

    /// Whether it stands for an object: what is counted when copies are.
    pub(crate) fn is_object(&self) -> bool {
        match self {
            Entry::Object(_) | Entry::Manifest(_) => true,
            Entry::Slice(_) | Entry::Encoded(_) | Entry::Varies(_) => false,
        }
    }

    /// Bytes that the entry takes in memory, its bookkeeping included.
    pub fn weight(&self) -> u64 {
        let fields = match self {
            Entry::Varies(names) => names.iter().map(|name| name.as_str().len() + 32).sum(),
            Entry::Object(copy)
            | Entry::Manifest(copy)
            | Entry::Slice(copy)
            | Entry::Encoded(copy) => {
                let headers = copy.object.head.headers.iter();
                let fields: usize = headers.map(|(n, v)| n.as_str().len() + v.len() + 64).sum();
                let path = copy.object.attributes.path.as_str().len();
                let tags = copy.object.tags.marks().len() * 8;
                fields + path + tags + copy.object.body.len() * 32
            }
        };
        self.content_bytes() + fields as u64 + 512
    }
}

impl Copy {
    /// Keeps `object` under `terms`, unchecked so far.
    pub fn new(object: Object, terms: Terms) -> Copy {
        let checked = Watermark::at(object.head.as_of);
        let born_at = born_at(&object.head);
        Copy {
            object,
            terms,
            checked,
            born_at,
            softened_at: OnceLock::new(),
            excused_until: Excuse::default(),
        }
    }

    /// The same, of content that is as old as that.
    pub(crate) fn born_by(self, born_at: Moment) -> Copy {
        Copy { born_at: self.born_at.min(born_at), ..self }
    }
}

/// When the origin made a response, by this node's clock: what tentative purges are compared with.
/// A `Date` has whole seconds: that much younger it may be, but not younger than the question.
pub(crate) fn born_at(head: &Head) -> Moment {
    let received = head.received_at.since_start().saturating_add(Duration::from_secs(1));
    Moment::at(received.saturating_sub(head.initial_age)).min(head.requested_at)
}

/// What was found, and under which key the request's own variant lives.
pub(crate) struct Found {
    /// The copy, unless it is old.
    pub(crate) copy: Option<Arc<Entry>>,
    /// What may be done with it; old if there is none.
    gate: Gate,
    /// Whether a purge has done away with a copy.
    was_purged: bool,
    /// Whether it is served although nothing vouches for it.
    is_lenient: bool,
    /// The key of the variant that this request selects, as far as is known.
    pub(crate) key: CacheKey,
    /// Whether the resource is known to vary.
    pub(crate) varies: bool,
    /// The signpost, if there is one.
    pub(crate) signpost: Option<Arc<Entry>>,
}

impl Found {
    /// Whether the same was found both times.
    pub(crate) fn is_same(&self, other: &Found) -> bool {
        let same = match (&self.copy, &other.copy) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.key == other.key
    }

    /// What the plan is made from.
    pub(crate) fn facts(&self, now: Moment) -> Option<Stored<'_>> {
        let copy = self.copy()?;
        let head = &copy.object.head;
        let asks_strongly = || !Validators::strong(&head.headers).is_none();
        let (validity, has_validator) = match self.gate {
            Gate::Serve(_) => {
                let any = [ETAG, LAST_MODIFIED].iter().any(|name| head.headers.contains_key(name));
                (Validity::Sound, any)
            }
            Gate::Softened(_, since) => (Validity::Softened(since), asks_strongly()),
            Gate::Unproven => (Validity::Unproven, asks_strongly()),
            Gate::Old => return None,
        };
        Some(Stored { terms: &copy.terms, age: head.age_at(now), has_validator, validity })
    }

    /// How far a fetch has to go that replaces what was found.
    pub(crate) fn effort(&self, want: &Want) -> Effort {
        let is_doubtful = match self.gate {
            Gate::Serve(_) | Gate::Softened(..) => false,
            Gate::Unproven => true,
            Gate::Old => self.was_purged,
        };
        if is_doubtful { want.effort.max(Effort::PastCaches) } else { want.effort }
    }

    /// The origin failed with `status`: for as long as the distribution remembers that error, the
    /// copy is served without asking again.
    pub(crate) fn excuse(&self, want: &Want, status: StatusCode, now: Moment) {
        if let (Some(copy), Some(least)) =
            (self.copy(), policy::error_min_ttl(&want.distribution, status))
        {
            copy.excused_until.extend(now.plus(least));
        }
    }

    /// Whether the copy, which is stale, is served all the same: the origin has just failed.
    pub(crate) fn is_excused(&self, why: Why, now: Moment) -> bool {
        let is_stale = match why {
            Why::Stale | Why::Softened => true,
            Why::Missing
            | Why::VaryMissing
            | Why::Unusable
            | Why::Unproven
            | Why::Partial
            | Why::NoCache
            | Why::RequestNoCache
            | Why::RequestMaxAge
            | Why::RequestMinFresh
            | Why::Method
            | Why::Bypass => false,
        };
        let has_excuse = self.copy().is_some_and(|copy| copy.excused_until.holds_at(now));
        is_stale && has_excuse && self.facts(now).is_some_and(caching::may_serve_on_error)
    }

    /// Asks the gate once more, after the time that a fetch took.
    pub(crate) fn judge_again(&mut self, world: &World, want: &Want) {
        let judge = Judge::new(world, want);
        self.gate = self.copy().map_or(Gate::Old, |copy| judge.copy(copy));
        self.is_lenient = judge.is_lenient();
    }

    /// The reason for going further, told apart where only a variant is missing.
    pub(crate) fn why(&self, why: Why) -> Why {
        if self.varies && why == Why::Missing { Why::VaryMissing } else { why }
    }

    /// Answers with the copy.
    pub(crate) fn serve(self, account: &mut Account, verdict: Verdict) -> Obtained {
        account.verdict = verdict;
        let (permit, detail) = match self.gate {
            Gate::Serve(permit) => (Some(permit), self.is_lenient.then_some("fenced")),
            Gate::Softened(permit, _) => (Some(permit), Some("softened")),
            Gate::Unproven | Gate::Old => (None, None),
        };
        account.detail = detail;
        let (entry, permit) =
            self.copy.zip(permit).expect("a plan to serve is only made for what passed the gate");
        match Manifest::of(self.key, &entry) {
            Some(manifest) => Obtained::Sliced(Sliced::kept(manifest), permit),
            None => Obtained::Stored(entry, permit),
        }
    }

    /// The copy, unless it is old.
    pub(crate) fn copy(&self) -> Option<&Copy> {
        self.copy.as_deref()?.copy()
    }
}

/// Finds the copy that `want` selects, and hears the gate.
pub(crate) fn find(world: &World, want: &Want) -> Found {
    let entry = world.store.find(&want.key);
    let mut signpost = None;
    let (key, varies, entry) = match entry.as_deref() {
        Some(Entry::Varies(fields)) => {
            let key = caching::variant_key(&want.key, fields, &want.headers);
            signpost = entry.clone();
            (key, true, world.store.find(&key))
        }
        Some(Entry::Object(_) | Entry::Manifest(_) | Entry::Slice(_) | Entry::Encoded(_))
        | None => (want.key, false, entry),
    };
    let copy = entry.filter(|entry| entry.copy().is_some_and(|copy| is_of(copy, want)));
    let judge = Judge::new(world, want);
    let gate = copy.as_deref().and_then(Entry::copy).map(|copy| judge.copy(copy));
    let is_lenient = judge.is_lenient();
    let was_purged = matches!(gate, Some(Gate::Old));
    let copy = copy.filter(|_| !was_purged);
    let gate = gate.unwrap_or(Gate::Old);
    Found { copy, gate, was_purged, is_lenient, key, varies, signpost }
}

/// Whether a copy is kept under `key` that may be served in a failure's place: no failure is then
/// kept instead of it.
pub(crate) fn outlives_failures(world: &World, want: &Want, key: CacheKey) -> bool {
    let found = find(world, want);
    let facts = found.facts(world.host.now());
    found.key == key && facts.is_some_and(caching::may_serve_on_error)
}

/// A key is a strong hash, but the purge gate looks at attributes: they must be the request's own.
fn is_of(copy: &Copy, want: &Want) -> bool {
    *copy.object.attributes == *want.kept
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use model::LogPosition;

    use super::*;

    #[test]
    fn content_is_as_young_as_its_question_unless_it_says_more_than_a_date_s_second() {
        let ms = |millis| Moment::at(Duration::from_millis(millis));
        for (initial_age_ms, expect_ms) in
            [(0, 5_000), (900, 5_000), (1_200, 5_000), (4_000, 2_200)]
        {
            let head = Head {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                as_of: LogPosition::ZERO,
                requested_at: ms(5_000),
                received_at: ms(5_200),
                initial_age: Duration::from_millis(initial_age_ms),
                proof_age: Duration::ZERO,
            };
            assert_eq!(born_at(&head), ms(expect_ms), "{initial_age_ms}");
        }
    }
}
