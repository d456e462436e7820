//! The body of a request on its way from the connection, which alone reads, to whoever wants it.
//!
//! Nothing before it is asked for, and one piece at a time from then on: that is all the
//! backpressure there is, and it tells when `100 Continue` is due. Whatever becomes of either side,
//! the other one hears.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use serve::{BodyError, Chunk};

/// The connection's end. Dropped before the body was over, it breaks the body off.
pub(crate) struct Upload(Arc<Mutex<Shared>>);

/// The reader's end.
pub(crate) struct Uploaded(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    piece: Option<Chunk>,
    failure: Option<BodyError>,
    stage: Stage,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nobody has asked for anything.
    #[default]
    Unasked,
    /// The reader has begun to read: one piece at a time is kept ready for it.
    Asked,
    /// The last piece was given.
    Over,
    /// The reader went away.
    Abandoned,
}

/// What the reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The next piece.
    Next,
    /// Nothing for now.
    Wait,
    /// Nothing, ever.
    Nothing,
}

/// Both ends of one body.
pub(crate) fn upload() -> (Upload, Uploaded) {
    let shared = Arc::default();
    (Upload(Arc::clone(&shared)), Uploaded(shared))
}

impl Upload {
    /// What the reader wants; `cx` hears when that changes.
    pub(crate) fn wish(&self, cx: &mut Context<'_>) -> Wish {
        let mut shared = lock(&self.0);
        match (shared.stage, &shared.piece) {
            (Stage::Asked, None) => Wish::Next,
            (Stage::Asked, Some(_)) | (Stage::Unasked, _) => {
                note(&mut shared.connection, cx);
                Wish::Wait
            }
            (Stage::Over | Stage::Abandoned, _) => Wish::Nothing,
        }
    }

    /// Whether nobody wants the rest.
    pub(crate) fn is_abandoned(&self) -> bool {
        lock(&self.0).stage == Stage::Abandoned
    }

    /// Gives the next piece, with more to come.
    pub(crate) fn give(&self, piece: Chunk) {
        self.change(|shared| shared.piece = Some(piece));
    }

    /// Gives the last piece, if there is one more.
    pub(crate) fn end(&self, piece: Option<Chunk>) {
        self.change(|shared| {
            shared.piece = piece;
            shared.stage = Stage::Over;
        });
    }

    /// The rest will never come.
    pub(crate) fn break_off(&self, reason: &str) {
        self.change(|shared| {
            shared.failure = Some(BodyError::Broken(reason.to_owned()));
            shared.stage = Stage::Over;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        let mut shared = lock(&self.0);
        match shared.stage {
            Stage::Unasked | Stage::Asked => {
                change(&mut shared);
                let reader = shared.reader.take();
                drop(shared);
                reader.into_iter().for_each(Waker::wake);
            }
            Stage::Over | Stage::Abandoned => {}
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.break_off("the viewer left");
    }
}

impl Stream for Uploaded {
    type Item = Result<Chunk, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = lock(&self.0);
        let next = match (shared.piece.take(), shared.failure.take(), shared.stage) {
            (Some(piece), failure, _) => {
                shared.failure = failure;
                Poll::Ready(Some(Ok(piece)))
            }
            (None, Some(failure), _) => Poll::Ready(Some(Err(failure))),
            (None, None, Stage::Over | Stage::Abandoned) => Poll::Ready(None),
            (None, None, Stage::Unasked | Stage::Asked) => {
                shared.stage = Stage::Asked;
                note(&mut shared.reader, cx);
                Poll::Pending
            }
        };
        let connection = shared.connection.take();
        drop(shared);
        connection.into_iter().for_each(Waker::wake);
        next
    }
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        if shared.stage != Stage::Over {
            shared.stage = Stage::Abandoned;
        }
        let connection = shared.connection.take();
        drop(shared);
        connection.into_iter().for_each(Waker::wake);
    }
}

fn note(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn piece(content: &'static str) -> Chunk {
        Chunk::Data(Bytes::from_static(content.as_bytes()))
    }

    fn next(reader: &mut Uploaded) -> Poll<Option<Result<String, BodyError>>> {
        let next = reader.next().now_or_never();
        next.map_or(Poll::Pending, |next| {
            Poll::Ready(next.map(|chunk| match chunk? {
                Chunk::Data(data) => Ok(String::from_utf8(data.into()).unwrap()),
                Chunk::Trailers(_) => Ok("trailers".into()),
            }))
        })
    }

    #[test]
    fn a_piece_is_read_when_it_is_asked_for_and_not_before() {
        let (upload, mut reader) = upload();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(upload.wish(&mut cx), Wish::Wait);
        assert_eq!(next(&mut reader), Poll::Pending);
        assert_eq!(upload.wish(&mut cx), Wish::Next);
        upload.give(piece("a"));
        assert_eq!(upload.wish(&mut cx), Wish::Wait);
        assert_eq!(next(&mut reader), Poll::Ready(Some(Ok("a".into()))));
        assert_eq!(upload.wish(&mut cx), Wish::Next);
        upload.end(Some(piece("b")));
        assert_eq!(upload.wish(&mut cx), Wish::Nothing);
        assert_eq!(next(&mut reader), Poll::Ready(Some(Ok("b".into()))));
        assert_eq!(next(&mut reader), Poll::Ready(None));
    }

    #[test]
    fn a_body_that_is_cut_off_is_broken_and_not_over() {
        let (upload, mut reader) = upload();
        upload.give(piece("a"));
        drop(upload);
        assert_eq!(next(&mut reader), Poll::Ready(Some(Ok("a".into()))));
        assert!(matches!(next(&mut reader), Poll::Ready(Some(Err(_)))));
        assert_eq!(next(&mut reader), Poll::Ready(None));
    }

    #[test]
    fn a_reader_that_leaves_wants_nothing() {
        let (upload, reader) = upload();
        drop(reader);
        assert_eq!(upload.wish(&mut Context::from_waker(Waker::noop())), Wish::Nothing);
    }
}
