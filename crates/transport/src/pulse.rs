//! Whether a peer is heard while answers of it are awaited: known sooner than its connection ends.
//!
//! QUIC gives a silent connection up after a second and a half, or three of its probes, since a
//! new one is dear. Who waits for an answer had better ask the next peer long before. While
//! streams of a link wait, its pulse counts the packets that come; after a moment without one it
//! sends a byte that must be acknowledged (RFC 9221), and after a few of these the peer is silent.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use model::limits::{PULSE_AFTER, PULSE_PATIENCE, PULSE_TICK};
use quinn::Connection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Nobody reads it: a peer owes an acknowledgement, and that is all that is wanted.
const BEAT: Bytes = Bytes::from_static(&[0]);

/// For how long nothing has been heard, once that is too long.
type Silence = Option<Duration>;

/// One link's ear.
#[derive(Debug)]
pub(crate) struct Pulse {
    silence: watch::Sender<Silence>,
}

/// What those hear who wait for a peer.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    silence: watch::Receiver<Silence>,
}

impl Pulse {
    pub(crate) fn new() -> Pulse {
        Pulse { silence: watch::Sender::new(None) }
    }

    pub(crate) fn listener(&self) -> Listener {
        Listener { silence: self.silence.subscribe() }
    }

    /// Listens for as long as it is polled.
    pub(crate) async fn listen(&self, connection: &Connection) -> Infallible {
        let mut ear = Ear::default();
        let mut last = Instant::now();
        loop {
            sleep(PULSE_TICK).await;
            let passed = std::mem::replace(&mut last, Instant::now()).elapsed();
            if self.silence.receiver_count() == 0 {
                ear = Ear::default();
                continue;
            }
            let packets = connection.stats().udp_rx.datagrams;
            let heard = ear.hear(packets, passed, connection.rtt());
            if heard == Heard::Quiet {
                // Fails only for a peer that cannot take it, or a link that is gone.
                let _ = connection.send_datagram(BEAT);
            }
            let silence = (heard == Heard::Silence).then_some(ear.quiet);
            self.silence.send_if_modified(|known| {
                let changed = known.is_some() != silence.is_some();
                *known = silence;
                changed
            });
        }
    }
}

impl Listener {
    /// Ends when the peer is silent; never, if its link is gone, whose streams say so themselves.
    pub(crate) async fn silence(&mut self) -> Duration {
        let silent = self.silence.wait_for(Option::is_some).await.map(|silence| *silence);
        match silent {
            Ok(Some(silence)) => silence,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Something came lately.
    Something,
    /// Nothing for a moment: it has to be asked for a sign.
    Quiet,
    /// Nothing for so long that it is better to ask elsewhere.
    Silence,
}

/// What was heard until the last tick.
#[derive(Debug, Default)]
struct Ear {
    packets: u64,
    quiet: Duration,
}

impl Ear {
    /// A tick that comes late says that this process stood still, not that its peer did: it counts
    /// for two at most.
    fn hear(&mut self, packets: u64, passed: Duration, rtt: Duration) -> Heard {
        if self.packets != packets {
            *self = Ear { packets, quiet: Duration::ZERO };
            return Heard::Something;
        }
        self.quiet += passed.min(PULSE_TICK * 2);
        if self.quiet >= PULSE_PATIENCE + rtt {
            Heard::Silence
        } else if self.quiet >= PULSE_AFTER {
            Heard::Quiet
        } else {
            Heard::Something
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture::pair;

    const NEAR: Duration = Duration::from_millis(1);
    const FAR: Duration = Duration::from_millis(200);

    /// Ticks without a packet until the peer is silent.
    fn ticks_until_silence(rtt: Duration, passed: Duration) -> u32 {
        let mut ear = Ear::default();
        assert_eq!(ear.hear(7, PULSE_TICK, rtt), Heard::Something);
        (1..).find(|_| ear.hear(7, passed, rtt) == Heard::Silence).unwrap()
    }

    #[test]
    fn a_peer_is_silent_after_a_moment_and_a_round_trip() {
        let (near, far) =
            (ticks_until_silence(NEAR, PULSE_TICK), ticks_until_silence(FAR, PULSE_TICK));
        assert!(PULSE_TICK * near < PULSE_PATIENCE + PULSE_TICK * 2, "{near}");
        assert!(PULSE_TICK * far >= PULSE_PATIENCE + FAR, "{far}");
    }

    #[test]
    fn a_process_that_stood_still_blames_nobody() {
        let late = ticks_until_silence(NEAR, Duration::from_secs(5));
        assert!(late >= 4, "{late} late ticks were enough");
    }

    #[test]
    fn any_packet_ends_the_quiet() {
        let mut ear = Ear::default();
        for packets in 1..100 {
            assert_eq!(ear.hear(packets, PULSE_TICK, NEAR), Heard::Something);
            assert_eq!(ear.hear(packets, PULSE_TICK, NEAR), Heard::Something);
        }
    }

    #[tokio::test]
    async fn a_peer_that_answers_nothing_is_heard_by_its_acknowledgements() {
        let pair = pair().await;
        let pulse = Pulse::new();
        let mut listener = pulse.listener();
        let long = PULSE_PATIENCE * 3;
        tokio::select! {
            never = pulse.listen(&pair.dialler) => match never {},
            silence = listener.silence() => panic!("silent for {silence:?}"),
            () = sleep(long) => {}
        }
        assert!(pair.dialler.stats().frame_tx.datagram > 0, "nobody asked it for a sign");
    }
}
