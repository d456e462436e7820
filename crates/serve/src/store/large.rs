//! The fetch of what is or may be large: whether an answer is taken as it is, as one slice of a
//! large object, or not at all.
//!
//! A viewer's range makes the first question one for a slice; a large response that its origin
//! could also send in ranges is taken up to its first slice and no further. What cannot be divided
//! is asked for whole, and that is remembered for a while.

use std::sync::Arc;

use caching::{Piece, Terms};
use http::StatusCode;
use model::Object;
use model::limits::SLICED_BYTES_MIN;
use wire::exchange::Failure;

use super::Fetch;
use crate::account::Source;
use crate::fill::{Brings, Opening, Sharing, Writer};
use crate::lookup::{Copy, Entry};
use crate::slice::{self, Manifest};
use crate::walk::{self, Answered, Route};
use crate::want::Want;

/// How an answer is to be taken.
pub(super) enum Arranged {
    /// As it is; this is where the rest would come from if it broke off.
    Whole(Answered, Route),
    /// As one slice of a large object, whose head it has.
    Slice(Answered, Part),
}

/// Which part of a large object an answer is.
pub(super) struct Part {
    number: u64,
    length: u64,
    terms: Terms,
}

enum Arrangement {
    Whole,
    Slice(Part),
    Useless,
}

impl Fetch<'_> {
    /// Arranges an answer, asking once more if it is of no use.
    pub(super) async fn arranged(
        &self,
        mut answer: Answered,
        route: Route,
    ) -> Result<Arranged, Failure> {
        match self.arrangement(&mut answer) {
            Arrangement::Whole => return Ok(Arranged::Whole(answer, route)),
            Arrangement::Slice(part) => return Ok(Arranged::Slice(answer, part)),
            Arrangement::Useless => drop(answer),
        }
        let want = Want { slice: None, ..self.want.clone() };
        let mut route = self.route();
        let mut answer = walk::first_answer(self.world, &want, None, &mut route).await?;
        let length = answer.body_bytes;
        Ok(match self.part_of_whole(&mut answer, length) {
            Some(part) => Arranged::Slice(answer, part),
            None => Arranged::Whole(answer, route),
        })
    }

    fn arrangement(&self, answer: &mut Answered) -> Arrangement {
        let (world, want) = (self.world, self.want);
        let length = answer.body_bytes;
        match (answer.head.status, want.slice) {
            (StatusCode::PARTIAL_CONTENT, asked) => {
                let is_asked_for = asked.is_some() || answer.source != Source::Origin;
                let piece = caching::piece(&answer.head.headers, length);
                let taken = match piece.filter(|_| is_asked_for) {
                    Some(piece) => self.take_for(piece, answer),
                    None => None,
                };
                match taken {
                    Some(arrangement) => arrangement,
                    None if asked.is_none() => Arrangement::Whole,
                    None => {
                        world.fills.mark_unsliceable(want.key, world.host.now());
                        Arrangement::Useless
                    }
                }
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => Arrangement::Useless,
            (StatusCode::OK, Some(_)) if answer.source == Source::Origin => {
                if length.is_none_or(|bytes| bytes >= SLICED_BYTES_MIN) {
                    world.fills.mark_unsliceable(want.key, world.host.now());
                }
                Arrangement::Whole
            }
            (_, None) => match self.part_of_whole(answer, length) {
                Some(part) => Arrangement::Slice(part),
                None => Arrangement::Whole,
            },
            (_, Some(_)) => Arrangement::Whole,
        }
    }

    /// Gives a part the head of the whole, if it can be taken for what it is.
    fn take_for(&self, piece: Piece, answer: &mut Answered) -> Option<Arrangement> {
        let (Piece::Whole(length) | Piece::Slice { length, .. }) = piece;
        let mut head = answer.head.clone();
        head.status = StatusCode::OK;
        head.headers = caching::fields_of_whole(&head.headers, length);
        let arrangement = match piece {
            Piece::Whole(_) => {
                answer.body_bytes = Some(length);
                Arrangement::Whole
            }
            Piece::Slice { number, length } => {
                let terms = self.terms(&head).ok()?;
                Arrangement::Slice(Part { number, length, terms })
            }
        };
        answer.head = head;
        Some(arrangement)
    }

    /// The first slice of a whole response that is better fetched in slices.
    fn part_of_whole(&self, answer: &mut Answered, length: Option<u64>) -> Option<Part> {
        let (world, head) = (self.world, &answer.head);
        let is_sliced = answer.source == Source::Origin
            && caching::is_better_sliced(head.status, &head.headers, length)
            && !world.fills.is_unsliceable(&self.want.key, world.host.now());
        let terms = is_sliced.then(|| self.terms(head).ok())??;
        Some(Part { number: 0, length: length?, terms })
    }

    /// A slice, and with it the manifest: whoever waits goes on from there, each to its own slices.
    pub(super) async fn take_slice(&mut self, writer: Writer, answer: Answered, part: Part) {
        let Part { number, length, terms } = part;
        let Answered { head, trail, source, effort, body, .. } = answer;
        let tags = self.tags(&head);
        let sharing = self.share(&head);
        self.note_cacheability(head.status, sharing);
        let Sharing::Variant(key) = sharing else {
            return writer.fail(Failure::Unreachable);
        };
        let object = Object {
            attributes: self.want.kept.clone(),
            tags: tags.clone(),
            head: head.clone(),
            body: Arc::new([]),
            body_bytes: length,
        };
        let entry = Arc::new(Entry::Manifest(self.reusable(Copy::new(object, terms))));
        let Some(manifest) = Manifest::of(key, &entry) else {
            return writer.fail(Failure::Unreachable);
        };
        self.keep_entry(key, entry);
        let (_, rank, audience) = self.places.looked_at;
        let place = (manifest.slice_key(number), rank, audience);
        self.world.fills.also_at(place, &self.fill);
        self.places.slice = Some(place);
        let opening = Opening {
            head: head.clone(),
            tags,
            effort,
            body_bytes: Some(length),
            trail,
            source,
            sharing,
            revalidated: false,
            brings: Brings::Slice(manifest.clone(), Some(number)),
        };
        writer.open(opening);
        let (world, want) = (self.world, self.want);
        let filled = slice::fill_slice(world, want, &writer, &manifest, number, &head, body);
        if filled.await.is_some() {
            writer.complete();
        }
    }
}
