//! Encode: a response that its origin sent plain, compressed for viewers who like that better.
//!
//! The encoded content is kept beside the plain object, under a key derived from its version, so
//! that each coding is worked out once. It belongs to the object: the gate is asked about that,
//! and of the encoded content only whether a hard purge covers it (rule R16). While it is being
//! worked out everybody who wants it reads along, as from any fill.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use caching::{Coding, Encoding, Terms};
use control::Standing;
use futures_util::future::poll_fn;
use futures_util::{FutureExt, StreamExt, stream};
use http::HeaderMap;
use model::limits::CHUNK_BYTES_MAX;
use model::object::Head;
use model::{CacheKey, Object, Tags, Tier};

use crate::account::Source;
use crate::body::{Body, BodyError, BodyStream, Chunk};
use crate::fill::{Brings, Fill, Opening, Sharing, Writer};
use crate::gate::{Judge, ServePermit};
use crate::lookup::{Copy, Entry};
use crate::obtained::{Cut, Obtained};
use crate::reading;
use crate::room::Room;
use crate::want::Want;
use crate::world::{Encoder, World};

/// How what was obtained goes to the viewer of `want`.
pub(crate) fn decide(world: &World, want: &Want, obtained: &Obtained) -> Option<Encoding> {
    let may_encode = want.behavior().compress && world.encoders.is_some();
    let (head, length) = (obtained.head(), obtained.body_bytes());
    may_encode.then(|| caching::encoding(&want.headers, want.coding, head, length))
}

/// The encoded body of what was obtained, if it is kept already: its length is known then.
pub(crate) fn kept(
    world: &World,
    want: &Want,
    obtained: &Obtained,
    coding: Coding,
) -> Option<Arc<Entry>> {
    let entry = world.store.find(&key(want, obtained, coding))?;
    let is_good = Judge::new(world, want).slice(entry.copy()?) != Standing::Old;
    is_good.then_some(entry)
}

fn key(want: &Want, obtained: &Obtained, coding: Coding) -> CacheKey {
    let (head, length) = (obtained.head(), obtained.body_bytes().unwrap_or_default());
    caching::encoded_key(&reading::variant(want, head), head, length, coding)
}

/// Encodes what was obtained. What may be kept is encoded for whoever wants it now and later.
pub(crate) fn begin(
    world: &Arc<World>,
    want: &Want,
    obtained: Obtained,
    coding: Coding,
) -> (Body, ServePermit) {
    let key = key(want, &obtained, coding);
    let (head, tags) = (obtained.head().clone(), obtained.tags().clone());
    let terms = want.terms(&head).ok().filter(|_| obtained.is_shared());
    let (plain, permit) = obtained.into_cut(world, want, Cut::Whole);
    let encoder = world.encoders.as_ref().map(|encoders| encoders.begin(coding));
    let stream = encoded(plain.into_stream(), encoder.and_then(Result::ok));
    let Some(terms) = terms else {
        return (Body::Stream { stream, bytes: None }, permit);
    };
    let opening = Opening {
        head: head.clone(),
        tags: tags.clone(),
        effort: want.effort,
        body_bytes: None,
        trail: String::new(),
        source: Source::Here,
        sharing: Sharing::Variant(key),
        revalidated: false,
        brings: Brings::Whole,
    };
    let mut begun = None;
    let judge = Judge::new(world, want);
    let reader = world.fills.join_or_start(
        (key, Tier::Edge, want.audience()),
        |fill| judge.lets_join(fill),
        || {
            let now = world.host.now();
            let (fill, writer) = Fill::start(head.as_of, now, want.effort, HeaderMap::new());
            writer.open(opening);
            begun = Some(writer);
            fill
        },
    );
    if let Some(writer) = begun {
        let task = keep(world.clone(), want.clone(), writer, stream, (key, head, tags, terms));
        world.host.spawn(task.boxed());
    }
    (Body::Stream { stream: reader.boxed(), bytes: None }, permit)
}

/// Moves the encoded body into the fill, and keeps it before it ends.
async fn keep(
    world: Arc<World>,
    want: Want,
    writer: Writer,
    mut body: BodyStream,
    (key, head, tags, terms): (CacheKey, Head, Tags, Terms),
) {
    let fill = writer.fill().clone();
    let mut room = Room::wanted(&world.fills);
    let is_whole = loop {
        match body.next().await {
            Some(Ok(Chunk::Data(chunk))) => {
                if !room.take(chunk.len() as u64) {
                    writer.stop_retaining();
                }
                if writer.push(chunk).await.is_err() {
                    break false;
                }
            }
            Some(Ok(Chunk::Trailers(_))) => {}
            Some(Err(_)) => break false,
            None => break true,
        }
        yield_now().await;
    };
    if is_whole {
        if let Some(chunks) = writer.retained() {
            let object = Object {
                attributes: want.kept.clone(),
                tags,
                head: Head { headers: HeaderMap::new(), ..head },
                body_bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
                body: chunks.into(),
            };
            let copy = Copy::new(object, terms);
            let Copy { object, born_at, .. } = &copy;
            let judge = Judge::new(&world, &want);
            if judge.lets_keep(object.head.as_of, &object.tags, *born_at) {
                world.store.keep(key, Arc::new(Entry::Encoded(copy)));
            }
        }
        writer.complete();
    }
    world.fills.leave((key, Tier::Edge, want.audience()), &fill);
}

struct Encode {
    plain: BodyStream,
    encoder: Option<Box<dyn Encoder>>,
    rest: Bytes,
}

/// `plain`, encoded; what has come is flushed, so that it does not wait for what comes next.
fn encoded(plain: BodyStream, encoder: Option<Box<dyn Encoder>>) -> BodyStream {
    if encoder.is_none() {
        return stream::iter([Err(BodyError::Broken("there is no encoder".into()))]).boxed();
    }
    let state = Encode { plain, encoder, rest: Bytes::new() };
    stream::unfold(state, |mut state| async move {
        let chunk = state.next().await?;
        Some((chunk.map(Chunk::Data), state))
    })
    .boxed()
}

impl Encode {
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let mut encoder = self.encoder.take()?;
            if self.rest.is_empty() {
                self.rest = match self.plain.next().await {
                    Some(Ok(Chunk::Data(chunk))) => chunk,
                    Some(Ok(Chunk::Trailers(_))) => Bytes::new(),
                    Some(Err(error)) => return Some(Err(error)),
                    None => return Some(encoder.finish().map_err(broken)),
                };
            }
            let piece = self.rest.split_to(self.rest.len().min(CHUNK_BYTES_MAX));
            // More of the same chunk is at hand: only its end is worth a flush.
            let out = encoder.push(&piece).and_then(|out| match self.rest.is_empty() {
                true => encoder.flush().map(|more| [out, more].concat().into()),
                false => Ok(out),
            });
            match out {
                Ok(out) => {
                    self.encoder = Some(encoder);
                    if !out.is_empty() {
                        return Some(Ok(out));
                    }
                }
                Err(error) => return Some(Err(broken(error))),
            }
        }
    }
}

fn broken(error: std::io::Error) -> BodyError {
    BodyError::Broken(format!("it cannot be encoded: {error}"))
}

/// Lets other tasks have a turn: encoding never waits for anything by itself.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
