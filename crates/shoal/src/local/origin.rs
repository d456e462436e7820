//! A small origin: it says which version of what it sends, counts who asks, and can be told to
//! change or to be slow.
//!
//! `/any/path?bytes=N&max-age=S&pause-ms=P` answers N bytes (default: one line), pausing before
//! each 16 KiB; with `held=head` or `held=body` nothing, or the first 16 KiB and no more, comes
//! until [`Origin::release`]. Every body names its path and version: [`Origin::body`] is what it
//! must be. A POST gets its own body back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use gateway::{Limits, Listener, Visit};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serve::{Body, Request, Response};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Default)]
struct Scene {
    requests: Mutex<BTreeMap<String, u64>>,
    version: AtomicU64,
    delay_ms: AtomicU64,
    released: watch::Sender<bool>,
}

impl Scene {
    async fn released(&self) {
        // Fails only if the sender is gone, which is ours.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }
}

/// An origin that runs until it is dropped.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    scene: Arc<Scene>,
    _stop: DropGuard,
}

/// Bytes of the largest body it makes.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;

impl Origin {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Origin> {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
        let address = listener.local_addr();
        let scene = Arc::new(Scene::default());
        let stop = CancellationToken::new();
        let visit = Arc::new(Actor(scene.clone()));
        tokio::spawn(listener.serve(visit, Limits::default(), stop.clone()));
        Ok(Origin { address, scene, _stop: stop.drop_guard() })
    }

    /// Requests for `path`, query left out.
    pub fn requests(&self, path: &str) -> u64 {
        let requests = self.scene.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.get(path).copied().unwrap_or(0)
    }

    /// All requests.
    pub fn all_requests(&self) -> u64 {
        self.scene.requests.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// Everything changes; returns the new version.
    pub fn change(&self) -> u64 {
        self.scene.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The present version.
    pub fn version(&self) -> u64 {
        self.scene.version.load(Ordering::SeqCst)
    }

    /// Every answer waits this long; its version is that of the moment at which the request came.
    pub fn delay(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.scene.delay_ms.store(millis, Ordering::SeqCst);
    }

    /// What was asked to be held, now or later, is held no longer.
    pub fn release(&self) {
        self.scene.released.send_replace(true);
    }

    /// The first `bytes` bytes of what it answers for `path`, as of `version`.
    pub fn body(path: &str, version: u64, bytes: usize) -> Vec<u8> {
        line(path, version).into_bytes().into_iter().cycle().take(bytes).collect()
    }

    /// A distribution `name` that sends every host here.
    pub fn distribution(&self, name: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name,
            "aliases": ["*"],
            "origins": [{
                "id": "origin",
                "domain_name": self.address.ip().to_string(),
                "http_port": self.address.port(),
            }],
            "default_cache_behavior": { "target_origin_id": "origin" },
        })
    }
}

struct Actor(Arc<Scene>);

impl Visit for Actor {
    fn visit(&self, request: Request) -> BoxFuture<'static, Response> {
        let scene = self.0.clone();
        async move {
            let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
            let version = scene.version.load(Ordering::SeqCst);
            {
                let mut requests = scene.requests.lock().unwrap_or_else(PoisonError::into_inner);
                *requests.entry(path.to_owned()).or_default() += 1;
            }
            let delay = scene.delay_ms.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            if request.method == Method::POST {
                return echo(request.body);
            }
            let wishes = Wishes(query);
            if wishes.names("held", "head") {
                scene.released().await;
            }
            let Response { status, headers, body } = answer(path, wishes, version);
            let body = paced(body, wishes, scene.clone());
            Response { status, headers, body }
        }
        .boxed()
    }
}

/// What the query asks for.
#[derive(Clone, Copy)]
struct Wishes<'a>(&'a str);

impl Wishes<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| (name == key).then_some(value))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }

    fn names(&self, key: &str, value: &str) -> bool {
        self.value(key) == Some(value)
    }
}

fn line(path: &str, version: u64) -> String {
    format!("{path} version {version}\n")
}

fn echo(body: Body) -> Response {
    Response { status: StatusCode::OK, headers: HeaderMap::new(), body }
}

fn answer(path: &str, wishes: Wishes<'_>, version: u64) -> Response {
    let line = line(path, version);
    let asked = wishes.number("bytes").and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = asked.unwrap_or(line.len()).min(BODY_BYTES_MAX);
    let max_age = wishes.number("max-age").unwrap_or(3600);
    let mut headers = HeaderMap::new();
    let cache_control = HeaderValue::try_from(format!("max-age={max_age}"));
    let etag = HeaderValue::try_from(format!("\"{version}-{bytes}\""));
    if let (Ok(cache_control), Ok(etag)) = (cache_control, etag) {
        headers.insert(http::header::CACHE_CONTROL, cache_control);
        headers.insert(http::header::ETAG, etag);
    }
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Response { status: StatusCode::OK, headers, body: body(&line, bytes) }
}

/// The same body, as slow as it was wished.
fn paced(body: Body, wishes: Wishes<'_>, scene: Arc<Scene>) -> Body {
    let pause = Duration::from_millis(wishes.number("pause-ms").unwrap_or(0));
    let held = wishes.names("held", "body");
    if pause.is_zero() && !held {
        return body;
    }
    let bytes = body.bytes();
    let chunks = body.into_stream().enumerate().then(move |(at, chunk)| {
        let scene = scene.clone();
        async move {
            tokio::time::sleep(pause).await;
            if held && at > 0 {
                scene.released().await;
            }
            chunk
        }
    });
    Body::Stream { stream: chunks.boxed(), bytes }
}

/// `bytes` bytes of `line`, again and again.
fn body(line: &str, bytes: usize) -> Body {
    let repeated = line.repeat(CHUNK_BYTES.div_ceil(line.len()) + 1);
    let repeated = Bytes::from(repeated);
    let mut chunks = Vec::new();
    let mut at = 0;
    while at < bytes {
        let length = CHUNK_BYTES.min(bytes - at);
        let start = at % line.len();
        chunks.push(repeated.slice(start..start + length));
        at += length;
    }
    Body::Whole { chunks: chunks.into(), bytes: bytes as u64 }
}
