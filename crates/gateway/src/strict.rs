//! An origin's socket that lets no head pass which could be read in two ways.
//!
//! hyper takes a bare LF for a line end, and of two framings one; what stands behind such a
//! response on a kept connection could then be taken for another's (RFC 9112 §11.2). So every head
//! is read here first, to the letter, and a flawed one ends the connection. Bodies pass untouched.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::flaw::Flaw;
use crate::http1::response::{self, Kind};
use crate::http1::scan::{Hopeless, Scan};

/// Says that a response is due on a connection: the next bytes are a head.
#[derive(Clone, Default)]
pub(crate) struct Due(Arc<AtomicBool>);

impl Due {
    /// A request is about to be sent.
    pub(crate) fn expect(&self) {
        self.0.store(true, Relaxed);
    }
}

/// An origin's socket.
pub(crate) struct Strict {
    stream: TcpStream,
    due: Due,
    scan: Scan,
    head: BytesMut,
}

impl Strict {
    pub(crate) fn new(stream: TcpStream, due: Due) -> Strict {
        Strict { stream, due, scan: Scan::head(response::check_start), head: BytesMut::new() }
    }

    /// Reads on in the head that is due.
    fn judge(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        self.head.extend_from_slice(bytes);
        while let Some(range) = self.scan.advance(&self.head).map_err(flaw)? {
            let mut head = self.head.split_to(range.end);
            head.advance(range.start);
            self.scan = Scan::head(response::check_start);
            match response::check(&head.freeze())? {
                Kind::Interim => {}
                Kind::Final => {
                    self.due.0.store(false, Relaxed);
                    self.head.clear();
                    break;
                }
            }
        }
        Ok(())
    }
}

fn flaw(hopeless: Hopeless) -> Flaw {
    match hopeless {
        Hopeless::LongStart => Flaw::StartLine,
        Hopeless::Flawed(flaw) => flaw,
    }
}

/// The flaw that `error` was made of, if it was.
pub(crate) fn flaw_in(error: &hyper::Error) -> Option<Flaw> {
    let cause = error.source()?.downcast_ref::<io::Error>()?;
    cause.get_ref()?.downcast_ref().copied()
}

impl AsyncRead for Strict {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.due.0.load(Relaxed)
            && let Err(flaw) = self.judge(&buffer.filled()[before..])
        {
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, flaw)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Strict {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
