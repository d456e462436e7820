//! The task of one HTTP/2 connection: takes up requests, lets h2 read and write for all streams,
//! and looks now and then whether the viewer still deserves its place.
//!
//! Whatever ends it, the streams hear of it from h2 and end too; none of them ends cleanly unless
//! it was done. When the node is stopping, or nothing is asked for, GOAWAY says so, and what runs
//! is finished first (RFC 9113 §6.8).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, RecvStream};
use http::Request;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::clock::Clock;
use crate::connection::Terms;
use crate::http2::exchange;
use crate::http2::pulse::{Exchange, Pulse, Verdict};
use crate::http2::watched::Watched;

/// A connection past its greeting.
pub(crate) struct Connection<'a> {
    terms: &'a Arc<Terms>,
    viewer: SocketAddr,
    streams: h2::server::Connection<Watched, Bytes>,
    pings: Option<PingPong>,
    pulse: Arc<Pulse>,
    look: Instant,
    clock: Clock,
    stage: Stage,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Whether there may be more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// GOAWAY was said.
    Closing,
}

/// What happens on a connection.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once and kept nowhere")]
enum Event {
    Asked(Request<RecvStream>, SendResponse<Bytes>),
    /// Nothing will ever happen again, for the better or the worse.
    Over(Result<(), h2::Error>),
    /// The node is stopping.
    Stopping,
    /// It is time to look at the pulse.
    Look,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(
        terms: &'a Arc<Terms>,
        viewer: SocketAddr,
        mut streams: h2::server::Connection<Watched, Bytes>,
        pulse: Arc<Pulse>,
    ) -> Connection<'a> {
        let look = Instant::now();
        Connection {
            terms,
            viewer,
            pings: streams.ping_pong(),
            streams,
            pulse,
            look,
            clock: Clock::set(look),
            stage: Stage::Open,
            stopping: Box::pin(terms.shutdown.clone().cancelled_owned()),
        }
    }

    /// Runs until it is over, retired or cut.
    pub(crate) async fn run(mut self) {
        let viewer = self.viewer;
        loop {
            match poll_fn(|cx| self.poll_event(cx)).await {
                Event::Asked(request, respond) => self.answer(request, respond),
                Event::Over(Ok(())) => return,
                Event::Over(Err(error)) => {
                    return tracing::debug!(%viewer, %error, "connection broke");
                }
                Event::Stopping => self.close(),
                Event::Look => match (self.pulse.verdict(&self.terms.limits), self.stage) {
                    (Verdict::Wait(duration), _) => self.look = Instant::now() + duration,
                    (Verdict::Ask, _) => self.ask(),
                    (Verdict::Retire, Stage::Open) => {
                        self.close();
                        self.look = Instant::now() + self.terms.limits.head;
                    }
                    (Verdict::Retire, Stage::Closing) => return,
                    (Verdict::Cut(why), _) => {
                        return tracing::debug!(%viewer, why, "connection cut");
                    }
                },
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(asked) = self.streams.poll_accept(cx) {
            return Poll::Ready(match asked {
                Some(Ok((request, respond))) => Event::Asked(request, respond),
                Some(Err(error)) => Event::Over(Err(error)),
                None => Event::Over(Ok(())),
            });
        }
        if self.stage == Stage::Open && self.stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Stopping);
        }
        self.clock.poll_due(self.look, cx).map(|()| Event::Look)
    }

    /// As many tasks as h2 allows streams.
    fn answer(&self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let place = Exchange::begin(&self.pulse);
        let terms = Arc::clone(self.terms);
        let viewer = self.viewer;
        self.terms.tasks.execute(async move {
            exchange::run(&terms, viewer, request, respond).await;
            drop(place);
        });
    }

    fn close(&mut self) {
        self.stage = Stage::Closing;
        self.streams.graceful_shutdown();
    }

    /// Asks whether the viewer is still there; anything at all that it says is an answer.
    fn ask(&mut self) {
        if let Some(pings) = &mut self.pings {
            // Takes the last answer from h2, which else sends no other ping.
            let _ = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
            let _ = pings.send_ping(Ping::opaque());
        }
        self.pulse.note_asked();
    }
}
