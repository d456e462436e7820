//! The fetch of one slice: a task of its own, like any fetch, that fills one slice and keeps it.
//!
//! What comes must be the slice that was asked for, of the manifest's version. Anything else is not
//! given to anybody: those who wait start over.

use std::sync::Arc;

use bytes::Bytes;
use caching::Piece;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use model::Object;
use model::object::Head;
use wire::exchange::Failure;

use super::Manifest;
use crate::account::Source;
use crate::body::{BodyStream, Chunk};
use crate::collapse::Place;
use crate::fill::{Brings, Fill, Opening, Sharing, Writer};
use crate::gate::Judge;
use crate::lookup::{Copy, Entry};
use crate::room::Room;
use crate::walk::{self, Answered, Route};
use crate::want::{Effort, Want};
use crate::world::World;

/// Fetches slice `number` of `manifest` into `writer`'s fill, which others find at `place`.
pub(super) async fn fetch(
    world: Arc<World>,
    want: Want,
    manifest: Manifest,
    number: u64,
    writer: Writer,
    place: Place,
) {
    let _stay = Stay { world: &world, place, fill: writer.fill().clone() };
    let mut route = match want.effort {
        Effort::Anew => Route::straight(&world, &want),
        Effort::Ordinary | Effort::PastCaches => Route::plan(&world, &want),
    };
    let answer = match walk::first_answer(&world, &want, None, &mut route).await {
        Ok(answer) => answer,
        Err(failure) => return writer.fail(failure),
    };
    match verdict(&manifest, number, &answer) {
        Verdict::Ours => {}
        Verdict::Failing => return writer.fail(Failure::Unreachable),
        Verdict::Another => return writer.overtaken(),
        Verdict::NoSlices => {
            world.fills.mark_unsliceable(want.key, world.host.now());
            return writer.overtaken();
        }
    }
    let Answered { head, trail, source, effort, body, .. } = answer;
    writer.open(Opening {
        head: head.clone(),
        tags: manifest.copy().object.tags.clone(),
        effort,
        body_bytes: Some(manifest.slice_bytes(number)),
        trail,
        source,
        sharing: Sharing::Variant(manifest.slice_key(number)),
        revalidated: false,
        brings: Brings::Whole,
    });
    if fill_slice(&world, &want, &writer, &manifest, number, &head, body).await.is_some() {
        writer.complete();
    }
}

/// Takes the fill out of its place, however the fetch ends.
struct Stay<'a> {
    world: &'a World,
    place: Place,
    fill: Arc<Fill>,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.world.fills.leave(self.place, &self.fill);
    }
}

/// What an answer to the question for a slice is.
enum Verdict {
    /// That slice, of that version.
    Ours,
    /// Another version, or the object is gone.
    Another,
    /// The whole: this origin does not serve ranges after all.
    NoSlices,
    /// No answer about the object.
    Failing,
}

fn verdict(manifest: &Manifest, number: u64, answer: &Answered) -> Verdict {
    let object = &manifest.copy().object;
    let (head, length) = (&answer.head, manifest.length());
    match head.status {
        StatusCode::PARTIAL_CONTENT => {
            let piece = caching::piece(&head.headers, answer.body_bytes);
            let is_ours = piece == Some(Piece::Slice { number, length })
                && caching::is_same_version(&object.head.headers, &head.headers);
            // Rule R3: what goes out is known under the manifest's tags.
            let is_known = caching::tags(&object.attributes.host, &head.headers)
                .is_ok_and(|tags| object.tags.union(&tags) == object.tags);
            if is_ours && is_known { Verdict::Ours } else { Verdict::Another }
        }
        StatusCode::OK if answer.source == Source::Origin => Verdict::NoSlices,
        StatusCode::TOO_MANY_REQUESTS => Verdict::Failing,
        status if status.is_server_error() => Verdict::Failing,
        _ => Verdict::Another,
    }
}

/// Moves the beginning of `body`, as much as slice `number` has, into the fill, and keeps the slice
/// before its last byte is out. `None` means that it is not whole.
pub(crate) async fn fill_slice(
    world: &World,
    want: &Want,
    writer: &Writer,
    manifest: &Manifest,
    number: u64,
    head: &Head,
    mut body: BodyStream,
) -> Option<()> {
    let expected = manifest.slice_bytes(number);
    let mut room = Room::wanted(&world.fills);
    let mut written = 0;
    while written < expected {
        let mut chunk = match body.next().await? {
            Ok(Chunk::Data(chunk)) => chunk,
            Ok(Chunk::Trailers(_)) => continue,
            Err(_) => return None,
        };
        chunk.truncate(usize::try_from(expected - written).unwrap_or(usize::MAX));
        written += chunk.len() as u64;
        if !room.take(chunk.len() as u64) {
            writer.stop_retaining();
        }
        if written == expected
            && let Some(chunks) = writer.retained_and(chunk.clone())
        {
            keep(world, want, manifest, number, head, chunks);
        }
        writer.push(chunk).await.ok()?;
    }
    Some(())
}

/// Keeps a slice, unless it was purged meanwhile. Purges match the manifest's attributes and tags
/// (rule R16); of its own head only the provenance counts.
fn keep(
    world: &World,
    want: &Want,
    manifest: &Manifest,
    number: u64,
    head: &Head,
    chunks: Vec<Bytes>,
) {
    let whole = &manifest.copy().object;
    let object = Object {
        attributes: whole.attributes.clone(),
        tags: whole.tags.clone(),
        head: Head { headers: HeaderMap::new(), ..head.clone() },
        body_bytes: manifest.slice_bytes(number),
        body: chunks.into(),
    };
    let slice = Copy::new(object, manifest.copy().terms);
    if Judge::new(world, want).lets_keep(head.as_of, &whole.tags, slice.born_at) {
        world.store.keep(manifest.slice_key(number), Arc::new(Entry::Slice(slice)));
    }
}
