//! Lookup: what the cache has for a request, after the gate.
//!
//! The gate is here and only here: nothing leaves this room that a purge applied by this node
//! covers (rule R5). A resource with `Vary` is kept as a signpost under its own key, and one object
//! per variant under derived keys (RFC 9111 §4.1).

use std::sync::Arc;

use caching::{Stored, Terms, Why};
use control::State;
use http::HeaderName;
use http::header::{ETAG, LAST_MODIFIED};
use model::position::Watermark;
use model::{CacheKey, LogPosition, Moment, Object};

use crate::account::{Account, Verdict};
use crate::respond::Obtained;
use crate::want::Want;
use crate::world::World;

/// What the store keeps under one key.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an entry lives behind an Arc, and a box would cost every hit another pointer"
)]
pub enum Entry {
    /// An object.
    Object(Copy),
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
}

impl Entry {
    /// The object, if it is one.
    pub(crate) fn copy(&self) -> Option<&Copy> {
        match self {
            Entry::Object(copy) => Some(copy),
            Entry::Varies(_) => None,
        }
    }

    /// Bytes that the entry takes in memory, its bookkeeping included.
    pub fn weight(&self) -> u64 {
        let fields = match self {
            Entry::Varies(names) => names.iter().map(|name| name.as_str().len() + 32).sum(),
            Entry::Object(copy) => {
                let headers = copy.object.head.headers.iter();
                let fields: usize = headers.map(|(n, v)| n.as_str().len() + v.len() + 64).sum();
                let path = copy.object.attributes.path.as_str().len();
                fields + path + copy.object.body.len() * 32
            }
        };
        let body = match self {
            Entry::Varies(_) => 0,
            Entry::Object(copy) => copy.object.body_bytes,
        };
        body + fields as u64 + 512
    }
}

impl Copy {
    /// Keeps `object` under `terms`, unchecked so far.
    pub fn new(object: Object, terms: Terms) -> Copy {
        let checked = Watermark::at(object.head.as_of);
        Copy { object, terms, checked }
    }

    /// The gate: whether no purge that `state` knows of covers the copy. One compare, unless the
    /// log moved on since the last time.
    pub fn passes(&self, state: &State) -> bool {
        let applied = state.applied();
        if self.checked.reached() >= applied {
            return true;
        }
        let passes = !state.is_old(&self.object.attributes, self.object.head.as_of);
        if passes {
            self.checked.raise(applied);
        }
        passes
    }
}

/// What was found, and under which key the request's own variant lives.
pub(crate) struct Found {
    /// The copy, if there is one that passes the gate.
    pub(crate) copy: Option<Arc<Entry>>,
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
        let headers = &head.headers;
        let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        Some(Stored { terms: &copy.terms, age: head.age_at(now), has_validator })
    }

    /// The reason for going further, told apart where only a variant is missing.
    pub(crate) fn why(&self, why: Why) -> Why {
        if self.varies && why == Why::Missing { Why::VaryMissing } else { why }
    }

    /// Answers with the copy.
    pub(crate) fn serve(self, account: &mut Account, verdict: Verdict) -> Obtained {
        account.verdict = verdict;
        let entry = self.copy.expect("a plan to serve is only made for a copy that was found");
        Obtained::Stored(entry)
    }

    /// The copy that passed.
    pub(crate) fn copy(&self) -> Option<&Copy> {
        self.copy.as_deref()?.copy()
    }
}

/// Finds the copy that `want` selects, if it may be served as far as purges go.
pub(crate) fn find(world: &World, want: &Want) -> Found {
    let entry = world.store.find(&want.key);
    let mut signpost = None;
    let (key, varies, entry) = match entry.as_deref() {
        Some(Entry::Varies(fields)) => {
            let key = caching::variant_key(&want.key, fields, &want.headers);
            signpost = entry.clone();
            (key, true, world.store.find(&key))
        }
        Some(Entry::Object(_)) | None => (want.key, false, entry),
    };
    let state = world.ledger.state();
    let copy = entry.filter(|entry| match entry.as_ref() {
        Entry::Object(copy) => is_of(copy, want) && copy.passes(&state),
        Entry::Varies(_) => false,
    });
    Found { copy, key, varies, signpost }
}

/// A key is a strong hash, but the purge gate looks at attributes: they must be the request's own.
fn is_of(copy: &Copy, want: &Want) -> bool {
    *copy.object.attributes == *want.attributes
}

/// Whether a response fetched `as_of` that position may be used for `want` now.
pub(crate) fn is_current(world: &World, want: &Want, as_of: LogPosition) -> bool {
    want.settles_for.is_some_and(|arrival| as_of >= arrival) || is_unpurged(world, want, as_of)
}

/// Whether no purge known by now covers a response fetched `as_of` that position: it may be kept.
pub(crate) fn is_unpurged(world: &World, want: &Want, as_of: LogPosition) -> bool {
    !world.ledger.state().is_old(&want.attributes, as_of)
}
