//! What waits to be written to a viewer: pieces that are shared with the cache, never copied, and
//! the small text between them. Written in one go, as many as the socket takes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use model::limits::{OUTPUT_BYTES_MAX, OUTPUT_PIECES_MAX};
use tokio::io::AsyncWrite;

/// The pieces, in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: BytesMut,
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Output {
    /// Whether another piece may be added before some are written.
    pub(crate) fn has_room(&self) -> bool {
        self.pieces.len() < OUTPUT_PIECES_MAX && self.bytes < OUTPUT_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds `piece`.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Adds what `write` writes.
    pub(crate) fn text(&mut self, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.text);
        let text = self.text.split().freeze();
        self.push(text);
    }

    /// Writes once, what there is; says how many bytes went.
    pub(crate) fn poll_write(
        &mut self,
        socket: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        let mut slices = [IoSlice::new(&[]); OUTPUT_PIECES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        let written = ready!(socket.poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written as u64))
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_out_in_order_however_few_bytes_are_taken_at_once() {
        let mut output = Output::default();
        output.text(|out| out.extend_from_slice(b"head "));
        output.push(Bytes::new());
        output.push(Bytes::from_static(b"body "));
        output.text(|out| out.extend_from_slice(b"end"));
        let mut seen = Vec::new();
        while !output.is_empty() {
            seen.push(output.pieces[0][0]);
            output.advance(1);
        }
        assert_eq!((seen.as_slice(), output.bytes), (&b"head body end"[..], 0));
    }

    #[test]
    fn a_piece_is_shared_and_not_copied() {
        let (mut output, piece) = (Output::default(), Bytes::from(vec![1; 9]));
        output.push(piece.clone());
        assert_eq!(output.pieces[0].as_ptr(), piece.as_ptr());
        for _ in 1..OUTPUT_PIECES_MAX {
            assert!(output.has_room());
            output.push(piece.clone());
        }
        assert!(!output.has_room());
    }
}
