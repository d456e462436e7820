//! Obtained: a response to give, wherever it comes from, and what of its body is to be sent.

use std::sync::Arc;

use caching::{ByteRange, Coding, Multipart};
use futures_util::StreamExt;
use model::object::Head;
use model::{Moment, Tags};

use crate::assemble;
use crate::body::Body;
use crate::encode;
use crate::fill::{Opening, Reader, Sharing};
use crate::flights;
use crate::gate::ServePermit;
use crate::lookup::{Copy, Entry};
use crate::slice::{Opened, Sliced};
use crate::want::Want;
use crate::world::World;

/// A response to give: from the cache, or as it arrives.
pub(crate) enum Obtained {
    /// Kept before.
    Stored(Arc<Entry>, ServePermit),
    /// Arriving.
    Filling(Arc<Opening>, Reader, ServePermit),
    /// A large object, slice by slice from the cache or as they arrive.
    Sliced(Sliced, ServePermit),
}

/// What of a body goes to a viewer.
pub(crate) enum Cut {
    /// All of it.
    Whole,
    /// These bytes.
    Part(ByteRange),
    /// Several ranges in their frame.
    Parts(Multipart),
}

impl Obtained {
    fn copy(entry: &Entry) -> &Copy {
        entry.copy().expect("only objects are obtained")
    }

    /// Status, fields, provenance.
    pub(crate) fn head(&self) -> &Head {
        match self {
            Obtained::Stored(entry, _) => &Obtained::copy(entry).object.head,
            Obtained::Filling(opening, ..) => &opening.head,
            Obtained::Sliced(sliced, _) => match &sliced.opening {
                Some(opening) => &opening.head,
                None => &sliced.manifest.copy().object.head,
            },
        }
    }

    /// The same for a request that did not bring it: less what is only for the one that did.
    pub(crate) fn for_others(self, want: &Want) -> Obtained {
        let Some(headers) = want.reusable(self.head()) else { return self };
        let less = |opening: &Opening| {
            let mut opening = opening.clone();
            opening.head.headers = headers;
            Arc::new(opening)
        };
        match self {
            Obtained::Stored(..) => self,
            Obtained::Filling(opening, reader, permit) => {
                Obtained::Filling(less(&opening), reader, permit)
            }
            Obtained::Sliced(sliced, permit) => {
                let opening = sliced.opening.as_deref().map(less);
                Obtained::Sliced(Sliced { opening, ..sliced }, permit)
            }
        }
    }

    /// Bytes of the whole body, where known.
    pub(crate) fn body_bytes(&self) -> Option<u64> {
        match self {
            Obtained::Stored(entry, _) => Some(Obtained::copy(entry).object.body_bytes),
            Obtained::Filling(opening, ..) => opening.body_bytes,
            Obtained::Sliced(sliced, _) => Some(sliced.manifest.length()),
        }
    }

    /// Whether its body goes by once, from the first byte to the last.
    pub(crate) fn is_arriving(&self) -> bool {
        match self {
            Obtained::Stored(..) | Obtained::Sliced(..) => false,
            Obtained::Filling(..) => true,
        }
    }

    fn opening(&self) -> Option<&Opening> {
        match self {
            Obtained::Stored(..) => None,
            Obtained::Filling(opening, ..) => Some(opening),
            Obtained::Sliced(sliced, _) => sliced.opening.as_deref(),
        }
    }

    /// What was kept before, if it was.
    pub(crate) fn kept(&self) -> Option<&Entry> {
        match self {
            Obtained::Stored(entry, _) => Some(entry),
            Obtained::Sliced(sliced, _) if sliced.opening.is_none() => {
                Some(sliced.manifest.entry())
            }
            Obtained::Filling(..) | Obtained::Sliced(..) => None,
        }
    }

    /// What the tiers above said (`Cache-Status` members).
    pub(crate) fn trail(&self) -> &str {
        self.opening().map_or("", |opening| &opening.trail)
    }

    /// Seconds for which what was kept stays fresh.
    pub(crate) fn ttl(&self, now: Moment) -> Option<i64> {
        let copy = Obtained::copy(self.kept()?);
        Some(copy.terms.ttl_at(copy.object.head.age_at(now)))
    }

