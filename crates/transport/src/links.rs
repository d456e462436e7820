//! The front door: one UDP port, and every peer behind it.
//!
//! [`Links`] is cheap to clone. When the last clone is dropped, every task ends and every
//! connection closes; [`Links::close`] does so and waits until the peers have been told.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::limits::{FAREWELL, GOSSIP_BYTES_MAX, LINK_WINDOW_BYTES};
use model::{Instance, NodeName};
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::broadcast;
use tokio::time::timeout;
use tracing::debug;
use wire::hello::{Kind, Lane, Shape};
use wire::protocol::Protocols;

use crate::channel::Channel;
use crate::code;
use crate::credentials::Credentials;
use crate::dial::Dialler;
use crate::error::{LinkError, TransportError};
use crate::greet::Ourselves;
use crate::identity::PeerIdentity;
use crate::inbound::Host;
use crate::presence::Presence;
use crate::service::{Directory, Service, WallClock};
use crate::slot::Link;
use crate::tls;

/// This node, as its peers will know it.
pub struct Local {
    /// What it proves itself with.
    pub credentials: Credentials,
    /// Its data directory.
    pub instance: Instance,
    /// What it speaks.
    pub protocols: Protocols,
    /// Where it listens, and where it dials from.
    pub listen: SocketAddr,
    /// Its wall clock.
    pub wall: WallClock,
}

/// Whom to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The node of this name, wherever the directory says it is.
    Node(NodeName),
    /// Whoever of our mesh answers at this address.
    Seed(SocketAddr),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Node(name) => fmt::Display::fmt(name, f),
            Target::Seed(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// Connections to all peers.
#[derive(Clone)]
pub struct Links(Arc<Owner>);

struct Owner {
    dialler: Arc<Dialler>,
    address: SocketAddr,
}

impl Links {
    /// Listens, and serves whoever is let in. Needs a tokio runtime around it.
    pub fn bind(
        local: Local,
        directory: Arc<dyn Directory>,
        service: Arc<dyn Service>,
    ) -> Result<Links, TransportError> {
        let Local { credentials, instance, protocols, listen, wall } = local;
        let cannot_listen = |source| TransportError::Listen { address: listen, source };
        let accepting = tls::accepting(&credentials, protocols)?;
        let dialling = tls::dialling(&credentials, protocols)?;
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        let mut endpoint = socket(listen)
            .and_then(|socket| Endpoint::new(config, Some(accepting), socket, runtime))
            .map_err(cannot_listen)?;
        endpoint.set_default_client_config(dialling);
        let address = endpoint.local_addr().map_err(cannot_listen)?;

        let identity = credentials.identity().clone();
        let us = Ourselves { identity, instance, protocols, wall };
        let presence = Arc::new(Presence::new(us, directory));
        let host = Arc::new(Host { presence: Arc::clone(&presence), service });
        let dialler = Arc::new(Dialler::new(endpoint.clone(), presence));
        dialler.spawn(host.listen(endpoint));
        Ok(Links(Arc::new(Owner { dialler, address })))
    }

    /// The address on which this node listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.address
    }

    /// Who is at the other end, and what is spoken with it.
    pub async fn identify(&self, to: &Target) -> Result<PeerIdentity, LinkError> {
        Ok(self.link(to, Lane::Control).await?.peer.clone())
    }

    /// One request, one answer, within `deadline`. For kinds of [`Shape::Call`].
    pub async fn call(
        &self,
        to: &Target,
        kind: Kind,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, LinkError> {
        assert_eq!(kind.shape(), Shape::Call, "{kind} is not called");
        let exchange = async {
            let channel = self.link(to, kind.lane()).await?.open(kind).await?;
            let Channel { sender, mut receiver } = channel;
            match sender.message(request).await {
                // A peer that reads no further says why in its answer.
                Ok(()) | Err(LinkError::Stopped) => receiver.message().await,
                Err(other) => Err(other),
            }
        };
        timeout(deadline, exchange).await.unwrap_or(Err(LinkError::Deadline))
    }

    /// A stream of frames in both directions. For kinds of [`Shape::Channel`].
    ///
    /// Whether the peer lets it in shows when the first frame is received.
    pub async fn open(&self, to: &Target, kind: Kind) -> Result<Channel, LinkError> {
        assert_eq!(kind.shape(), Shape::Channel, "{kind} is not a channel");
        self.link(to, kind.lane()).await?.open(kind).await
    }

    /// Makes sure of a connection for bodies before one is needed.
    pub async fn prepare(&self, to: &Target) -> Result<(), LinkError> {
        self.link(to, Lane::Bulk).await.map(drop)
    }

    /// One gossip message to whoever is at `to`. Never waits; may be dropped.
    pub fn cast(&self, to: SocketAddr, message: Bytes) {
        if message.len() > GOSSIP_BYTES_MAX {
            debug!(%to, bytes = message.len(), "gossip dropped: too long");
            return;
        }
        self.0.dialler.cast(to, message);
    }

    /// The names of peers, as their connections are lost or their dials fail.
    pub fn failures(&self) -> broadcast::Receiver<NodeName> {
        self.0.dialler.presence.failures()
    }

    /// Closes every connection, and waits a moment for the peers to hear of it.
    pub async fn close(&self) {
        let dialler = &self.0.dialler;
        dialler.endpoint.close(code::GOODBYE, b"stopping");
        if timeout(FAREWELL, dialler.endpoint.wait_idle()).await.is_err() {
            debug!("some peers were not told that this node stops");
        }
        dialler.abort();
    }

    async fn link(&self, to: &Target, lane: Lane) -> Result<Arc<Link>, LinkError> {
        let dialler = &self.0.dialler;
        match to {
            Target::Seed(address) => dialler.link(*address, lane, None).await,
            Target::Node(name) => {
                let address = dialler.presence.directory.address_of(name);
                let address = address.ok_or_else(|| LinkError::Unknown(name.clone()))?;
                let link = dialler.link(address, lane, Some(name)).await?;
                if link.peer.name == *name {
                    return Ok(link);
                }
                let (expected, found) = (name.clone(), link.peer.name.clone());
                Err(LinkError::Elsewhere { address, expected, found })
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.dialler.endpoint.close(code::GOODBYE, b"stopping");
        self.dialler.abort();
    }
}

/// A socket for both families when the address is IPv6, with room for a connection's window.
fn socket(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The system caps what it grants, and that is good enough.
    let room = LINK_WINDOW_BYTES as usize / 8;
    let _ = socket.set_recv_buffer_size(room);
    let _ = socket.set_send_buffer_size(room);
    socket.bind(&listen.into())?;
    Ok(socket.into())
}
