//! A viewer's HTTP/1 connection: one exchange after another, in the order of the requests.
//!
//! After a request that was refused as malformed nothing is read but to be thrown away, so that a
//! second answer is never to be had (RFC 9112 §11.2).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use model::limits::LINGER;
use serve::{Body, Scheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{self, Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::clock::Clock;
use crate::connection::Terms;
use crate::flaw::Flaw;
use crate::http1::answer::Delimiter;
use crate::http1::chunked::{Decoder, Found};
use crate::http1::exchange::{self, End, Exchange};
use crate::http1::framing::Length;
use crate::http1::interims::Interims;
use crate::http1::output::Output;
use crate::http1::request::{self, Head};
use crate::http1::scan::Scan;
use crate::http1::upload::upload;
use crate::listen::Limits;
use crate::refusal::Refusal;

/// Bytes asked of the socket at once while a head is due.
pub(crate) const READ_BYTES: usize = 8 * 1024;

/// A stream of bytes to a viewer and back.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// Lets the connection end in a reset, not cleanly, when it is dropped.
    fn reset(&self);
}

impl Socket for TcpStream {
    fn reset(&self) {
        // A socket that cannot be told to reset is already gone.
        let _ = self.set_zero_linger();
    }
}

/// The connection, as far as it outlives an exchange.
pub(crate) struct Link<S> {
    pub(crate) socket: S,
    /// What was read and not yet used.
    pub(crate) input: BytesMut,
    pub(crate) output: Output,
    /// Whether the viewer has closed its half.
    pub(crate) has_ended: bool,
    pub(crate) clock: Clock,
    pub(crate) interims: Option<Interims>,
    pub(crate) limits: Limits,
    shutdown: CancellationToken,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What came of waiting for the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Bytes,
    /// The viewer closed its half, or broke the connection.
    End,
    Late,
    /// The node is stopping.
    Closing,
}

/// Serves the connection that was accepted at `accepted`, of which `input` was read.
pub(crate) async fn serve<S: Socket>(
    terms: &Terms,
    socket: S,
    viewer: SocketAddr,
    input: BytesMut,
    accepted: Instant,
) {
    let mut link = Link {
        socket,
        input,
        output: Output::default(),
        has_ended: false,
        clock: Clock::set(accepted + terms.limits.head),
        interims: None,
        limits: terms.limits,
        shutdown: terms.shutdown.clone(),
        stopping: Box::pin(terms.shutdown.clone().cancelled_owned()),
    };
    let mut due = Some(accepted + terms.limits.head);
    loop {
        let end = match link.head(due.take()).await {
            Ok(None) => return,
            Ok(Some(head)) => link.answer(terms, viewer, head).await,
            Err(refusal) => {
                tracing::debug!(%viewer, ?refusal, "request refused");
                let mut exchange = exchange::refused(&mut link, refusal);
                poll_fn(|cx| exchange.poll(cx)).await
            }
        };
        match end {
            End::Keep(decoder) => {
                if !link.skip(decoder).await {
                    return;
                }
            }
            End::Close => return link.linger().await,
            End::Gone(why) => return tracing::debug!(%viewer, why, "connection cut"),
            // To HTTP/1.0 the end of the connection is the end of the body, so it is no clean one.
            End::Broken(Delimiter::Close) => return link.socket.reset(),
            End::Broken(_) => return,
        }
    }
}

impl<S: Socket> Link<S> {
    /// Whether the node is stopping.
    pub(crate) fn is_closing(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Reads once into `input`, where `room` is made if there is next to none.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < READ_BYTES / 2 {
            self.input.reserve(room);
        }
        let outcome = pin!(self.socket.read_buf(&mut self.input)).poll(cx);
        if let Poll::Ready(Ok(0)) = outcome {
            self.has_ended = true;
        }
        outcome
    }

    /// The next request; none when the viewer has nothing more to ask, or takes too long to begin.
    /// The first is due at `due`, later ones after a while from their first byte on.
    async fn head(&mut self, due: Option<Instant>) -> Result<Option<Head>, Refusal> {
        let mut scan = Scan::head(request::check_start);
        let mut has_begun = !self.input.is_empty();
        let patience = if has_begun { self.limits.head } else { self.limits.idle };
        let is_first = due.is_some();
        let mut due = due.unwrap_or_else(|| Instant::now() + patience);
        loop {
            if let Some(range) = scan.advance(&self.input)? {
                let mut head = self.input.split_to(range.end);
                head.advance(range.start);
                return request::parse(&head.freeze()).map(Some);
            }
            match self.read(due).await {
                Came::Bytes if has_begun || is_first => {}
                Came::Bytes => due = Instant::now() + self.limits.head,
                Came::End | Came::Late | Came::Closing if self.input.is_empty() => {
                    return Ok(None);
                }
                Came::End => return Err(Refusal::Malformed(Flaw::Unfinished)),
                Came::Late => return Err(Refusal::Slow),
                Came::Closing => {}
            }
            has_begun = true;
        }
    }

    /// Waits for bytes; an idle connection also for the node to stop.
    async fn read(&mut self, due: Instant) -> Came {
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = self.poll_read(cx, READ_BYTES) {
                let has_come = outcome.is_ok_and(|bytes| bytes > 0);
                return Poll::Ready(if has_come { Came::Bytes } else { Came::End });
            }
            if self.input.is_empty() && self.stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Came::Closing);
            }
            self.clock.poll_due(due, cx).map(|()| Came::Late)
        })
        .await
    }

    async fn answer(&mut self, terms: &Terms, viewer: SocketAddr, mut head: Head) -> End {
        let decoder = Decoder::of(head.length);
        let interim = self.interims.get_or_insert_with(Interims::new).teller();
        let (uploading, body) = match head.length {
            Length::Unsaid | Length::Bytes(0) => (None, Body::Empty),
            Length::Bytes(_) | Length::Chunked => {
                let (uploading, uploaded) = upload();
                let bytes = decoder.left();
                (Some(uploading), Body::Stream { stream: uploaded.boxed(), bytes })
            }
        };
        let request = serve::Request {
            method: head.method.clone(),
            scheme: Scheme::Http,
            host: std::mem::take(&mut head.target.host),
            target: std::mem::take(&mut head.target.path),
            headers: std::mem::take(&mut head.headers),
            body,
            viewer,
            interim: Some(interim),
        };
        let visit = terms.visit.visit(request);
        let mut exchange = Exchange::new(self, &head, decoder, uploading, visit);
        poll_fn(|cx| exchange.poll(cx)).await
    }

    /// Reads over the rest of a body that nobody wanted; says whether there may be more requests.
    async fn skip(&mut self, mut decoder: Decoder) -> bool {
        let due = Instant::now() + self.limits.head;
        loop {
            match decoder.next(&mut self.input) {
                Ok(Found::Data(_)) => {}
                Ok(Found::Trailers(_) | Found::End) => return true,
                Ok(Found::More) => match self.read(due).await {
                    Came::Bytes => {}
                    Came::End | Came::Late | Came::Closing => return false,
                },
                Err(_) => return false,
            }
        }
    }

    /// Ends the connection so that the viewer gets to see the last answer (RFC 9112 §9.6).
    async fn linger(&mut self) {
        let due = Instant::now() + LINGER;
        if time::timeout_at(due, self.socket.shutdown()).await.is_err() {
            return;
        }
        while !self.has_ended {
            self.input.clear();
            match self.read(due).await {
                Came::Bytes => {}
                Came::End | Came::Late | Came::Closing => return,
            }
        }
    }
}
