//! Connections to origins: how many at once, and which wait for their next request.
//!
//! hyper-util's own pools know no limit on connections and no wait for a turn, and both are a few
//! lines: a lane per origin has a semaphore of slots and a list of idle connections, last in first
//! out. A fetch takes a slot before it takes or opens a connection, and an idle connection goes
//! back before its slot does, so idle and busy connections together never exceed the limit.
//!
//! Origins that differ in name, port or limit have lanes of their own; a lane that nobody uses and
//! that keeps nothing is forgotten. A connection belongs to whoever holds it and closes with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use model::Origin;
use serve::OriginError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{self, Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::message::{Moved, Upload};
use crate::outgoing::Outgoing;
use crate::strict::Due;

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a kept connection may take to be ready: its task may still have to hear that the last
/// exchange is over.
const READY: Duration = Duration::from_millis(10);

/// All lanes.
#[derive(Default)]
pub(crate) struct Pool {
    lanes: Mutex<BTreeMap<(String, u16, u32), Arc<Lane>>>,
}

impl Pool {
    /// The lane of `origin`.
    pub(crate) fn lane(&self, origin: &Origin) -> Arc<Lane> {
        let key = (origin.domain_name.clone(), origin.http_port, origin.connections_max);
        Arc::clone(lock(&self.lanes).entry(key).or_insert_with(|| Arc::new(Lane::to(origin))))
    }

    /// Closes what was idle for too long, forever.
    pub(crate) async fn sweep(self: Arc<Self>) {
        let mut ticks = time::interval(SWEEP);
        loop {
            let now = ticks.tick().await;
            lock(&self.lanes).retain(|_, lane| {
                let mut idle = lock(&lane.idle);
                idle.retain(|kept| kept.is_usable_at(now));
                // Lanes are handed out under the lock we hold: nobody can come in between.
                Arc::strong_count(lane) > 1 || !idle.is_empty()
            });
        }
    }
}

/// The connections to one origin.
pub(crate) struct Lane {
    /// Name and port, for sentences.
    pub(crate) address: String,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

impl Lane {
    fn to(origin: &Origin) -> Lane {
        let slots = usize::try_from(origin.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        Lane {
            address: format!("{}:{}", origin.domain_name, origin.http_port),
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
        }
    }

    /// Waits for the right to hold a connection.
    pub(crate) async fn slot(self: &Arc<Self>, wait: Duration) -> Result<Slot, OriginError> {
        let permit = time::timeout(wait, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| OriginError::Overloaded)?
            .expect("the semaphore is never closed");
        Ok(Slot { lane: Arc::clone(self), _permit: permit })
    }

    /// A kept connection that seems alive.
    pub(crate) async fn reuse(&self) -> Option<Link> {
        loop {
            let kept = lock(&self.idle).pop()?;
            if !kept.is_usable_at(Instant::now()) {
                continue;
            }
            let mut link = kept.link;
            if let Ok(Ok(())) = time::timeout(READY, link.sender.ready()).await {
                return Some(link);
            }
        }
    }
}

/// The right to hold one connection.
pub(crate) struct Slot {
    lane: Arc<Lane>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    pub(crate) fn lease(self, link: Link, origin: &Origin, upload: Upload) -> Lease {
        Lease { link, upload, keep: origin.keepalive_timeout(), slot: self }
    }
}

/// An open connection and the task that drives it; dropped, it closes.
pub(crate) struct Link {
    pub(crate) sender: SendRequest<Outgoing<Moved>>,
    /// To be told of every request.
    pub(crate) due: Due,
    pub(crate) _driver: AbortOnDropHandle<()>,
}

/// A connection in use. Dropped before its response was read to the end, it closes.
pub(crate) struct Lease {
    link: Link,
    upload: Upload,
    keep: Duration,
    slot: Slot,
}

impl Lease {
    /// The origin's name and port.
    pub(crate) fn address(&self) -> &str {
        &self.slot.lane.address
    }

    /// The response was read to its end: keeps the connection for the next request, unless the
    /// origin answered before it had all of this one.
    pub(crate) fn give_back(self) {
        let Lease { link, upload, keep, slot } = self;
        if upload.is_over() {
            let kept = Idle { link, until: Instant::now() + keep };
            lock(&slot.lane.idle).push(kept);
        }
    }
}

struct Idle {
    link: Link,
    until: Instant,
}

impl Idle {
    fn is_usable_at(&self, now: Instant) -> bool {
        now < self.until && !self.link.sender.is_closed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
