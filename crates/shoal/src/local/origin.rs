//! A small origin: it says which version of what it sends, counts who asks, and can be told to
//! change or to be slow.
//!
//! `/any/path?bytes=N&max-age=S&pause-ms=P` answers N bytes (default: one line), pausing before
//! each 16 KiB. Every body names its path and version: [`Origin::body`] is what it must be.
//! A POST gets its own body back.

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
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Default)]
struct Scene {
    requests: Mutex<BTreeMap<String, u64>>,
    version: AtomicU64,
    delay_ms: AtomicU64,
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
            match request.method {
                Method::POST => echo(request.body),
                _ => answer(path, query, version),
            }
        }
        .boxed()
    }
}

fn line(path: &str, version: u64) -> String {
    format!("{path} version {version}\n")
}

fn echo(body: Body) -> Response {
    Response { status: StatusCode::OK, headers: HeaderMap::new(), body }
}

fn answer(path: &str, query: &str, version: u64) -> Response {
    let asked = |key: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse::<usize>().ok())
    };
    let line = line(path, version);
    let bytes = asked("bytes").unwrap_or(line.len()).min(BODY_BYTES_MAX);
    let max_age = asked("max-age").unwrap_or(3600);
    let mut headers = HeaderMap::new();
    let cache_control = HeaderValue::try_from(format!("max-age={max_age}"));
    let etag = HeaderValue::try_from(format!("\"{version}-{bytes}\""));
    if let (Ok(cache_control), Ok(etag)) = (cache_control, etag) {
        headers.insert(http::header::CACHE_CONTROL, cache_control);
        headers.insert(http::header::ETAG, etag);
    }
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let body = body(&line, bytes);
    let body = match asked("pause-ms") {
        Some(pause) => slowed(body, Duration::from_millis(pause as u64)),
        None => body,
    };
    Response { status: StatusCode::OK, headers, body }
}

fn slowed(body: Body, pause: Duration) -> Body {
    let bytes = body.bytes();
    let chunks = body.into_stream().then(move |chunk| async move {
        tokio::time::sleep(pause).await;
        chunk
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
