//! A small origin that tells the truth: it says which version of what it sends, remembers who asks
//! for what, and can be told to change, to be slow or to hold back.
//!
//! `/any/path?bytes=N&max-age=S&pause-ms=P` answers N bytes (default: one line), pausing before
//! each 16 KiB; with `ranges=served` it
//! sends parts; with `held=head` or `held=body` nothing, or the first 16 KiB and no more, comes
//! until [`Origin::release`]. [`Origin::behave`] says more about a path. The version is that of the
//! moment at which the request came. Every body names its path and version: [`Origin::body`] is
//! what it must be, [`Origin::read`] reads it. What still has the entity tag that is asked about is
//! answered with 304. A POST gets its own body back.

mod manner;
mod scene;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use caching::{ByteRange, Ranged};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use gateway::{Limits, Listener, Visit};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serve::{Body, Request, Response};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use manner::{Etag, Hold, Manner, Ranges};
pub use scene::Asked;

use manner::Wishes;
use scene::Scene;

/// An origin that runs until it is dropped.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    scene: Arc<Scene>,
    /// Ends its listener with every connection; nothing while it is closed.
    door: Mutex<Option<DropGuard>>,
}

/// Bytes of the largest body it makes.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;

impl Origin {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Origin> {
        Origin::start_at(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts it at this address.
    pub async fn start_at(at: SocketAddr) -> anyhow::Result<Origin> {
        let listener = Listener::bind(at)?;
        let address = listener.local_addr();
        let scene = Arc::new(Scene::default());
        let door = Mutex::new(Some(attend(listener, &scene)));
        Ok(Origin { address, scene, door })
    }

    /// Nobody listens any more and every connection breaks off, until it opens again.
    pub fn close(&self) {
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Listens again where it did, with what it had.
    pub fn open(&self) -> anyhow::Result<()> {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.is_none() {
            *door = Some(attend(Listener::bind(self.address)?, &self.scene));
        }
        Ok(())
    }

    /// Requests for `path`, query left out.
    pub fn requests(&self, path: &str) -> u64 {
        self.scene.count(path)
    }

    /// All requests.
    pub fn all_requests(&self) -> u64 {
        self.scene.count_all()
    }

    /// The requests for `path`, query left out, in the order in which they came.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.scene.asked(path)
    }

    /// Everything changes; returns the new version of what was not changed by itself.
    pub fn change(&self) -> u64 {
        self.scene.change(None)
    }

    /// The present version of what was not changed by itself.
    pub fn version(&self) -> u64 {
        self.scene.version(None)
    }

    /// `path` alone changes; returns its new version.
    pub fn raise(&self, path: &str) -> u64 {
        self.scene.change(Some(path))
    }

    /// The present version of `path`.
    pub fn version_of(&self, path: &str) -> u64 {
        self.scene.version(Some(path))
    }

    /// Requests for `path` that come from now on are answered in this manner.
    pub fn behave(&self, path: &str, manner: Manner) {
        self.scene.behave(path, manner);
    }

    /// What is held of `path` now goes on; what is asked for later is held again.
    pub fn let_go(&self, path: &str) {
        self.scene.let_go(path);
    }

    /// Every answer waits this long; its version is that of the moment at which the request came.
    pub fn delay(&self, time: Duration) {
        self.scene.set_delay(time);
    }

    /// Every request is answered with this error, until it is well again.
    pub fn ail(&self, error: Option<StatusCode>) {
        self.scene.set_ailment(error);
    }

    /// What a query asked to be held, now or later, is held no longer.
    pub fn release(&self) {
        self.scene.release();
    }

    /// The first `bytes` bytes of what it answers for `path`, as of `version`.
    pub fn body(path: &str, version: u64, bytes: usize) -> Vec<u8> {
        line(path, version).into_bytes().into_iter().cycle().take(bytes).collect()
    }

    /// Path and version that a body, or its first line, names.
    pub fn read(body: &[u8]) -> Option<(&str, u64)> {
        let end = body.iter().position(|byte| *byte == b'\n')?;
        let (path, version) = std::str::from_utf8(&body[..end]).ok()?.split_once(" version ")?;
        Some((path, version.parse().ok()?))
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

/// Serves until the guard is dropped.
fn attend(listener: Listener, scene: &Arc<Scene>) -> DropGuard {
    let stop = CancellationToken::new();
    let visit = Arc::new(Actor(Arc::clone(scene)));
    let serving = listener.serve(visit, Limits::default(), CancellationToken::new());
    tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
    stop.drop_guard()
}

struct Actor(Arc<Scene>);

impl Visit for Actor {
    fn visit(&self, request: Request) -> BoxFuture<'static, Response> {
        act(self.0.clone(), request).boxed()
    }
}

async fn act(scene: Arc<Scene>, request: Request) -> Response {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let wishes = Wishes(query);
    let manner = wishes.over(scene.manner(path));
    let mut gate = scene.gate(path);
    let version = scene.note(path, &request.method, &request.headers, manner.age);
    tokio::time::sleep(scene.delay() + manner.delay).await;
    if let Some(status) = scene.ailment() {
        return Response { status, headers: HeaderMap::new(), body: Body::Empty };
    }
    if request.method == Method::POST {
        return Response { status: StatusCode::OK, headers: HeaderMap::new(), body: request.body };
    }
    if wishes.hold() == Hold::Head {
        scene.released().await;
    }
    if manner.hold == Hold::Head {
        // Fails only if the origin is gone.
        let _ = gate.changed().await;
    }
    let line = line(path, version);
    let bytes = manner.bytes.unwrap_or(line.len()).min(BODY_BYTES_MAX);
    let mut headers = head(&manner, version, bytes);
    let known = request.headers.get(header::IF_NONE_MATCH);
    if known.is_some() && known == headers.get(header::ETAG) {
        return Response { status: StatusCode::NOT_MODIFIED, headers, body: Body::Empty };
    }
    let (status, body) = match part(&request, &manner, &mut headers, bytes) {
        None => (StatusCode::OK, body(&line, bytes)),
        Some(range) => (StatusCode::PARTIAL_CONTENT, body(&line, bytes).slice(range)),
    };
    let body = paced(body, &manner, wishes.hold(), Gates { scene, gate });
    Response { status, headers, body }
}

/// The part that is asked for, if parts are served.
fn part(
    request: &Request,
    manner: &Manner,
    headers: &mut HeaderMap,
    bytes: usize,
) -> Option<ByteRange> {
    if manner.ranges == Ranges::Ignored {
        return None;
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let (ok, length) = (StatusCode::OK, bytes as u64);
    match caching::resolve(&request.method, &request.headers, ok, headers, length) {
        Ranged::Part(range) => {
            headers.insert(header::CONTENT_RANGE, caching::content_range(range, length));
            Some(range)
        }
        Ranged::Whole | Ranged::Parts(_) | Ranged::Unsatisfiable => None,
    }
}

fn line(path: &str, version: u64) -> String {
    format!("{path} version {version}\n")
}

/// The fields of an answer.
fn head(manner: &Manner, version: u64, bytes: usize) -> HeaderMap {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let fields = [
        (header::CONTENT_TYPE, Some("text/plain".to_owned())),
        (header::CACHE_CONTROL, text(&manner.cache_control)),
        (header::ETAG, manner.etag.of(version, bytes)),
        (header::AGE, manner.age.map(|age| age.as_secs().to_string())),
        (HeaderName::from_static("surrogate-key"), text(&manner.surrogate_keys.join(" "))),
        (HeaderName::from_static("cache-tag"), text(&manner.cache_tags.join(","))),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Where bodies wait.
struct Gates {
    scene: Arc<Scene>,
    gate: watch::Receiver<u64>,
}

/// The same body, as slow as it was wished.
fn paced(body: Body, manner: &Manner, wished: Hold, gates: Gates) -> Body {
    let (pause, held) = (manner.pause, manner.hold == Hold::Body);
    let wished = wished == Hold::Body;
    if pause.is_zero() && !held && !wished {
        return body;
    }
    let bytes = body.bytes();
    let paced = body.into_stream().enumerate().then(move |(at, chunk)| {
        let scene = gates.scene.clone();
        // A clone has seen what this one has: the gate opens for all chunks after the first.
        let mut gate = gates.gate.clone();
        async move {
            tokio::time::sleep(pause).await;
            if wished && at > 0 {
                scene.released().await;
            }
            if held && at > 0 {
                // Fails only if the origin is gone.
                let _ = gate.changed().await;
            }
            chunk
        }
    });
    Body::Stream { stream: paced.boxed(), bytes }
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
