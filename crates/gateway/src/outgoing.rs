//! A body on its way out, to a viewer or to an origin, held to the length that it announced.
//!
//! Bytes at hand go out as they are, by reference count; a stream is polled only when there is
//! room, which is all the backpressure there is. A body that breaks off, or is not as long as it
//! said, ends in an error: the connection or stream is then aborted, and never ended cleanly.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use serve::{Body, BodyError, BodyStream, Chunk};

/// Goes with a body, to its last frame.
pub(crate) trait Witness {
    /// A frame went out.
    fn frame(&self);
}

/// A body going out.
pub(crate) struct Outgoing<W> {
    body: Measured,
    witness: W,
}

/// A body that is held to the length it announced.
pub(crate) struct Measured(Content);

enum Content {
    Over,
    Whole { chunks: Arc<[Bytes]>, next: usize, left: u64 },
    Stream { stream: BodyStream, left: Option<u64> },
}

impl Measured {
    pub(crate) fn new(body: Body) -> Measured {
        Measured(match body {
            Body::Empty => Content::Over,
            Body::Whole { chunks, bytes } => Content::Whole { chunks, next: 0, left: bytes },
            Body::Stream { stream, bytes } => Content::Stream { stream, left: bytes },
        })
    }

    /// The next piece; after trailers, an error or the end there is none.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, BodyError>>> {
        let piece = ready!(self.poll_content(cx));
        match piece {
            Some(Ok(Chunk::Data(_))) => {}
            Some(Ok(Chunk::Trailers(_)) | Err(_)) | None => self.0 = Content::Over,
        }
        Poll::Ready(piece)
    }

    /// Whether nothing of it is left, not even trailers.
    pub(crate) fn is_over(&self) -> bool {
        match &self.0 {
            Content::Over => true,
            Content::Whole { left, .. } => *left == 0,
            // Trailers may follow.
            Content::Stream { .. } => false,
        }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, BodyError>>> {
        match &mut self.0 {
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

impl<W: Witness> Outgoing<W> {
    pub(crate) fn new(body: Body, witness: W) -> Outgoing<W> {
        Outgoing { body: Measured::new(body), witness }
    }
}

impl<W: Witness + Unpin> http_body::Body for Outgoing<W> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(match ready!(self.body.poll_piece(cx)) {
            Some(Ok(Chunk::Data(data))) => {
                self.witness.frame();
                Some(Ok(Frame::data(data)))
            }
            Some(Ok(Chunk::Trailers(trailers))) => Some(Ok(Frame::trailers(trailers))),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body.0 {
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
            None => Some(Err(BodyError::Broken("it was longer than announced".into()))),
        },
        Some(Ok(Chunk::Trailers(_))) | None if *left > 0 => {
            Some(Err(BodyError::Broken("it was shorter than announced".into())))
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
