//! A fill: one response on its way in, read by everyone who waits for it from its first byte.
//!
//! The writer is a task of its own and outlives the viewer who started it. While a body may still
//! be kept, every chunk is retained and late readers start at the first byte. Once it is known not
//! to be kept (too large, uncacheable), the fill holds a bounded window: nobody else may join, and
//! the writer waits for the slowest reader. A fill without readers is then given up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::HeaderMap;
use model::limits::{FILL_READERS_MAX, FILL_WINDOW_BYTES};
use model::object::Head;
use model::{CacheKey, LogPosition, Moment, Tags};
use wire::exchange::Failure;

use crate::account::Source;
use crate::body::BodyError;
use crate::gate::Proof;
use crate::slice::Manifest;
use crate::want::Effort;

mod reader;

pub(crate) use reader::Reader;

/// What is known once the head of the response is here.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// Status, fields, provenance.
    pub(crate) head: Head,
    /// The origin's names for it.
    pub(crate) tags: Tags,
    /// How the origin was asked, if this node asked it.
    pub(crate) effort: Effort,
    /// Bytes of the body, where known.
    pub(crate) body_bytes: Option<u64>,
    /// What the tiers above said (`Cache-Status` members).
    pub(crate) trail: String,
    /// Where it came from.
    pub(crate) source: Source,
    /// Who else may have it.
    pub(crate) sharing: Sharing,
    /// Whether an older copy proved still good, rather than a new response arriving.
    pub(crate) revalidated: bool,
    /// What of the body the fill brings.
    pub(crate) brings: Brings,
}

/// What of the body that its head describes a fill brings.
#[derive(Clone, Debug)]
pub(crate) enum Brings {
    /// All of it.
    Whole,
    /// One slice of a large object, or nothing of it.
    Slice(Manifest, Option<u64>),
}

/// Who may read a fill beside the request that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Requests that select this variant: it is being kept under that key.
    Variant(CacheKey),
    /// Nobody: it is not cacheable, for this reason.
    Nobody(&'static str),
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Open(Arc<Opening>),
    Complete(Arc<Opening>),
    Broken(Arc<Opening>, BodyError),
    Failed(Failure),
    Overtaken,
}

/// Why no response begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// There is none.
    Failed(Failure),
    /// A purge covered what it was made of: start over.
    Overtaken,
}

