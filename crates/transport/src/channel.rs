//! Frames on a stream: a length, then as many bytes; length zero is the end.
//!
//! QUIC ends a stream gracefully when its sender is merely dropped, so its own end proves nothing:
//! only an END frame makes what came complete. A stream that stops without one is
//! [`LinkError::Broken`], and a [`Sender`] that is dropped without [`Sender::finish`] resets it.
//! The answering side says in one byte first whether it lets the stream in.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use model::limits::{
    ADMISSION_MIN, ADMISSION_ROUND_TRIPS, CHUNK_BYTES_MAX, FRAME_BYTES_MAX, REASON_BYTES_MAX,
};
use quinn::{RecvStream, SendStream};
use tokio::select;
use tokio::time::timeout;
use wire::hello::Kind;

use crate::code;
use crate::error::LinkError;
use crate::pulse::Listener;

const HEADER_BYTES: usize = 4;
const END: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

/// Both directions of a stream.
#[derive(Debug)]
pub struct Channel {
    /// To the peer.
    pub sender: Sender,
    /// From the peer.
    pub receiver: Receiver,
}

impl Channel {
    /// The side that opened the stream: waits for the verdict before the first frame.
    pub(crate) fn opened(
        send: SendStream,
        receive: RecvStream,
        protocol: u16,
        rtt: Duration,
        pulse: Option<Listener>,
    ) -> Channel {
        let mut receiver = Receiver::new(receive, None);
        (receiver.rtt, receiver.pulse) = (rtt, pulse);
        Channel { sender: Sender::new(send, protocol), receiver }
    }

    /// The side that answers, and owes the verdict.
    pub(crate) fn accepted(send: SendStream, receive: RecvStream, protocol: u16) -> Channel {
        let receiver = Receiver::new(receive, Some(Verdict::Admitted));
        Channel { sender: Sender::new(send, protocol), receiver }
    }
}

/// Frames to the peer. Waits while the peer does not read. Dropped without [`Sender::finish`], it
/// resets the stream, and what is still on its way is lost with it.
#[derive(Debug)]
pub struct Sender {
    stream: SendStream,
    progress: Progress,
    protocol: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Between two frames.
    Whole,
    /// Within a frame; if its future was dropped, for good.
    Torn,
    /// The END frame is written.
    Finished,
}

impl Sender {
    /// Sends one frame. Empty bytes carry nothing and are not sent: no frame is empty but the end.
    ///
    /// Not to be cancelled: a dropped future leaves half a frame, and the stream broken.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        if frame.is_empty() {
            return Ok(());
        }
        let header = header(&frame)?;
        self.write(&mut [header, frame]).await
    }

    /// Says that what was sent is complete.
    pub async fn finish(mut self) -> Result<(), LinkError> {
        self.write(&mut [Bytes::from_static(&END)]).await?;
        self.end()
    }

    /// Ends the stream without an END: there is no more of it, and it is no use to ask elsewhere.
    pub fn give_up(mut self) {
        self.progress = Progress::Finished;
        // Fails only if the stream has ended anyway.
        let _ = self.stream.reset(code::GIVEN_UP);
    }

    /// Waits until the peer no longer wants to read, or can no longer.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopped = self.stream.stopped();
        async move {
            let _ = stopped.await;
        }
    }

    /// What is spoken on the connection: frames are encoded so.
    pub fn protocol(&self) -> u16 {
        self.protocol
    }

    pub(crate) fn new(stream: SendStream, protocol: u16) -> Sender {
        Sender { stream, progress: Progress::Whole, protocol }
    }

    /// Opens a stream of `kind`.
    pub(crate) async fn begin(&mut self, kind: Kind) -> Result<(), LinkError> {
        self.write(&mut [Bytes::copy_from_slice(&[kind.byte()])]).await
    }

    /// Lets the peer's stream in.
    pub(crate) async fn admit(&mut self) -> Result<(), LinkError> {
        self.write(&mut [Verdict::Admitted.byte()]).await
    }

    /// Turns the peer's stream away.
    pub(crate) async fn refuse(mut self, reason: &str) -> Result<(), LinkError> {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        let reason = Bytes::copy_from_slice(&reason.as_bytes()[..end]);
        self.write(&mut [Verdict::Refused.byte()]).await?;
        self.message(reason).await
    }

    /// Sends one frame, or none if it would be empty, and the end.
    pub(crate) async fn message(mut self, message: Bytes) -> Result<(), LinkError> {
        if message.is_empty() {
            return self.finish().await;
        }
        let header = header(&message)?;
        self.write(&mut [header, message, Bytes::from_static(&END)]).await?;
        self.end()
    }

    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), LinkError> {
        if self.progress != Progress::Whole {
            return Err(LinkError::Broken);
        }
        self.progress = Progress::Torn;
        let written = self.stream.write_all_chunks(chunks).await;
        self.progress = Progress::Whole;
        Ok(written?)
    }

    fn end(&mut self) -> Result<(), LinkError> {
        self.progress = Progress::Finished;
        self.stream.finish().map_err(|_| LinkError::Broken)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.progress != Progress::Finished {
            // Fails only if the stream has ended anyway.
            let _ = self.stream.reset(code::ABANDONED);
        }
    }
}

