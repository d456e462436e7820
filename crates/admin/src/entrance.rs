//! The entrance: a listener that lets in only so many at once, and sends away those who say
//! nothing.
//!
//! Who finds no place waits in the system's queue. A connection that fell silent, as behind a
//! gateway that forgot it, would keep its place for ever; it is ended instead.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::serve::Listener;
use model::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_SILENCE};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// A listener with a bounded number of places.
#[derive(Debug)]
pub(crate) struct Entrance {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Entrance {
    /// An entrance before `listener`.
    pub(crate) fn new(listener: TcpListener) -> Entrance {
        Entrance { listener, places: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)) }
    }
}

impl Listener for Entrance {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the places are never closed");
        let (stream, from) = Listener::accept(&mut self.listener).await;
        (Guest { stream, silence: Box::pin(sleep(ADMIN_SILENCE)), _place: place }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that has a place.
#[derive(Debug)]
pub(crate) struct Guest {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }

    /// Something moved: silence begins anew.
    fn hear(&mut self) {
        self.silence.as_mut().reset(Instant::now() + ADMIN_SILENCE);
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.as_mut().stream().poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.hear();
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.as_mut().stream().poll_write(context, bytes));
        self.hear();
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.as_mut().stream().poll_write_vectored(context, parts));
        self.hear();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    use super::*;

    async fn entrance() -> (Entrance, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Entrance::new(listener), address)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_ended_and_its_place_is_free() {
        let (mut entrance, address) = entrance().await;
        let _caller = TcpStream::connect(address).await.unwrap();
        let (mut guest, _) = entrance.accept().await;
        let began = Instant::now();
        let ended = guest.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= ADMIN_SILENCE);
        drop(guest);
        assert_eq!(entrance.places.available_permits(), ADMIN_CONNECTIONS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_for_one() {
        let (mut entrance, address) = entrance().await;
        let mut inside = Vec::new();
        for _ in 0..ADMIN_CONNECTIONS_MAX {
            let caller = TcpStream::connect(address).await.unwrap();
            inside.push((caller, entrance.accept().await.0));
        }
        let _waiting = TcpStream::connect(address).await.unwrap();
        let soon = timeout(Duration::from_secs(1), entrance.accept()).await;
        assert!(soon.is_err(), "one more than there are places was let in");
        inside.pop();
        entrance.accept().await;
    }
}
