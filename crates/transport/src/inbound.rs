//! Connections that peers make to us: their hello, then their streams.
//!
//! Nothing of a stream but its kind is read before it is known that this peer may open it. What
//! is malformed costs a stream its life, or a connection if it is the hello; never more.

use std::sync::Arc;

use model::limits::{CASTS_MAX, GOSSIP_BYTES_MAX, GUESTS_MAX, HANDSHAKE, STREAMS_MAX};
use quinn::{Connection, ConnectionError, Endpoint, Incoming, RecvStream};
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, error, info, warn};
use wire::hello::{Kind, Shape};

use crate::channel::{Channel, Receiver, Verdict};
use crate::code;
use crate::error::LinkError;
use crate::greet::{self, Acquaintance};
use crate::presence::{Left, Presence};
use crate::service::{Refused, Service};

/// The side that is dialled.
pub(crate) struct Host {
    pub(crate) presence: Arc<Presence>,
    pub(crate) service: Arc<dyn Service>,
}

impl Host {
    /// Accepts connections until the endpoint closes.
    pub(crate) async fn listen(self: Arc<Self>, endpoint: Endpoint) {
        let mut guests = JoinSet::new();
        loop {
            let incoming = select! {
                biased;
                Some(ended) = guests.join_next() => {
                    note_panic(ended);
                    continue;
                }
                incoming = endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else {
                return;
            };
            if guests.len() >= GUESTS_MAX {
                incoming.refuse();
            } else if guests.len() >= GUESTS_MAX / 2 && !incoming.remote_address_validated() {
                // Many at once may be one with many forged addresses: let them prove theirs.
                // Fails only for an address that is proved.
                let _ = incoming.retry();
            } else {
                guests.spawn(Arc::clone(&self).guest(incoming));
            }
        }
    }

    /// One connection, from its handshake to its end.
    async fn guest(self: Arc<Self>, incoming: Incoming) {
        let address = incoming.remote_address();
        let greeted = async {
            let connection = incoming.await.map_err(LinkError::Lost)?;
            let acquaintance = greet::receive(&self.presence.us, &connection).await?;
            Ok((connection, acquaintance))
        };
        match timeout(HANDSHAKE, greeted).await.unwrap_or(Err(LinkError::Deadline)) {
            Ok((connection, acquaintance)) => self.entertain(connection, acquaintance).await,
            Err(LinkError::Unwelcome { text, .. }) => warn!(%address, "turned away: {text}"),
            Err(LinkError::Lost(end)) => info!(%address, reason = %end, "turned away"),
            Err(other) => info!(%address, reason = %other, "turned away"),
        }
    }

    async fn entertain(self: Arc<Self>, connection: Connection, guest: Acquaintance) {
        let stay = self.presence.enter(&guest);
        let guest = Arc::new(guest);
        let end = self.streams(&connection, &guest).await;
        let (name, address) = (&guest.peer.name, &guest.peer.address);
        if let ConnectionError::ApplicationClosed(close) = &end
            && close.error_code == code::UNWELCOME
        {
            let text = String::from_utf8_lossy(&close.reason);
            warn!(peer = %name, %address, "turned away by the peer: {text:?}");
        }
        if stay.leave() == Left::ForGood && code::is_loss(&end) {
            self.presence.report(name);
        }
    }

    async fn streams(
        self: &Arc<Self>,
        connection: &Connection,
        guest: &Arc<Acquaintance>,
    ) -> ConnectionError {
        let mut tasks = JoinSet::new();
        loop {
            let accepted = select! {
                biased;
                Some(ended) = tasks.join_next() => {
                    note_panic(ended);
                    continue;
                }
                stream = connection.accept_bi(), if tasks.len() < STREAMS_MAX + CASTS_MAX => {
                    stream.map(|(send, receive)| {
                        let channel = Channel::accepted(send, receive, guest.peer.protocol);
                        tasks.spawn(Arc::clone(self).two_way(Arc::clone(guest), channel))
                    })
                }
                stream = connection.accept_uni(), if tasks.len() < STREAMS_MAX + CASTS_MAX => {
                    stream.map(|receive| {
                        tasks.spawn(Arc::clone(self).one_way(Arc::clone(guest), receive))
                    })
                }
            };
            if let Err(end) = accepted {
                return end;
            }
        }
    }

    async fn two_way(self: Arc<Self>, guest: Arc<Acquaintance>, mut channel: Channel) {
        let served = async {
            let kind = channel.receiver.kind().await?;
            if let Err(Refused(reason)) = self.admit(&guest, kind) {
                debug!(peer = %guest.peer.name, %kind, reason, "stream refused");
                return channel.sender.refuse(&reason).await;
            }
            match kind.shape() {
                Shape::Call => self.answer(&guest, kind, channel).await,
                Shape::Channel => {
                    channel.sender.admit().await?;
                    self.service.channel(guest.peer.clone(), kind, channel).await;
                    Ok(())
                }
                Shape::Cast => Err(LinkError::Malformed),
            }
        };
        if let Err(error) = served.await {
            debug!(peer = %guest.peer.name, %error, "stream ended early");
        }
    }

    async fn answer(
        &self,
        guest: &Acquaintance,
        kind: Kind,
        channel: Channel,
    ) -> Result<(), LinkError> {
        let Channel { mut sender, mut receiver } = channel;
        let request = receiver.message().await?;
        let stopped = sender.stopped();
        let answered = select! {
            biased;
            answered = self.service.call(guest.peer.clone(), kind, request) => answered,
            () = stopped => return Err(LinkError::Stopped),
        };
        match answered {
            Ok(answer) => {
                sender.admit().await?;
                sender.message(answer).await
            }
            Err(Refused(reason)) => sender.refuse(&reason).await,
        }
    }

    async fn one_way(self: Arc<Self>, guest: Arc<Acquaintance>, receive: RecvStream) {
        let mut receiver = Receiver::new(receive, Some(Verdict::Admitted));
        let heard = async {
            let kind = receiver.kind().await?;
            self.admit(&guest, kind).map_err(|Refused(reason)| LinkError::Refused(reason))?;
            let message = receiver.message().await?;
            if kind.shape() != Shape::Cast || message.len() > GOSSIP_BYTES_MAX {
                return Err(LinkError::Malformed);
            }
            self.service.cast(guest.peer.clone(), message);
            Ok(())
        };
        if let Err(error) = heard.await {
            debug!(peer = %guest.peer.name, %error, "message dropped");
        }
    }

    /// A pure edge never speaks Raft, whatever the service thinks.
    fn admit(&self, guest: &Acquaintance, kind: Kind) -> Result<(), Refused> {
        let Acquaintance { peer, lane, .. } = guest;
        if kind.lane() != *lane {
            return Err(Refused(format!("{kind} does not travel on the {lane} lane")));
        }
        if kind == Kind::Raft && !peer.tiers.may_vote() {
            let text = format!("{} is certified for {} and may not vote", peer.name, peer.tiers);
            return Err(Refused(text));
        }
        self.service.admit(peer, kind)
    }
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(ended) = ended
        && ended.is_panic()
    {
        error!(%ended, "a task of a connection panicked");
    }
}
