//! One address and lane that we dial: never tried, dialling, up, or down for a while.
//!
//! The state is a watch channel: whoever finds it ripe claims the dial, everybody else waits for
//! the outcome and shares it. A peer that is down fails its callers at once, until its time is up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use model::NodeName;
use model::limits::{REDIAL_FIRST, REDIAL_MAX};
use quinn::ConnectionError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wire::hello::Kind;

use crate::channel::{Channel, Sender};
use crate::error::LinkError;
use crate::identity::PeerIdentity;
use crate::pulse::Pulse;

/// A connection that we made, and who is at its end.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: quinn::Connection,
    pub(crate) peer: PeerIdentity,
    /// For lanes on which somebody waits for answers that may take long.
    pub(crate) pulse: Option<Pulse>,
}

impl Link {
    /// Opens a stream; waits while the peer has as many as it wants.
    pub(crate) async fn open(&self, kind: Kind) -> Result<Channel, LinkError> {
        let (send, receive) = self.connection.open_bi().await.map_err(LinkError::Lost)?;
        let listener = self.pulse.as_ref().map(Pulse::listener);
        let mut channel =
            Channel::opened(send, receive, self.peer.protocol, self.connection.rtt(), listener);
        channel.sender.begin(kind).await?;
        Ok(channel)
    }

    /// Stays with the connection until it ends, and listens to its peer meanwhile.
    pub(crate) async fn tend(&self) -> ConnectionError {
        let listening = async {
            match &self.pulse {
                Some(pulse) => pulse.listen(&self.connection).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            end = self.connection.closed() => end,
            never = listening => match never {},
        }
    }

    /// Sends one message that has no answer.
    pub(crate) async fn cast(&self, kind: Kind, message: Bytes) -> Result<(), LinkError> {
        let stream = self.connection.open_uni().await.map_err(LinkError::Lost)?;
        let mut sender = Sender::new(stream, self.peer.protocol);
        sender.begin(kind).await?;
        sender.message(message).await
    }
}

/// Where a link is, or was, or may be.
#[derive(Debug)]
pub(crate) struct Slot {
    state: watch::Sender<State>,
    /// Gossip that waits for the link.
    pub(crate) casts: OnceLock<mpsc::Sender<Bytes>>,
}

#[derive(Debug)]
enum State {
    Fresh,
    Dialling,
    Up(Arc<Link>),
    Down { until: Instant, past: Past, error: LinkError },
}

/// What is known of an address from earlier dials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Dials that failed since the last that did not.
    pub(crate) failures: u32,
    /// Who was there.
    pub(crate) name: Option<NodeName>,
}

impl Past {
    /// After one more failure: what is known then, and for how long nobody tries.
    pub(crate) fn failed(self) -> (Past, Duration) {
        let pause = REDIAL_FIRST.saturating_mul(1 << self.failures.min(16)).min(REDIAL_MAX);
        (Past { failures: self.failures.saturating_add(1), ..self }, pause)
    }
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot { state: watch::Sender::new(State::Fresh), casts: OnceLock::new() }
    }

    /// Takes on the dial, if it is time and nobody else has.
    pub(crate) fn claim(&self, now: Instant) -> Option<Past> {
        let mut claimed = None;
        self.state.send_if_modified(|state| {
            claimed = match state {
                State::Fresh => Some(Past::default()),
                State::Down { until, past, .. } if *until <= now => Some(past.clone()),
                State::Down { .. } | State::Dialling | State::Up(_) => None,
            };
            if claimed.is_some() {
                *state = State::Dialling;
            }
            claimed.is_some()
        });
        claimed
    }

    /// The link, once there is one, or why there is none.
    pub(crate) async fn outcome(&self) -> Result<Arc<Link>, LinkError> {
        let mut states = self.state.subscribe();
        let settled = states.wait_for(|state| state.is_settled()).await;
        match &*settled.expect("the slot itself holds the sender") {
            State::Up(link) => Ok(Arc::clone(link)),
            State::Down { error, .. } => Err(error.clone()),
            State::Fresh | State::Dialling => unreachable!("not settled"),
        }
    }

    /// The dial succeeded.
    pub(crate) fn rise(&self, link: Arc<Link>) {
        self.state.send_replace(State::Up(link));
    }

    /// The dial failed, or the link is lost; the next dial may start at `until`.
    pub(crate) fn fall(&self, error: LinkError, until: Instant, past: Past) {
        self.state.send_replace(State::Down { until, past, error });
    }

    /// Whether nothing is lost by forgetting it.
    pub(crate) fn is_idle(&self) -> bool {
        match &*self.state.borrow() {
            State::Fresh | State::Down { .. } => true,
            State::Dialling | State::Up(_) => false,
        }
    }
}

impl State {
    fn is_settled(&self) -> bool {
        match self {
            State::Fresh | State::Dialling => false,
            // A link that has closed a moment ago is about to fall.
            State::Up(link) => link.connection.close_reason().is_none(),
            State::Down { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let mut past = Past::default();
        let mut pauses = Vec::new();
        for _ in 0..40 {
            let (next, pause) = past.failed();
            pauses.push(pause);
            past = next;
        }
        assert_eq!(pauses[..3], [REDIAL_FIRST, REDIAL_FIRST * 2, REDIAL_FIRST * 4]);
        assert!(pauses[2..].iter().all(|pause| *pause == REDIAL_MAX));
    }

    #[tokio::test]
    async fn one_claims_and_a_failure_holds_until_its_time() {
        let slot = Slot::new();
        let now = Instant::now();
        assert_eq!(slot.claim(now), Some(Past::default()));
        assert_eq!(slot.claim(now), None);
        let past = Past { failures: 1, name: None };
        slot.fall(LinkError::Deadline, now + REDIAL_FIRST, past.clone());
        assert_eq!(slot.claim(now), None);
        assert!(matches!(slot.outcome().await, Err(LinkError::Deadline)));
        assert_eq!(slot.claim(now + REDIAL_FIRST), Some(past));
        assert!(!slot.is_idle());
    }
}