/// Frames from the peer. Dropping it tells the peer to stop.
#[derive(Debug)]
pub struct Receiver {
    stream: RecvStream,
    verdict: Option<Verdict>,
    /// The round trip to the peer when the stream was opened.
    rtt: Duration,
    /// Tells when the peer is not heard any more.
    pulse: Option<Listener>,
    /// The length of the frame that is being read.
    length: Option<usize>,
    partial: BytesMut,
    ended: bool,
}

impl Receiver {
    /// Waits for the peer to take the stream, which a peer that lives does within a round trip,
    /// long before it has an answer. One that is dead or stuck is told from a slow one by this.
    pub async fn admitted(&mut self) -> Result<(), LinkError> {
        let patience = ADMISSION_MIN.max(self.rtt * ADMISSION_ROUND_TRIPS);
        let verdict = timeout(patience, self.verdict()).await;
        verdict.unwrap_or(Err(LinkError::Silent(patience))).map(drop)
    }

    async fn verdict(&mut self) -> Result<Verdict, LinkError> {
        if let Some(verdict) = self.verdict {
            return Ok(verdict);
        }
        let byte = self.take(1).await?[0];
        let verdict = Verdict::from_byte(byte).ok_or_else(|| self.malformed())?;
        Ok(*self.verdict.insert(verdict))
    }

    /// The next frame; `None` once the peer has said that this was all. Can be cancelled.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LinkError> {
        let verdict = self.verdict().await?;
        let frame = self.frame().await?;
        match verdict {
            Verdict::Admitted => Ok(frame),
            Verdict::Refused => Err(LinkError::Refused(text(&frame.unwrap_or_default()))),
        }
    }

    /// One message: a frame or none, and the end.
    pub(crate) async fn message(&mut self) -> Result<Bytes, LinkError> {
        let Some(message) = self.next().await? else {
            return Ok(Bytes::new());
        };
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(self.malformed()),
        }
    }

    /// The byte that says what the stream is about.
    pub(crate) async fn kind(&mut self) -> Result<Kind, LinkError> {
        let byte = self.take(1).await?[0];
        Kind::from_byte(byte).map_err(|_| self.malformed())
    }

    pub(crate) fn new(stream: RecvStream, verdict: Option<Verdict>) -> Receiver {
        Receiver {
            stream,
            verdict,
            rtt: Duration::ZERO,
            pulse: None,
            length: None,
            partial: BytesMut::new(),
            ended: false,
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, LinkError> {
        if self.ended {
            return Ok(None);
        }
        let length = match self.length {
            Some(length) => length,
            None => {
                let header = self.take(HEADER_BYTES).await?;
                let header = header.as_ref().try_into().expect("as many bytes as were taken");
                let length = u32::from_le_bytes(header) as usize;
                if length > FRAME_BYTES_MAX {
                    return Err(self.malformed());
                }
                *self.length.insert(length)
            }
        };
        if length == 0 {
            self.ended = true;
            // QUIC's own end is mostly here too; once read, no STOP_SENDING need follow.
            let _ = self.stream.read_chunk(1, true).now_or_never();
            return Ok(None);
        }
        let frame = self.take(length).await?;
        self.length = None;
        Ok(Some(frame))
    }

    /// Exactly `count` bytes. What came before a cancellation stays in `partial`.
    ///
    /// They are copied together once: QUIC hands out slices of datagrams, and a cache that kept
    /// those would keep the datagrams. Memory grows with what comes, not with what is announced.
    async fn take(&mut self, count: usize) -> Result<Bytes, LinkError> {
        while self.partial.len() < count {
            let missing = count - self.partial.len();
            let chunk = select! {
                biased;
                chunk = self.stream.read_chunk(missing, true) => chunk?,
                silence = silence(&mut self.pulse) => return Err(LinkError::Silent(silence)),
            };
            let chunk = chunk.ok_or(LinkError::Broken)?;
            if self.partial.is_empty() {
                self.partial = BytesMut::with_capacity(count.min(CHUNK_BYTES_MAX));
            }
            self.partial.extend_from_slice(&chunk.bytes);
        }
        Ok(std::mem::take(&mut self.partial).freeze())
    }

    fn malformed(&mut self) -> LinkError {
        // Fails only if the stream has ended anyway.
        let _ = self.stream.stop(code::MALFORMED);
        LinkError::Malformed
    }
}

async fn silence(pulse: &mut Option<Listener>) -> Duration {
    match pulse {
        Some(pulse) => pulse.silence().await,
        None => std::future::pending().await,
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Fails only if the stream has ended anyway.
        let _ = self.stream.stop(code::ABANDONED);
    }
}

/// Whether a stream was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Frames follow.
    Admitted,
    /// One frame follows: the reason.
    Refused,
}

