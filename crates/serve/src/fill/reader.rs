//! The reading end of a fill: the head, then the body as a stream.
//!
//! Every reader has its own place in the body, starting at the first byte.
//! Dropped, it no longer holds the writer back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::poll_fn;

use super::{Absent, Fill, Inner, Opening, Stage};
use crate::body::{BodyError, Chunk};

/// A reading end: the head, then the body as a stream.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) fill: Arc<Fill>,
    pub(super) id: u64,
}

impl Reader {
    /// What is read.
    pub(crate) fn fill(&self) -> &Fill {
        &self.fill
    }

    /// Waits for the head.
    pub(crate) async fn opening(&self) -> Result<Arc<Opening>, Absent> {
        poll_fn(|context| {
            let mut inner = self.fill.lock();
            match &inner.stage {
                Stage::Open(opening) | Stage::Complete(opening) | Stage::Broken(opening, _) => {
                    Poll::Ready(Ok(opening.clone()))
                }
                Stage::Failed(failure) => Poll::Ready(Err(Absent::Failed(*failure))),
                Stage::Overtaken => Poll::Ready(Err(Absent::Overtaken)),
                Stage::Waiting => {
                    self.sleep(&mut inner, context);
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn sleep(&self, inner: &mut Inner, context: &Context<'_>) {
        if let Some(slot) = inner.readers.get_mut(&self.id) {
            slot.waker = Some(context.waker().clone());
        }
    }
}

impl Stream for Reader {
    type Item = Result<Chunk, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.fill.lock();
        let Some(at) = inner.readers.get(&self.id).map(|slot| slot.chunk) else {
            return Poll::Ready(None);
        };
        if let Some(chunk) = inner.chunks.get(at - inner.dropped_chunks).cloned() {
            if let Some(slot) = inner.readers.get_mut(&self.id) {
                slot.chunk += 1;
                slot.bytes += chunk.len() as u64;
            }
            if !inner.retains {
                inner.drop_what_everyone_has();
                inner.wake_writer();
            }
            return Poll::Ready(Some(Ok(Chunk::Data(chunk))));
        }
        match &inner.stage {
            Stage::Complete(_) | Stage::Failed(_) | Stage::Overtaken => Poll::Ready(None),
            Stage::Broken(_, error) => {
                let error = error.clone();
                inner.readers.remove(&self.id);
                Poll::Ready(Some(Err(error)))
            }
            Stage::Waiting | Stage::Open(_) => {
                self.sleep(&mut inner, context);
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inner = self.fill.lock();
        inner.readers.remove(&self.id);
        if !inner.retains {
            inner.drop_what_everyone_has();
        }
        inner.wake_writer();
    }
}
