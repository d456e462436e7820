//! The body of an answer on its way into an HTTP/2 stream, as fast as the viewer's windows open.
//!
//! Bytes are handed to h2 by reference count, and only those for which there is room, so that what
//! was handed over is what the viewer allowed. A stream that the viewer lets no byte into for as
//! long as a body may stall is given up; others on the connection go on.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use serve::{Body, BodyError, Chunk};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::outgoing::Measured;

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With END_STREAM.
    Sent,
    /// The viewer reset the stream, or the connection is gone.
    Left,
    /// It broke off.
    Broken(BodyError),
    /// The viewer took nothing for too long.
    Stalled,
}

/// A body and how far it got.
pub(crate) struct Outbody {
    body: Measured,
    /// Bytes that wait for room; never empty.
    held: Option<Bytes>,
    stall: Duration,
    due: Option<Instant>,
    clock: Option<Clock>,
}

impl Outbody {
    pub(crate) fn new(body: Body, stall: Duration) -> Outbody {
        Outbody { body: Measured::new(body), held: None, stall, due: None, clock: None }
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        self.held.is_none() && self.body.is_over()
    }

    /// Sends all of it.
    pub(crate) async fn send(mut self, stream: &mut SendStream<Bytes>) -> End {
        poll_fn(|cx| self.poll_send(stream, cx)).await
    }

    fn poll_send(&mut self, stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<End> {
        if stream.poll_reset(cx).is_ready() {
            return Poll::Ready(End::Left);
        }
        loop {
            if let Some(data) = self.held.take() {
                if let Err(end) = ready!(self.poll_hand_over(data, stream, cx)) {
                    return Poll::Ready(end);
                }
                if self.is_over() {
                    return Poll::Ready(End::Sent);
                }
                continue;
            }
            let handed = match ready!(self.body.poll_piece(cx)) {
                Some(Ok(Chunk::Data(data))) => {
                    self.held = (!data.is_empty()).then_some(data);
                    continue;
                }
                Some(Ok(Chunk::Trailers(trailers))) => stream.send_trailers(trailers),
                Some(Err(error)) => return Poll::Ready(End::Broken(error)),
                None => stream.send_data(Bytes::new(), true),
            };
            return Poll::Ready(handed.map_or(End::Left, |()| End::Sent));
        }
    }

    /// Hands over what there is room for, and keeps the rest.
    fn poll_hand_over(
        &mut self,
        mut data: Bytes,
        stream: &mut SendStream<Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        // Only with bytes at hand, or it would keep the connection's window from other streams.
        stream.reserve_capacity(data.len());
        while stream.capacity() == 0 {
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(End::Left)),
                Poll::Pending => {
                    self.held = Some(data);
                    return self.poll_stalled(cx).map(|()| Err(End::Stalled));
                }
            }
        }
        self.due = None;
        let room = data.split_to(stream.capacity().min(data.len()));
        let is_last = data.is_empty() && self.body.is_over();
        self.held = (!data.is_empty()).then_some(data);
        Poll::Ready(stream.send_data(room, is_last).map_err(|_| End::Left))
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = *self.due.get_or_insert_with(|| Instant::now() + self.stall);
        self.clock.get_or_insert_with(|| Clock::set(due)).poll_due(due, cx)
    }
}