impl Verdict {
    fn byte(self) -> Bytes {
        Bytes::from_static(match self {
            Verdict::Admitted => &[0],
            Verdict::Refused => &[1],
        })
    }

    fn from_byte(byte: u8) -> Option<Verdict> {
        match byte {
            0 => Some(Verdict::Admitted),
            1 => Some(Verdict::Refused),
            _ => None,
        }
    }
}

fn header(frame: &Bytes) -> Result<Bytes, LinkError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(LinkError::TooLong(frame.len(), FRAME_BYTES_MAX));
    }
    Ok(Bytes::copy_from_slice(&(frame.len() as u32).to_le_bytes()))
}

fn text(reason: &[u8]) -> String {
    let reason = &reason[..reason.len().min(REASON_BYTES_MAX)];
    String::from_utf8_lossy(reason).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture::{Pair, pair};

    /// Two ends of one stream, the first byte already read.
    async fn channels(pair: &Pair) -> (Channel, Channel) {
        let (send, receive) = pair.dialler.open_bi().await.unwrap();
        let mut near = Channel::opened(send, receive, 3, Duration::ZERO, None);
        near.sender.begin(Kind::Follow).await.unwrap();
        let (send, receive) = pair.acceptor.accept_bi().await.unwrap();
        let mut far = Channel::accepted(send, receive, 3);
        assert_eq!(far.receiver.kind().await.unwrap(), Kind::Follow);
        (near, far)
    }

    fn bytes(length: usize) -> Bytes {
        (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
    }

    #[tokio::test]
    async fn frames_of_every_size_arrive_and_then_the_end() {
        let pair = pair().await;
        let (near, mut far) = channels(&pair).await;
        far.sender.admit().await.unwrap();
        let sizes = [1, 1200, CHUNK_BYTES_MAX, 1024 * 1024, FRAME_BYTES_MAX];
        let Channel { mut sender, receiver: mut near } = near;
        let sent = async {
            sender.send(Bytes::new()).await.unwrap();
            for size in sizes {
                sender.send(bytes(size)).await.unwrap();
            }
            let beyond = sender.send(Bytes::from(vec![0; FRAME_BYTES_MAX + 1])).await;
            assert!(matches!(beyond, Err(LinkError::TooLong(..))));
            sender.finish().await.unwrap();
        };
        let received = async {
            for size in sizes {
                assert_eq!(far.receiver.next().await.unwrap().unwrap(), bytes(size), "{size}");
            }
            assert!(far.receiver.next().await.unwrap().is_none());
            assert!(far.receiver.next().await.unwrap().is_none(), "the end stays the end");
            far.sender.finish().await.unwrap();
        };
        tokio::join!(sent, received);
        assert!(near.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_peer_that_takes_the_stream_is_slow_and_one_that_does_not_is_silent() {
        let pair = pair().await;
        let (mut near, mut far) = channels(&pair).await;
        far.sender.admit().await.unwrap();
        near.receiver.admitted().await.unwrap();
        near.receiver.admitted().await.unwrap();
        far.sender.send(bytes(3)).await.unwrap();
        assert_eq!(near.receiver.next().await.unwrap().unwrap(), bytes(3));

        let (mut near, _far) = channels(&pair).await;
        let silence = near.receiver.admitted().await;
        assert!(matches!(silence, Err(LinkError::Silent(_))), "{silence:?}");
    }

    #[tokio::test]
    async fn a_stream_that_stops_before_its_end_is_broken() {
        let pair = pair().await;

        let (mut near, mut far) = channels(&pair).await;
        near.sender.send(bytes(100)).await.unwrap();
        near.sender.stream.finish().unwrap();
        assert_eq!(far.receiver.next().await.unwrap().unwrap(), bytes(100));
        for _ in 0..2 {
            let end = far.receiver.next().await;
            assert!(matches!(end, Err(LinkError::Broken)), "finished by QUIC alone: {end:?}");
        }

        let (mut near, mut far) = channels(&pair).await;
        let (header, half) = (Bytes::from_static(&[100, 0, 0, 0]), bytes(50));
        near.sender.write(&mut [header, half]).await.unwrap();
        near.sender.stream.finish().unwrap();
        let end = far.receiver.next().await;
        assert!(matches!(end, Err(LinkError::Broken)), "within a frame: {end:?}");

        let (near, mut far) = channels(&pair).await;
        drop(near.sender);
        let end = far.receiver.next().await;
        assert!(matches!(end, Err(LinkError::Broken)), "dropped: {end:?}");

        let (_near, mut far) = channels(&pair).await;
        pair.dialler.close(code::GOODBYE, b"");
        let end = far.receiver.next().await;
        assert!(matches!(end, Err(LinkError::Lost(_))), "the connection closed: {end:?}");
    }

    #[tokio::test]
    async fn a_send_that_was_cancelled_leaves_the_stream_broken() {
        let pair = pair().await;
        let (mut near, mut far) = channels(&pair).await;
        let mut sent = 0;
        while near.sender.send(bytes(1024 * 1024)).now_or_never().is_some() {
            sent += 1;
        }
        let after = near.sender.send(bytes(1)).await;
        assert!(matches!(after, Err(LinkError::Broken)), "{after:?}");
        assert!(matches!(near.sender.finish().await, Err(LinkError::Broken)));
        let mut received = 0;
        let end = loop {
            match far.receiver.next().await {
                Ok(Some(_)) => received += 1,
                other => break other,
            }
        };
        assert!(matches!(end, Err(LinkError::Broken)), "{end:?}");
        assert!(received <= sent);
    }

    #[tokio::test]
    async fn a_receive_that_was_cancelled_loses_nothing() {
        let pair = pair().await;
        let (mut near, mut far) = channels(&pair).await;
        near.sender.write(&mut [Bytes::from_static(&[4, 0])]).await.unwrap();
        while far.receiver.partial.len() < 2 {
            assert!(far.receiver.next().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        near.sender.write(&mut [Bytes::from_static(&[0, 0, 7, 8, 9])]).await.unwrap();
        while far.receiver.partial.len() < 3 || far.receiver.length.is_none() {
            assert!(far.receiver.next().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        near.sender.write(&mut [Bytes::from_static(&[10])]).await.unwrap();
        assert_eq!(far.receiver.next().await.unwrap().unwrap().as_ref(), [7, 8, 9, 10]);
    }

    #[tokio::test]
    async fn a_receiver_that_is_dropped_stops_the_sender() {
        let pair = pair().await;
        let (mut near, far) = channels(&pair).await;
        drop(far.receiver);
        near.sender.stopped().await;
        let sent = near.sender.send(bytes(1)).await;
        assert!(matches!(sent, Err(LinkError::Stopped)), "{sent:?}");
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_ends_the_stream_before_memory_is_taken() {
        let pair = pair().await;
        let (mut near, mut far) = channels(&pair).await;
        near.sender.write(&mut [Bytes::from_static(&[255; 4])]).await.unwrap();
        let refused = far.receiver.next().await;
        assert!(matches!(refused, Err(LinkError::Malformed)), "{refused:?}");
        assert!(matches!(far.receiver.next().await, Err(LinkError::Broken)));
        near.sender.stopped().await;

        let (mut near, mut far) = channels(&pair).await;
        let header = Bytes::copy_from_slice(&(FRAME_BYTES_MAX as u32).to_le_bytes());
        near.sender.write(&mut [header, Bytes::from_static(&[1])]).await.unwrap();
        while far.receiver.partial.is_empty() || far.receiver.length.is_none() {
            assert!(far.receiver.next().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        assert!(far.receiver.partial.capacity() <= CHUNK_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_refusal_is_heard_instead_of_frames() {
        let pair = pair().await;
        let (mut near, far) = channels(&pair).await;
        let long = "é".repeat(REASON_BYTES_MAX);
        far.sender.refuse(&long).await.unwrap();
        let Err(LinkError::Refused(reason)) = near.receiver.next().await else {
            panic!("a refusal was sent");
        };
        assert_eq!(reason, "é".repeat(REASON_BYTES_MAX / 2));
    }

    #[tokio::test]
    async fn a_message_is_one_frame_or_none() {
        let pair = pair().await;
        for length in [0, 1, 100_000] {
            let (near, mut far) = channels(&pair).await;
            let sent = near.sender.message(bytes(length));
            let (sent, received) = tokio::join!(sent, far.receiver.message());
            sent.unwrap();
            assert_eq!(received.unwrap(), bytes(length));
        }
        let (mut near, mut far) = channels(&pair).await;
        near.sender.send(bytes(1)).await.unwrap();
        near.sender.message(bytes(1)).await.unwrap();
        assert!(matches!(far.receiver.message().await, Err(LinkError::Malformed)));
    }
}
