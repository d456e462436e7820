//! Assemble: the content of a large object as one body, slice after slice as its reader gets there.
//!
//! A reader who goes on from slice to slice has the next ones fetched before it asks, more the
//! longer it goes on; what is ahead waits in the cache and not with the reader, so that a slow one
//! pins a single slice. A slice that breaks off is opened again; if it is of another version by
//! then, the body breaks off too, and never ends as if it were whole.

use std::sync::Arc;

use bytes::Bytes;
use caching::{ByteRange, Multipart};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use model::limits::{SLICE_ATTEMPTS_MAX, SLICE_BYTES, SLICES_AHEAD_MAX, SLICES_BEYOND};

use crate::body::{Body, BodyError, BodyStream, Chunk};
use crate::slice::{self, Closed, Manifest, Opened, Sliced};
use crate::want::Want;
use crate::world::World;

/// The bytes `range` of a large object.
pub(crate) fn range(world: &Arc<World>, want: &Want, sliced: Sliced, range: ByteRange) -> Body {
    let Sliced { manifest, start, .. } = sliced;
    let bytes = Some(range.bytes());
    let stream = Assembly::new(world, want, manifest, start, range).into_stream();
    Body::Stream { stream, bytes }
}

/// Several ranges of a large object, in their frame.
pub(crate) fn parts(world: &Arc<World>, want: &Want, sliced: Sliced, frame: Multipart) -> Body {
    let Sliced { manifest, mut start, .. } = sliced;
    let (world, want) = (world.clone(), want.clone());
    let part = move |(head, range): (Bytes, ByteRange)| -> BodyStream {
        let assembly = Assembly::new(&world, &want, manifest.clone(), start.take(), range);
        stream::iter([Ok(Chunk::Data(head))]).chain(assembly.into_stream()).boxed()
    };
    let end = stream::iter([Ok(Chunk::Data(frame.end))]);
    // What follows a part that broke off is cut away by whoever reads: nothing follows an error.
    let stream: BoxStream<'static, _> =
        stream::iter(frame.parts).map(part).flatten().chain(end).boxed();
    Body::Stream { stream, bytes: Some(frame.bytes) }
}

struct Assembly {
    world: Arc<World>,
    want: Want,
    manifest: Manifest,
    start: Option<(u64, Opened)>,
    slice: Option<BodyStream>,
    left: Option<ByteRange>,
    /// The last slice that may be fetched before it is asked for.
    horizon: u64,
    ahead: u64,
    attempts: usize,
}

impl Assembly {
    fn new(
        world: &Arc<World>,
        want: &Want,
        manifest: Manifest,
        start: Option<(u64, Opened)>,
        range: ByteRange,
    ) -> Assembly {
        let first = caching::slice_of(range.first);
        let came_before = |first: u64| {
            let before = first.checked_sub(1).map(|number| manifest.slice_key(number));
            before.is_some_and(|key| world.store.find(&key).is_some())
        };
        let beyond = if came_before(first) { SLICES_BEYOND } else { 0 };
        let end = caching::slice_of(manifest.length().saturating_sub(1));
        let horizon = (caching::slice_of(range.last) + beyond).min(end);
        Assembly {
            world: world.clone(),
            want: want.clone(),
            manifest,
            start,
            slice: None,
            left: Some(range),
            horizon,
            ahead: 1,
            attempts: SLICE_ATTEMPTS_MAX,
        }
    }

    fn into_stream(self) -> BodyStream {
        let next = |mut assembly: Assembly| async move {
            let piece = assembly.next().await?;
            Some((piece.map(Chunk::Data), assembly))
        };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let left = self.left?;
            let slice = match self.slice.take() {
                Some(slice) => slice,
                None => match self.open(left).await {
                    Ok(slice) => slice,
                    Err(error) => {
                        self.left = None;
                        return Some(Err(error));
                    }
                },
            };
            let slice = self.slice.insert(slice);
            match slice.next().await {
                Some(Ok(Chunk::Data(chunk))) => {
                    let first = left.first + chunk.len() as u64;
                    self.left = (first <= left.last).then_some(ByteRange { first, ..left });
                    if first.is_multiple_of(SLICE_BYTES) {
                        (self.slice, self.attempts) = (None, SLICE_ATTEMPTS_MAX);
                    }
                    return Some(Ok(chunk));
                }
                Some(Ok(Chunk::Trailers(_))) => {}
                end @ (None | Some(Err(_))) => {
                    self.slice = None;
                    self.attempts -= 1;
                    if self.attempts == 0 {
                        self.left = None;
                        let error = end.and_then(Result::err);
                        return Some(Err(
                            error.unwrap_or(BodyError::Broken("a slice is short".into()))
                        ));
                    }
                }
            }
        }
    }

    /// The rest of the slice in which `left` begins, as far as it is wanted.
    async fn open(&mut self, left: ByteRange) -> Result<BodyStream, BodyError> {
        let number = caching::slice_of(left.first);
        let opened = match self.start.take() {
            Some((at_hand, opened)) if at_hand == number => opened,
            Some(_) | None => slice::open(&self.world, &self.want, &self.manifest, number)
                .await
                .map_err(|closed| BodyError::Broken(sentence(closed).into()))?,
        };
        self.fetch_ahead(number);
        let start = number * SLICE_BYTES;
        let end = start + self.manifest.slice_bytes(number) - 1;
        let part = ByteRange { first: left.first - start, last: left.last.min(end) - start };
        Ok(match opened {
            Opened::Kept(entry) => {
                let object = &entry.copy().expect("a slice is a copy").object;
                let chunks = object.body.clone();
                Body::Whole { chunks, bytes: object.body_bytes }.slice(part).into_stream()
            }
            Opened::Coming(reader, _) => {
                Body::Stream { stream: reader.boxed(), bytes: None }.slice(part).into_stream()
            }
        })
    }

    fn fetch_ahead(&mut self, number: u64) {
        for next in number + 1..=self.horizon.min(number + self.ahead) {
            slice::fetch_ahead(&self.world, &self.want, &self.manifest, next);
        }
        self.ahead = (self.ahead * 2).min(SLICES_AHEAD_MAX);
    }
}

fn sentence(closed: Closed) -> &'static str {
    match closed {
        Closed::Another => "the object was replaced by another version",
        Closed::Failed(_) => "a slice of the object cannot be had",
    }
}
