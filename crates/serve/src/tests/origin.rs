//! A scripted origin: per target a reply, worked out from the request that asks for it.
//!
//! A reply may wait at gates, before its head or anywhere in its body, break off, or never come.
//! Every request is written down with the node that sent it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::{FutureExt, StreamExt, stream};
use http::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode};
use model::{NodeName, Origin};

use super::viewer::fields;
use crate::{Body, BodyError, BodyStream, Chunk, OriginAnswer, OriginError, OriginRequest};

/// What the origin does, by target.
#[derive(Default)]
pub(super) struct Script {
    routes: Mutex<BTreeMap<String, Route>>,
    seen: Mutex<Vec<Seen>>,
    sent_bytes: Mutex<u64>,
}

type Route = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A request that reached the origin.
#[derive(Clone)]
pub(super) struct Seen {
    /// Who sent it.
    pub(super) from: String,
    /// The method.
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    /// The fields.
    pub(super) headers: HeaderMap,
    /// How many requests came before it.
    pub(super) earlier: usize,
    /// The content of the body.
    pub(super) body: Vec<u8>,
    /// What came after it.
    pub(super) trailers: Option<HeaderMap>,
}

impl Script {
    /// From now on `target` is answered with `reply`.
    pub(super) fn on(&self, target: &str, reply: Reply) {
        self.by(target, move |_| reply.clone());
    }

    /// From now on `target` is answered with what `route` makes of the request.
    pub(super) fn by(&self, target: &str, route: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.routes.lock().unwrap().insert(target.into(), Arc::new(route));
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests there were so far.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The names of those who asked.
    pub(super) fn askers(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.from).collect()
    }

    /// How many bytes of bodies were taken from the origin so far.
    pub(super) fn sent_bytes(&self) -> u64 {
        *self.sent_bytes.lock().unwrap()
    }

    /// The port through which the node called `name` sees the origin.
    pub(super) fn reached_from(self: &Arc<Self>, name: &NodeName) -> Arc<dyn crate::Origins> {
        Arc::new(Reach { script: self.clone(), from: name.to_string() })
    }

    fn note(&self, mut seen: Seen) -> Reply {
        let mut all = self.seen.lock().unwrap();
        seen.earlier = all.len();
        all.push(seen.clone());
        drop(all);
        let route = self.routes.lock().unwrap().get(&seen.target).cloned();
        route.unwrap_or_else(|| panic!("nobody wrote what {} answers", seen.target))(&seen)
    }
}

struct Reach {
    script: Arc<Script>,
    from: String,
}

impl crate::Origins for Reach {
    fn fetch(
        &self,
        _origin: &Origin,
        request: OriginRequest,
    ) -> BoxFuture<'static, Result<OriginAnswer, OriginError>> {
        let (script, from) = (self.script.clone(), self.from.clone());
        async move {
            let (body, trailers) = drain(request.body).await;
            let OriginRequest { method, target, headers, interim, .. } = request;
            let seen = Seen { from, method, target, headers, earlier: 0, body, trailers };
            let reply = script.note(seen);
            for (hint, interim) in reply.hint.iter().zip(&interim) {
                interim(StatusCode::EARLY_HINTS, hint.clone());
            }
            if let Some(gate) = &reply.head {
                gate.passed().await;
            }
            let status = reply.verdict?;
            let body = stream_of(script, reply.parts);
            Ok(OriginAnswer { status, headers: reply.headers, body_bytes: reply.bytes, body })
        }
        .boxed()
    }
}

async fn drain(body: Body) -> (Vec<u8>, Option<HeaderMap>) {
    let (mut content, mut trailers) = (Vec::new(), None);
    let mut stream = body.into_stream();
    while let Some(chunk) = stream.next().await {
        match chunk.unwrap() {
            Chunk::Data(data) => content.extend_from_slice(&data),
            Chunk::Trailers(fields) => trailers = Some(fields),
        }
    }
    (content, trailers)
}

fn stream_of(script: Arc<Script>, parts: Vec<Part>) -> BodyStream {
    let parts = stream::iter(parts).filter_map(move |part| {
        let script = script.clone();
        async move {
            match part {
                Part::Data(data) => {
                    *script.sent_bytes.lock().unwrap() += data.len() as u64;
                    Some(Ok(Chunk::Data(data)))
                }
                Part::Trailers(fields) => Some(Ok(Chunk::Trailers(fields))),
                Part::Break => Some(Err(BodyError::Broken("the origin hung up".into()))),
                Part::Wait(gate) => {
                    gate.passed().await;
                    None
                }
            }
        }
    });
    parts.boxed()
}