#[derive(Debug)]
struct Inner {
    stage: Stage,
    chunks: VecDeque<Bytes>,
    dropped_chunks: usize,
    dropped_bytes: u64,
    written_bytes: u64,
    retains: bool,
    readers: BTreeMap<u64, Slot>,
    next_reader: u64,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct Slot {
    chunk: usize,
    bytes: u64,
    waker: Option<Waker>,
}

impl Inner {
    fn wake_readers(&mut self) {
        for slot in self.readers.values_mut() {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    fn slowest(&self) -> Option<&Slot> {
        self.readers.values().min_by_key(|slot| slot.chunk)
    }

    fn drop_what_everyone_has(&mut self) {
        let read = self.slowest().map_or(self.dropped_chunks, |slot| slot.chunk);
        while self.dropped_chunks < read {
            let Some(chunk) = self.chunks.pop_front() else { break };
            self.dropped_chunks += 1;
            self.dropped_bytes += chunk.len() as u64;
        }
    }
}

/// A response on its way in.
#[derive(Debug)]
pub(crate) struct Fill {
    /// The log applied when it began.
    pub(crate) started: LogPosition,
    /// When it began.
    pub(crate) began_at: Moment,
    /// How far it goes.
    pub(crate) effort: Effort,
    /// The fields of the request that started it.
    pub(crate) asked: HeaderMap,
    inner: Mutex<Inner>,
}

/// What a fill brings, as far as is known.
#[derive(Debug)]
pub(crate) struct Provenance {
    /// The position that its content is known to reflect: that of the response, or of the start
    /// while it is awaited.
    pub(crate) as_of: LogPosition,
    /// Its tags; none while it is awaited.
    pub(crate) tags: Tags,
    /// Since when it is proven: since the start at least while it is awaited.
    pub(crate) proof: Proof,
}

/// Why a write had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abandoned;

impl Fill {
    /// A fill that starts at `began_at`, on a node that has applied `started`, for a request with
    /// the fields `asked`.
    pub(crate) fn start(
        started: LogPosition,
        began_at: Moment,
        effort: Effort,
        asked: HeaderMap,
    ) -> (Arc<Fill>, Writer) {
        let inner = Inner {
            stage: Stage::Waiting,
            chunks: VecDeque::new(),
            dropped_chunks: 0,
            dropped_bytes: 0,
            written_bytes: 0,
            retains: true,
            readers: BTreeMap::new(),
            next_reader: 0,
            writer: None,
        };
        let inner = Mutex::new(inner);
        let fill = Arc::new(Fill { started, began_at, effort, asked, inner });
        (fill.clone(), Writer { fill })
    }

    /// A lock that nobody holds across a wait; what it guards is consistent between any two
    /// statements.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it brings, as far as is known.
    pub(crate) fn provenance(&self) -> Provenance {
        match &self.lock().stage {
            Stage::Waiting | Stage::Failed(_) | Stage::Overtaken => Provenance {
                as_of: self.started,
                tags: Tags::NONE,
                proof: Proof::at(self.began_at),
            },
            Stage::Open(opening) | Stage::Complete(opening) | Stage::Broken(opening, _) => {
                let (as_of, tags) = (opening.head.as_of, opening.tags.clone());
                Provenance { as_of, tags, proof: Proof::of(&opening.head) }
            }
        }
    }

    /// A reader from the first byte; none if some bytes are gone, or nobody else may read, or too
    /// many do.
    pub(crate) fn join(self: &Arc<Self>) -> Option<Reader> {
        self.join_if(|_, _| true)
    }

    /// The same, if what is open already `fits`.
    pub(crate) fn join_if(
        self: &Arc<Self>,
        fits: impl Fn(&Head, CacheKey) -> bool,
    ) -> Option<Reader> {
        let mut inner = self.lock();
        let open = match &inner.stage {
            Stage::Waiting => true,
            Stage::Open(opening) => match opening.sharing {
                Sharing::Variant(key) => fits(&opening.head, key),
                Sharing::Nobody(_) => false,
            },
            Stage::Complete(_) | Stage::Broken(..) | Stage::Failed(_) | Stage::Overtaken => false,
        };
        if !open || inner.dropped_chunks > 0 || inner.readers.len() >= FILL_READERS_MAX {
            return None;
        }
        let id = inner.next_reader;
        inner.next_reader += 1;
        inner.readers.insert(id, Slot::default());
        Some(Reader { fill: self.clone(), id })
    }
}

/// The writing end. Dropped before [`Writer::complete`], the fill is broken: a body cut short never
/// looks whole.
pub(crate) struct Writer {
    fill: Arc<Fill>,
}

impl Writer {
    /// The fill being written.
    pub(crate) fn fill(&self) -> &Arc<Fill> {
        &self.fill
    }

    /// The head is here.
    pub(crate) fn open(&self, opening: Opening) {
        let mut inner = self.fill.lock();
        inner.stage = Stage::Open(Arc::new(opening));
        inner.wake_readers();
    }

    /// From now on only a window is held back.
    pub(crate) fn stop_retaining(&self) {
        let mut inner = self.fill.lock();
        inner.retains = false;
        inner.drop_what_everyone_has();
    }

    /// Appends to the body. Waits for the slowest reader once nothing is retained; fails when
    /// nobody is left who wants it.
    pub(crate) async fn push(&self, chunk: Bytes) -> Result<(), Abandoned> {
        poll_fn(|context| {
            let mut inner = self.fill.lock();
            if inner.retains {
                return Poll::Ready(Ok(()));
            }
            let Some(slowest) = inner.slowest() else { return Poll::Ready(Err(Abandoned)) };
            if inner.written_bytes - slowest.bytes < FILL_WINDOW_BYTES {
                return Poll::Ready(Ok(()));
            }
            inner.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await?;
        let mut inner = self.fill.lock();
        inner.written_bytes += chunk.len() as u64;
        inner.chunks.push_back(chunk);
        inner.wake_readers();
        Ok(())
    }

    /// Appends a body that is all here, and so is no further burden to retain.
    pub(crate) fn append_all(&self, body: &[Bytes]) {
        let mut inner = self.fill.lock();
        inner.written_bytes += body.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        inner.chunks.extend(body.iter().cloned());
        inner.wake_readers();
    }

    /// Everything written so far, if all of it is still retained.
    pub(crate) fn retained(&self) -> Option<Vec<Bytes>> {
        let inner = self.fill.lock();
        (inner.retains && inner.dropped_chunks == 0).then(|| inner.chunks.iter().cloned().collect())
    }

    /// The same with one more chunk, which nobody has seen yet.
    pub(crate) fn retained_and(&self, last: Bytes) -> Option<Vec<Bytes>> {
        let mut chunks = self.retained()?;
        chunks.push(last);
        Some(chunks)
    }

    /// Bytes written so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.fill.lock().written_bytes
    }

    /// The body is whole.
    pub(crate) fn complete(self) {
        let mut inner = self.fill.lock();
        if let Stage::Open(opening) = &inner.stage {
            inner.stage = Stage::Complete(opening.clone());
        }
        inner.wake_readers();
    }

    /// A purge covered what the response would have been made of.
    pub(crate) fn overtaken(self) {
        let mut inner = self.fill.lock();
        if let Stage::Waiting = inner.stage {
            inner.stage = Stage::Overtaken;
        }
        inner.wake_readers();
    }

    /// The rest of the body is not to be had from the origin.
    pub(crate) fn give_up(self) {
        let mut inner = self.fill.lock();
        if let Stage::Open(opening) = &inner.stage {
            inner.stage = Stage::Broken(opening.clone(), BodyError::GivenUp);
        }
        inner.wake_readers();
    }

    /// There will be no response.
    pub(crate) fn fail(self, failure: Failure) {
        let mut inner = self.fill.lock();
        if let Stage::Waiting = inner.stage {
            inner.stage = Stage::Failed(failure);
        }
        inner.wake_readers();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut inner = self.fill.lock();
        let end = match &inner.stage {
            Stage::Waiting => Some(Stage::Failed(Failure::Unreachable)),
            Stage::Open(opening) => {
                let early = BodyError::Broken("the fetch ended early".into());
                Some(Stage::Broken(opening.clone(), early))
            }
            Stage::Complete(_) | Stage::Broken(..) | Stage::Failed(_) | Stage::Overtaken => None,
        };
        if let Some(end) = end {
            inner.stage = end;
            inner.wake_readers();
        }
    }
}

#[cfg(test)]
mod tests;
