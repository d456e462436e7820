//! The door for viewers: binds an address, accepts, and on shutdown lets what runs run out.
//!
//! Connections beyond the limit wait in the kernel's backlog, so a flood costs the flooder time and
//! us nothing. Every connection and every HTTP/2 stream is a task that [`Listener::serve`] awaits,
//! and aborts when the time to drain is over or when it is itself dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::limits::{VIEWER_CONNECTIONS_MAX, VIEWER_DRAIN, VIEWER_HEAD, VIEWER_IDLE, VIEWER_STALL};
use serve::World;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::GatewayError;
use crate::connection::{self, Terms};

/// Connections the kernel completes before we accept them; it caps the value at `somaxconn`.
const BACKLOG: i32 = 4096;
/// Pause after an accept that failed for want of descriptors or memory: trying at once would spin.
const PAUSE: Duration = Duration::from_millis(250);

/// What a listener allows its viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the backlog.
    pub connections: usize,
    /// Time for a request's head: for the first from the accept on, for later ones from their
    /// first byte on.
    pub head: Duration,
    /// Time that a connection may stay open between requests.
    pub idle: Duration,
    /// Time for which a body may wait for its viewer until that one must have moved enough of it.
    pub stall: Duration,
    /// Time that responses get to finish after shutdown was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: VIEWER_CONNECTIONS_MAX,
            head: VIEWER_HEAD,
            idle: VIEWER_IDLE,
            stall: VIEWER_STALL,
            drain: VIEWER_DRAIN,
        }
    }
}

/// Answers viewers. There is always an answer; an error is a status and a sentence.
pub trait Visit: Send + Sync {
    /// Answers `request`. Dropped unfinished when the viewer leaves.
    fn visit(&self, request: serve::Request) -> BoxFuture<'static, serve::Response>;
}

impl Visit for Arc<World> {
    fn visit(&self, request: serve::Request) -> BoxFuture<'static, serve::Response> {
        let world = Arc::clone(self);
        Box::pin(async move { serve::visit(&world, request).await })
    }
}

/// A bound address, not yet accepting.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; must be called inside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Listener, GatewayError> {
        let fail = |source| GatewayError::bind(address, source);
        let socket = bound_socket(address).map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        Ok(Listener { socket, address })
    }

    /// The bound address, with the port that the system chose where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves viewers until `shutdown`, then finishes what runs within `limits.drain`.
    pub async fn serve(self, visit: Arc<dyn Visit>, limits: Limits, shutdown: CancellationToken) {
        let tasks = Tasks::default();
        let _abort_when_dropped = tasks.abort.clone().drop_guard();
        let slots = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let (tasks_of_streams, closing) = (tasks.clone(), shutdown.clone());
        let terms = Arc::new(Terms { visit, limits, shutdown: closing, tasks: tasks_of_streams });
        while let Some(guest) = shutdown.run_until_cancelled(self.accept(&slots)).await {
            tasks.execute(connection::serve(Arc::clone(&terms), guest));
        }
        drop(self.socket);
        tasks.finish(limits.drain).await;
    }

    async fn accept(&self, slots: &Arc<Semaphore>) -> Guest {
        let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.socket.accept().await {
                Ok((stream, viewer)) => return Guest { stream, viewer, slot },
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept for a moment");
                    time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A viewer's connection, with its place among the connections allowed.
pub(crate) struct Guest {
    pub(crate) stream: TcpStream,
    pub(crate) viewer: SocketAddr,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// The tasks of one listener: awaited together, aborted together.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    running: TaskTracker,
    abort: CancellationToken,
}

impl Tasks {
    pub(crate) fn execute(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(self.abort.clone().run_until_cancelled_owned(task));
    }

    async fn finish(&self, patience: Duration) {
        self.running.close();
        if time::timeout(patience, self.running.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.running.len(),
                "connections aborted: draining took too long"
            );
            self.abort.cancel();
            self.running.wait().await;
        }
    }
}

fn bound_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart need not wait for the last run's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