    /// Whether it is for others too.
    pub(crate) fn is_shared(&self) -> bool {
        match self.opening().map(|opening| opening.sharing) {
            None | Some(Sharing::Variant(_)) => true,
            Some(Sharing::Nobody(_)) => false,
        }
    }

    /// The origin's names for it.
    pub(crate) fn tags(&self) -> &Tags {
        match self {
            Obtained::Stored(entry, _) => &Obtained::copy(entry).object.tags,
            Obtained::Filling(opening, ..) => &opening.tags,
            Obtained::Sliced(sliced, _) => &sliced.manifest.copy().object.tags,
        }
    }

    /// The permission to send it.
    pub(crate) fn permit(&self) -> &ServePermit {
        match self {
            Obtained::Stored(_, permit)
            | Obtained::Filling(_, _, permit)
            | Obtained::Sliced(_, permit) => permit,
        }
    }

    /// The body as it goes to a peer, who judges it on arrival: of a large object the slice at
    /// hand.
    pub(crate) fn into_body(self) -> Body {
        match self {
            Obtained::Stored(entry, _) => whole(&entry),
            Obtained::Filling(opening, reader, _) => {
                Body::Stream { stream: reader.boxed(), bytes: opening.body_bytes }
            }
            Obtained::Sliced(Sliced { manifest, start, .. }, _) => match start {
                Some((_, Opened::Kept(slice))) => whole(&slice),
                Some((number, Opened::Coming(reader, _))) => {
                    let bytes = Some(manifest.slice_bytes(number));
                    Body::Stream { stream: reader.boxed(), bytes }
                }
                None => Body::Empty,
            },
        }
    }

    /// What of the body goes to a viewer, stopped when a purge overtakes it.
    pub(crate) fn into_guarded(self, world: &Arc<World>, want: &Want, cut: Cut) -> Body {
        let tags = self.tags().clone();
        let (body, permit) = self.into_cut(world, want, cut);
        flights::guard(world, want, &tags, permit, body)
    }

    /// The same in a coding.
    pub(crate) fn into_encoded(self, world: &Arc<World>, want: &Want, coding: Coding) -> Body {
        let tags = self.tags().clone();
        let (body, permit) = match encode::kept(world, want, &self, coding) {
            Some(entry) => (whole(&entry), self.into_permit()),
            None => encode::begin(world, want, self, coding),
        };
        flights::guard(world, want, &tags, permit, body)
    }

    fn into_permit(self) -> ServePermit {
        match self {
            Obtained::Stored(_, permit)
            | Obtained::Filling(_, _, permit)
            | Obtained::Sliced(_, permit) => permit,
        }
    }

    /// What of the body goes to a viewer, and the permission to send it.
    pub(crate) fn into_cut(self, world: &Arc<World>, want: &Want, cut: Cut) -> (Body, ServePermit) {
        match self {
            Obtained::Sliced(sliced, permit) => (assembled(world, want, sliced, cut), permit),
            Obtained::Stored(entry, permit) => (cut.of(whole(&entry)), permit),
            Obtained::Filling(opening, reader, permit) => {
                let body = Body::Stream { stream: reader.boxed(), bytes: opening.body_bytes };
                (cut.of(body), permit)
            }
        }
    }
}

impl Cut {
    fn of(self, body: Body) -> Body {
        match self {
            Cut::Whole => body,
            Cut::Part(range) => body.slice(range),
            Cut::Parts(frame) => body.parts(frame),
        }
    }
}

fn whole(entry: &Entry) -> Body {
    let object = &Obtained::copy(entry).object;
    match object.body_bytes {
        0 => Body::Empty,
        bytes => Body::Whole { chunks: object.body.clone(), bytes },
    }
}

fn assembled(world: &Arc<World>, want: &Want, sliced: Sliced, cut: Cut) -> Body {
    match cut {
        Cut::Whole => {
            let last = sliced.manifest.length() - 1;
            assemble::range(world, want, sliced, ByteRange { first: 0, last })
        }
        Cut::Part(range) => assemble::range(world, want, sliced, range),
        Cut::Parts(frame) => assemble::parts(world, want, sliced, frame),
    }
}
