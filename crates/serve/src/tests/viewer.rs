//! A viewer: sends one request, reads the answer as it comes, and may hang up.
//!
//! What has arrived so far can be looked at at any time, so that a test can tell a streamed answer
//! from a buffered one and a whole body from a broken one.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::{AbortHandle, BoxFuture, abortable};
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::origin::Gate;
use crate::{Body, BodyError, Chunk, Request, Response, Scheme, World};

/// A request to send.
pub(super) struct Ask {
    method: Method,
    host: String,
    target: String,
    headers: HeaderMap,
    body: Body,
    reads: Option<Gate>,
}

impl Ask {
    /// A GET.
    pub(super) fn get(target: &str) -> Ask {
        Ask::with_method(Method::GET, target)
    }

    /// A HEAD.
    pub(super) fn head(target: &str) -> Ask {
        Ask::with_method(Method::HEAD, target)
    }

    /// A request with that method.
    pub(super) fn with_method(method: Method, target: &str) -> Ask {
        let (host, target) = ("shop.example".to_owned(), target.to_owned());
        Ask { method, host, target, headers: HeaderMap::new(), body: Body::Empty, reads: None }
    }

    /// With these fields too: `name: value`, separated by `|`.
    pub(super) fn with(mut self, lines: &str) -> Ask {
        self.headers.extend(fields(lines));
        self
    }

    /// To that host.
    pub(super) fn at_host(self, host: &str) -> Ask {
        Ask { host: host.into(), ..self }
    }

    /// With this body.
    pub(super) fn body(self, body: Body) -> Ask {
        Ask { body, ..self }
    }

    /// Reads nothing of the body before `gate` is open.
    pub(super) fn reading_after(self, gate: &Gate) -> Ask {
        Ask { reads: Some(gate.clone()), ..self }
    }

    /// The viewer, and the task that is its life.
    pub(super) fn sent_to(self, world: Arc<World>) -> (Viewer, BoxFuture<'static, ()>) {
        let Ask { method, host, target, headers, body, reads } = self;
        let viewer = ([192, 0, 2, 1], 50_000).into();
        let received = Arc::new(Mutex::new(Received::default()));
        let heard = received.clone();
        let interim: crate::Interim =
            Arc::new(move |_, fields| heard.lock().unwrap().hints.push(fields));
        let interim = Some(interim);
        let scheme = Scheme::Http;
        let request = Request { method, scheme, host, target, headers, body, viewer, interim };
        let noted = received.clone();
        let (life, hang_up) = abortable(async move {
            let response = crate::visit(&world, request).await;
            read(response, reads, &noted).await;
        });
        (Viewer { received, hang_up }, life.map(|_| ()).boxed())
    }
}

async fn read(response: Response, reads: Option<Gate>, noted: &Mutex<Received>) {
    noted.lock().unwrap().head = Some((response.status, response.headers));
    if let Some(gate) = reads {
        gate.passed().await;
    }
    let mut stream = response.body.into_stream();
    let mut end = Ok(());
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(Chunk::Data(data)) => noted.lock().unwrap().chunks.push(data),
            Ok(Chunk::Trailers(trailers)) => noted.lock().unwrap().trailers = Some(trailers),
            Err(error) => {
                end = Err(error);
                break;
            }
        }
    }
    noted.lock().unwrap().end = Some(end);
}

#[derive(Default)]
struct Received {
    hints: Vec<HeaderMap>,
    head: Option<(StatusCode, HeaderMap)>,
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    end: Option<Result<(), BodyError>>,
}

/// Someone who waits for an answer.
pub(super) struct Viewer {
    received: Arc<Mutex<Received>>,
    hang_up: AbortHandle,
}

impl Viewer {
    /// Goes away. Whatever was done for it alone ends with the next step.
    pub(super) fn hang_up(&self) {
        self.hang_up.abort();
    }

    /// The fields of the interim responses that have arrived.
    pub(super) fn hints(&self) -> Vec<HeaderMap> {
        self.received.lock().unwrap().hints.clone()
    }

    /// Whether not even the head has arrived.
    pub(super) fn waits(&self) -> bool {
        self.received.lock().unwrap().head.is_none()
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.head().0.as_u16()
    }

    /// The field's lines, joined; empty when it is absent.
    pub(super) fn header(&self, name: &str) -> String {
        let (_, headers) = self.head();
        let lines: Vec<&str> =
            headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        lines.join(", ")
    }

    fn head(&self) -> (StatusCode, HeaderMap) {
        self.received.lock().unwrap().head.clone().expect("no head has arrived")
    }

    /// The content so far.
    pub(super) fn so_far(&self) -> String {
        let received = self.received.lock().unwrap();
        String::from_utf8(received.chunks.concat()).unwrap()
    }

    /// How much content so far.
    pub(super) fn bytes_so_far(&self) -> u64 {
        let received = self.received.lock().unwrap();
        received.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// How much content in one piece at most.
    pub(super) fn largest_chunk(&self) -> usize {
        let received = self.received.lock().unwrap();
        received.chunks.iter().map(Bytes::len).max().unwrap_or(0)
    }

    /// The trailer fields.
    pub(super) fn trailers(&self) -> Option<HeaderMap> {
        self.received.lock().unwrap().trailers.clone()
    }

    /// Whether the body has ended, and how.
    pub(super) fn end(&self) -> Option<Result<(), BodyError>> {
        self.received.lock().unwrap().end.clone()
    }

    /// Whether the body ended before its end.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.end(), Some(Err(_)))
    }

    /// The content, which must be whole.
    pub(super) fn body(&self) -> String {
        assert_eq!(self.end(), Some(Ok(())), "the body is not whole: {}", self.so_far());
        self.so_far()
    }

    /// Status and content, which must be whole.
    pub(super) fn answer(&self) -> (u16, String) {
        (self.status(), self.body())
    }
}

/// Parses `name: value` lines, separated by `|`.
pub(super) fn fields(lines: &str) -> HeaderMap {
    let lines = lines.split('|').filter(|line| !line.is_empty());
    let pairs = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("name: value");
        let name: HeaderName = name.trim().parse().unwrap();
        (name, HeaderValue::from_str(value.trim()).unwrap())
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}
