//! Over loopback, with raw sockets wherever the bytes on the wire are the point.
//!
//! Here are the stand-ins: a viewer that writes bytes, a `Visit` that is a closure, an origin that
//! is a closure over a socket. No test waits longer than [`LONG`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, Method, StatusCode};
use serve::{Body, BodyError, BodyStream, Chunk, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Limits, Listener, Visit};

mod connections;
mod exchanges;
mod fetches;
mod frames;
mod http2;
mod origins;
mod viewers;

const LONG: Duration = Duration::from_secs(20);

struct Answering<F>(F);

impl<F, A> Visit for Answering<F>
where
    F: Fn(Request) -> A + Send + Sync,
    A: Future<Output = Response> + Send + 'static,
{
    fn visit(&self, request: Request) -> BoxFuture<'static, Response> {
        (self.0)(request).boxed()
    }
}

struct Door {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    _close: DropGuard,
}

fn open<F, A>(limits: Limits, answer: F) -> Door
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, shutdown) = (listener.local_addr(), CancellationToken::new());
    let serving =
        tokio::spawn(listener.serve(Arc::new(Answering(answer)), limits, shutdown.clone()));
    Door { address, shutdown: shutdown.clone(), serving, _close: shutdown.drop_guard() }
}

fn ok(body: Body) -> Response {
    Response { status: StatusCode::OK, headers: HeaderMap::new(), body }
}

fn text(content: impl Into<String>) -> Response {
    ok(Body::from_bytes(Bytes::from(content.into())))
}

fn chunks(parts: &[&'static str]) -> Vec<Result<Chunk, BodyError>> {
    parts.iter().map(|part| Ok(Chunk::Data(Bytes::from_static(part.as_bytes())))).collect()
}

/// The parts, then an error.
fn broken_stream(parts: &[&'static str]) -> BodyStream {
    let mut chunks = chunks(parts);
    chunks.push(Err(BodyError::Broken("on purpose".into())));
    // hyper writes what it has when it has to wait, so the viewer sees the parts.
    stream::iter(chunks)
        .then(|chunk| async move {
            tokio::task::yield_now().await;
            chunk
        })
        .boxed()
}

/// Chunks without end, counted as they are taken.
fn endless(taken: &Arc<AtomicUsize>) -> BodyStream {
    let taken = Arc::clone(taken);
    let chunk = Bytes::from(vec![7; 64 * 1024]);
    stream::repeat_with(move || {
        taken.fetch_add(chunk.len(), SeqCst);
        Ok(Chunk::Data(chunk.clone()))
    })
    .boxed()
}

async fn read_all(body: Body) -> (String, Option<HeaderMap>, Option<BodyError>) {
    let (mut content, mut trailers) = (Vec::new(), None);
    let mut stream = body.into_stream();
    while let Some(chunk) = timeout(LONG, stream.next()).await.unwrap() {
        match chunk {
            Ok(Chunk::Data(data)) => content.extend_from_slice(&data),
            Ok(Chunk::Trailers(fields)) => trailers = Some(fields),
            Err(error) => {
                return (String::from_utf8(content).unwrap(), trailers, Some(error));
            }
        }
    }
    (String::from_utf8(content).unwrap(), trailers, None)
}

/// Opens a connection and writes `bytes`.
async fn dial(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// Everything up to the end of the connection, and whether that was a clean one.
async fn rest(stream: &mut TcpStream) -> (String, std::io::Result<usize>) {
    let mut bytes = Vec::new();
    let end = timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap();
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

/// Writes `bytes`, and reads to the end of the connection.
async fn say(address: SocketAddr, bytes: &str) -> String {
    rest(&mut dial(address, bytes).await).await.0
}

/// Reads until the text ends with `end`; at the end of the connection, what came until then.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        match timeout(LONG, stream.read_u8()).await.unwrap() {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> u16 {
    let line = answer.lines().next().unwrap_or_default();
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// An origin that is a closure over each connection, which it is told the number of.
struct Stage {
    origin: model::Origin,
    connections: Arc<AtomicUsize>,
    playing: JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.playing.abort();
    }
}

async fn stage<F, A>(play: F) -> Stage
where
    F: Fn(usize, TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = model::Origin {
        id: "origin".into(),
        domain_name: "127.0.0.1".into(),
        http_port: listener.local_addr().unwrap().port(),
        connection_timeout_seconds: 1,
        response_timeout_seconds: 1,
        keepalive_timeout_seconds: 5,
        connections_max: 8,
    };
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let playing = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(play(counted.fetch_add(1, SeqCst), stream));
        }
    });
    Stage { origin, connections, playing }
}

/// Answers every request on a connection alike.
async fn repeat(mut stream: TcpStream, answer: &'static str) {
    while read_until(&mut stream, "\r\n\r\n").await.ends_with("\r\n\r\n") {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn to_origin(method: Method, target: &str, body: Body) -> serve::OriginRequest {
    serve::OriginRequest {
        method,
        host: model::Host::parse("shop.example").unwrap(),
        target: target.into(),
        headers: HeaderMap::new(),
        body,
        interim: None,
    }
}
