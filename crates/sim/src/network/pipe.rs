//! A pipe: frames in one direction between two processes, each with the time of its arrival.
//!
//! It holds a window of frames, so a slow reader slows its writer down. It ends cleanly only when
//! its writer says so: a writer that is dropped, or a break, ends it with an error.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use futures_util::{FutureExt, Stream};

use super::meter::Speech;
use super::{Network, Way};
use crate::executor::Sleep;

/// Frames under way at once.
const WINDOW: usize = 16;

/// The conversation broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection broke")]
pub(super) struct Broken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Broken,
}

/// What writer and reader share.
pub(super) struct Pipe {
    /// Its direction.
    pub(super) way: Way,
    /// What is said on it.
    speech: Speech,
    network: Arc<Network>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    frames: VecDeque<(Duration, Bytes)>,
    end: Option<(Duration, End)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    reader_is_gone: bool,
}

/// A pipe, for those who may break it, and its two ends.
pub(super) fn open(
    network: Arc<Network>,
    way: Way,
    speech: Speech,
) -> (Weak<Pipe>, Writer, Reader) {
    let pipe = Arc::new(Pipe { way, speech, network, inner: Mutex::default() });
    let reader = Reader { pipe: pipe.clone(), timer: None };
    (Arc::downgrade(&pipe), Writer(pipe), reader)
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses what has not arrived by `now`; both ends notice `found_out`.
    pub(super) fn break_off(&self, now: Duration, found_out: Duration) {
        let mut inner = self.lock();
        inner.frames.retain(|(arrival, _)| *arrival <= now);
        if inner.end.is_none_or(|(at, _)| at > now) {
            inner.end = Some((found_out, End::Broken));
        }
        inner.wake();
    }

    fn end(&self, end: End) {
        let Some(arrival) = self.network.arrival(self.way) else { return };
        let mut inner = self.lock();
        if inner.end.is_none() {
            inner.end = Some((arrival, end));
        }
        inner.wake();
    }
}

impl Inner {
    fn wake(&mut self) {
        let both = [self.reader.take(), self.writer.take()];
        both.into_iter().flatten().for_each(Waker::wake);
    }
}

/// The sending end.
pub(super) struct Writer(Arc<Pipe>);

impl Writer {
    /// Sends a frame, once there is room in the window.
    pub(super) async fn send(&self, frame: Bytes) -> Result<(), Broken> {
        let Pipe { way, speech, network, .. } = &*self.0;
        poll_fn(|context| {
            let mut inner = self.0.lock();
            if inner.reader_is_gone || inner.end.is_some() {
                return Poll::Ready(Err(Broken));
            }
            if inner.frames.len() < WINDOW {
                return Poll::Ready(Ok(()));
            }
            inner.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await?;
        network.trace(*way, &frame);
        network.meter.weigh(*way, *speech, &frame);
        if let Some(arrival) = network.arrival(*way) {
            let mut inner = self.0.lock();
            inner.frames.push_back((arrival, frame));
            inner.wake();
        }
        Ok(())
    }

    /// Says that nothing more comes.
    pub(super) fn finish(self) {
        self.0.end(End::Finished);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.0.lock().end.is_none() {
            self.0.end(End::Broken);
        }
    }
}

/// The receiving end: frames, then the end of the stream or an error.
pub(super) struct Reader {
    pipe: Arc<Pipe>,
    timer: Option<Sleep>,
}

impl Stream for Reader {
    type Item = Result<Bytes, Broken>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reader = self.get_mut();
        let clock = &reader.pipe.network.setting.clock;
        loop {
            let now = clock.now();
            let mut inner = reader.pipe.lock();
            let next = match (inner.frames.front(), inner.end) {
                (Some((arrival, _)), _) if *arrival <= now => {
                    let frame = inner.frames.pop_front().map(|(_, frame)| Ok(frame));
                    inner.wake();
                    return Poll::Ready(frame);
                }
                (Some((arrival, _)), _) => Some(*arrival),
                (None, Some((at, end))) if at <= now => {
                    inner.end = Some((at, End::Finished));
                    return Poll::Ready((end == End::Broken).then_some(Err(Broken)));
                }
                (None, end) => end.map(|(at, _)| at),
            };
            inner.reader = Some(context.waker().clone());
            drop(inner);
            let Some(next) = next else { return Poll::Pending };
            let timer = reader.timer.insert(clock.sleep_until(next));
            if timer.poll_unpin(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inner = self.pipe.lock();
        inner.reader_is_gone = true;
        inner.wake();
    }
}