/// What the origin answers once.
#[derive(Clone)]
pub(super) struct Reply {
    verdict: Result<StatusCode, OriginError>,
    headers: HeaderMap,
    parts: Vec<Part>,
    hint: Option<HeaderMap>,
    head: Option<Gate>,
    bytes: Option<u64>,
}

#[derive(Clone)]
enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    Wait(Gate),
    Break,
}

impl Reply {
    /// A 200 with these fields and this content.
    pub(super) fn new(lines: &str, content: &str) -> Reply {
        Reply::status(200, lines, content)
    }

    /// A response with this status, these fields and this content.
    pub(super) fn status(status: u16, lines: &str, content: &str) -> Reply {
        let verdict = Ok(StatusCode::from_u16(status).unwrap());
        let (headers, parts) = (fields(lines), vec![]);
        let reply = Reply { verdict, headers, parts, hint: None, head: None, bytes: None };
        let reply = if content.is_empty() { reply } else { reply.then(content) };
        if status == 304 { reply } else { reply.announced(content.len() as u64) }
    }

    /// No response at all.
    pub(super) fn failure(error: OriginError) -> Reply {
        Reply { verdict: Err(error), ..Reply::new("", "") }
    }

    /// A 304 instead, for a request that names this reply's `ETag`.
    pub(super) fn or_not_modified(self, seen: &Seen) -> Reply {
        let known = seen.headers.get(IF_NONE_MATCH);
        if known.is_none() || known != self.headers.get(ETAG) {
            return self;
        }
        let mut headers = self.headers;
        headers.remove(CONTENT_LENGTH);
        Reply { headers, ..Reply::status(304, "", "") }
    }

    /// A 103 with these fields comes first.
    pub(super) fn after_hint(self, lines: &str) -> Reply {
        Reply { hint: Some(fields(lines)), ..self }
    }

    /// The head waits at `gate`.
    pub(super) fn held_at(self, gate: &Gate) -> Reply {
        Reply { head: Some(gate.clone()), ..self }
    }

    /// One more chunk.
    pub(super) fn then(self, content: &str) -> Reply {
        self.then_bytes(Bytes::copy_from_slice(content.as_bytes()))
    }

    /// One more chunk.
    pub(super) fn then_bytes(self, content: Bytes) -> Reply {
        self.with(Part::Data(content))
    }

    /// What follows waits at `gate`.
    pub(super) fn then_wait(self, gate: &Gate) -> Reply {
        self.with(Part::Wait(gate.clone()))
    }

    /// Then it breaks off.
    pub(super) fn then_break(self) -> Reply {
        self.with(Part::Break)
    }

    /// Then trailer fields.
    pub(super) fn then_trailers(self, lines: &str) -> Reply {
        self.with(Part::Trailers(fields(lines)))
    }

    fn with(mut self, part: Part) -> Reply {
        self.parts.push(part);
        let data = |part: &Part| match part {
            Part::Data(data) => data.len() as u64,
            Part::Trailers(_) | Part::Wait(_) | Part::Break => 0,
        };
        let bytes = self.parts.iter().map(data).sum();
        self.announced(bytes)
    }

    /// `Content-Length` says `bytes`, whatever comes.
    pub(super) fn announced(mut self, bytes: u64) -> Reply {
        self.headers.insert(CONTENT_LENGTH, bytes.into());
        Reply { bytes: Some(bytes), ..self }
    }

    /// No `Content-Length`.
    pub(super) fn unannounced(mut self) -> Reply {
        self.headers.remove(CONTENT_LENGTH);
        Reply { bytes: None, ..self }
    }
}

/// Closed until the test opens it.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<Latch>>);

#[derive(Default)]
struct Latch {
    is_open: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// Lets everyone pass from now on.
    pub(super) fn open(&self) {
        let mut latch = self.0.lock().unwrap();
        latch.is_open = true;
        latch.waiting.drain(..).for_each(Waker::wake);
    }

    /// Waits until it is open.
    pub(super) async fn passed(&self) {
        poll_fn(|context| {
            let mut latch = self.0.lock().unwrap();
            if latch.is_open {
                return Poll::Ready(());
            }
            latch.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
