//! Getting a link: found, waited for, or dialled, one dial at a time for each address and lane.
//!
//! Links are kept by address, not by name: gossip and seeds know only addresses, and the name is
//! what the peer proves once it answers. One task tends each link from its dial to its end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use model::NodeName;
use model::limits::{CASTS_QUEUED_MAX, HANDSHAKE, LINKS_MAX};
use quinn::{ConnectionError, Endpoint};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};
use wire::hello::{Kind, Lane};

use crate::code;
use crate::error::LinkError;
use crate::greet::{self, Acquaintance};
use crate::identity::{COMMON_NAME, canonical};
use crate::presence::Presence;
use crate::pulse::Pulse;
use crate::slot::{Link, Past, Slot};

/// The links that this node has made.
pub(crate) struct Dialler {
    pub(crate) endpoint: Endpoint,
    pub(crate) presence: Arc<Presence>,
    slots: RwLock<BTreeMap<(SocketAddr, Lane), Arc<Slot>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Dialler {
    pub(crate) fn new(endpoint: Endpoint, presence: Arc<Presence>) -> Dialler {
        Dialler { endpoint, presence, slots: RwLock::default(), tasks: Mutex::default() }
    }

    /// The link to `address`; `wanted` is who should be there, for the news if it fails.
    pub(crate) async fn link(
        self: &Arc<Self>,
        address: SocketAddr,
        lane: Lane,
        wanted: Option<&NodeName>,
    ) -> Result<Arc<Link>, LinkError> {
        let address = canonical(address);
        let slot = self.slot(address, lane)?;
        if let Some(past) = slot.claim(Instant::now()) {
            let past = Past { name: wanted.cloned().or(past.name), ..past };
            self.spawn(Arc::clone(self).tend(Arc::clone(&slot), address, lane, past));
        }
        slot.outcome().await
    }

    /// Queues a gossip message to `address`; drops it when the queue is full.
    pub(crate) fn cast(self: &Arc<Self>, address: SocketAddr, message: Bytes) {
        let address = canonical(address);
        let queued = self.slot(address, Lane::Control).map(|slot| {
            let queue = slot.casts.get_or_init(|| {
                let (queue, messages) = mpsc::channel(CASTS_QUEUED_MAX);
                self.spawn(Arc::clone(self).deliver(address, messages));
                queue
            });
            queue.try_send(message).is_ok()
        });
        if !matches!(queued, Ok(true)) {
            debug!(%address, "gossip dropped: too much is waiting");
        }
    }

    /// Runs a task that ends with this node's links.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().expect("nothing panics while it is held");
        while let Some(ended) = tasks.try_join_next() {
            debug_assert!(ended.is_ok(), "link tasks do not panic: {ended:?}");
        }
        tasks.spawn(task);
    }

    /// Aborts every task, and fails whoever waits for one.
    pub(crate) fn abort(&self) {
        self.tasks.lock().expect("nothing panics while it is held").abort_all();
        for slot in self.slots.read().expect("nothing panics while it is held").values() {
            let closed = LinkError::Lost(ConnectionError::LocallyClosed);
            slot.fall(closed, Instant::now(), Past::default());
        }
    }

    fn slot(&self, address: SocketAddr, lane: Lane) -> Result<Arc<Slot>, LinkError> {
        let at = (address, lane);
        let slots = self.slots.read().expect("nothing panics while it is held");
        if let Some(slot) = slots.get(&at) {
            return Ok(Arc::clone(slot));
        }
        drop(slots);
        let mut slots = self.slots.write().expect("nothing panics while it is held");
        if slots.len() >= LINKS_MAX {
            slots.retain(|_, slot| !slot.is_idle());
        }
        if slots.len() >= LINKS_MAX {
            return Err(LinkError::Crowded);
        }
        Ok(Arc::clone(slots.entry(at).or_insert_with(|| Arc::new(Slot::new()))))
    }

    /// Dials, and stays with the link until it ends.
    async fn tend(self: Arc<Self>, slot: Arc<Slot>, address: SocketAddr, lane: Lane, past: Past) {
        let (connection, acquaintance) = match self.dial(address, lane).await {
            Ok(made) => made,
            Err(error) => return self.missed(&slot, address, past, error),
        };
        let stay = self.presence.enter(&acquaintance);
        let name = acquaintance.peer.name.clone();
        let protocol = acquaintance.peer.protocol;
        debug!(peer = %name, %address, %lane, protocol, "connected");
        // An older program takes no signs: it is heard too seldom to be called silent.
        let takes_signs = connection.max_datagram_size().is_some();
        let pulse = (lane == Lane::Bulk && takes_signs).then(Pulse::new);
        let link = Arc::new(Link { connection, peer: acquaintance.peer, pulse });
        slot.rise(Arc::clone(&link));
        let end = link.tend().await;
        drop(stay);
        let past = Past { failures: 0, name: Some(name.clone()) };
        slot.fall(LinkError::Lost(end.clone()), Instant::now(), past);
        if code::is_loss(&end) {
            info!(peer = %name, %address, %lane, reason = %end, "connection lost");
            self.presence.report(&name);
        }
    }

    fn missed(&self, slot: &Slot, address: SocketAddr, past: Past, error: LinkError) {
        match &error {
            LinkError::Unwelcome { text, .. } if past.failures == 0 => {
                warn!(%address, "not connected: {text}");
            }
            other => debug!(%address, error = %other, "not connected"),
        }
        let name = past.name.clone();
        let (past, pause) = past.failed();
        slot.fall(error, Instant::now() + pause, past);
        if let Some(name) = name {
            self.presence.report(&name);
        }
    }

    async fn dial(
        &self,
        address: SocketAddr,
        lane: Lane,
    ) -> Result<(quinn::Connection, Acquaintance), LinkError> {
        let unreachable = |end| LinkError::Unreachable(address, end);
        let dial = async {
            let dialled = self.endpoint.connect(address, COMMON_NAME);
            let connecting = dialled.map_err(|error| LinkError::Address(address, error))?;
            let connection = connecting.await.map_err(unreachable)?;
            match greet::introduce(&self.presence.us, &connection, lane).await {
                Ok(acquaintance) => Ok((connection, acquaintance)),
                Err(LinkError::Lost(end)) => Err(unreachable(end)),
                Err(other) => Err(other),
            }
        };
        timeout(HANDSHAKE, dial).await.unwrap_or(Err(unreachable(ConnectionError::TimedOut)))
    }

    async fn deliver(self: Arc<Self>, to: SocketAddr, mut messages: mpsc::Receiver<Bytes>) {
        while let Some(message) = messages.recv().await {
            let sent = match self.link(to, Lane::Control, None).await {
                Ok(link) => link.cast(Kind::Gossip, message).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                debug!(%to, %error, "gossip dropped");
            }
        }
    }
}
