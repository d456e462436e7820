//! A body on its way out, to a viewer or to an origin: `serve`'s body as hyper wants it.
//!
//! Bytes at hand go out as they are, by reference count; a stream is polled only when hyper has
//! room, which is all the backpressure there is. A body that breaks off, or is not as long as it
//! said, ends in an error: hyper then aborts the connection or stream, and never ends it cleanly.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use serve::{Body, BodyError, BodyStream, Chunk};

/// Hears what becomes of a body.
pub(crate) trait Witness {
    /// A frame went out.
    fn frame(&self);
    /// The body broke off.
    fn broken(&self);
}

/// A body going out.
pub(crate) struct Outgoing<W> {
    content: Content,
    witness: W,
}

enum Content {
    Over,
    Whole { chunks: Arc<[Bytes]>, next: usize, left: u64 },
    Stream { stream: BodyStream, left: Option<u64> },
}

impl<W: Witness> Outgoing<W> {
    pub(crate) fn new(body: Body, witness: W) -> Outgoing<W> {
        let content = match body {
            Body::Empty => Content::Over,
            Body::Whole { chunks, bytes } => Content::Whole { chunks, next: 0, left: bytes },
            Body::Stream { stream, bytes } => Content::Stream { stream, left: bytes },
        };
        Outgoing { content, witness }
    }

    fn next_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, BodyError>>> {
        match &mut self.content {
            Content::Over => Poll::Ready(None),
            Content::Whole { chunks, next, left } => {
                let chunk = chunks.get(*next).cloned();
                *next += 1;
                Poll::Ready(measured(chunk.map(|chunk| Ok(Chunk::Data(chunk))), left))
            }
            Content::Stream { stream, left: Some(left) } => {
                Poll::Ready(measured(ready!(stream.poll_next_unpin(cx)), left))
            }
            Content::Stream { stream, left: None } => stream.poll_next_unpin(cx),
        }
    }
}

impl<W: Witness + Unpin> http_body::Body for Outgoing<W> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = ready!(self.next_chunk(cx));
        match next {
            Some(Ok(Chunk::Data(data))) => {
                self.witness.frame();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Ok(Chunk::Trailers(trailers))) => {
                self.content = Content::Over;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Some(Err(error)) => {
                self.content = Content::Over;
                self.witness.broken();
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.content = Content::Over;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Over => true,
            Content::Whole { left, .. } => *left == 0,
            // Trailers may follow.
            Content::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Over => SizeHint::with_exact(0),
            Content::Whole { left, .. } => SizeHint::with_exact(*left),
            Content::Stream { left, .. } => left.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

/// Holds `next` against the bytes that were announced and are still to come.
fn measured(
    next: Option<Result<Chunk, BodyError>>,
    left: &mut u64,
) -> Option<Result<Chunk, BodyError>> {
    match next {
        Some(Ok(Chunk::Data(data))) => match left.checked_sub(data.len() as u64) {
            Some(rest) => {
                *left = rest;
                Some(Ok(Chunk::Data(data)))
            }
            None => Some(Err(BodyError("it was longer than announced".into()))),
        },
        Some(Ok(Chunk::Trailers(_))) | None if *left > 0 => {
            Some(Err(BodyError("it was shorter than announced".into())))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http_body::Body as _;

    use super::*;
    use crate::message::Upload;

    #[test]
    fn bytes_at_hand_go_out_uncopied_and_in_order() {
        let chunks: Arc<[Bytes]> = [Bytes::from(vec![1; 9]), Bytes::from(vec![2])].into();
        let body = Body::Whole { chunks: Arc::clone(&chunks), bytes: 10 };
        let mut out = pin!(Outgoing::new(body, Upload::default().witness()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for chunk in chunks.iter() {
            assert!(!out.is_end_stream());
            let Poll::Ready(Some(Ok(frame))) = out.as_mut().poll_frame(&mut cx) else {
                panic!("a frame was due");
            };
            assert_eq!(frame.into_data().unwrap().as_ptr(), chunk.as_ptr());
        }
        assert!(out.is_end_stream());
        assert_eq!(out.size_hint().exact(), Some(0));
    }
}
