//! The origin of all cases: for each host it does what the present step says, whatever that is, and
//! remembers what it was asked.
//!
//! A case is recognised by its host, or by its host and target. Answers are ordinary messages made
//! from a status and field lines, or raw bytes; `Date` and `Content-Length` are added unless the
//! step has or forbids them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::conformance::answer::{self, Answer};
use crate::conformance::case::{Step, Then};
use crate::conformance::message::{Body, Head, Reader};
use crate::conformance::template::Template;

/// How long an origin that stalls does nothing.
const STALL: Duration = Duration::from_secs(30);

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

/// What one host does, and what it was asked since that was said.
#[derive(Default)]
struct Scene {
    step: Step,
    number: usize,
    fill: Option<Template>,
    asked: Vec<Asked>,
}

/// The origin; clones are the same.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    scenes: Arc<Mutex<BTreeMap<String, Scene>>>,
}

impl Origin {
    /// Starts it on a free port, for as long as the program runs.
    pub(crate) async fn start() -> Result<Origin> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let origin = Origin { address, scenes: Arc::default() };
        let accepting = origin.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let origin = accepting.clone();
                // A connection that breaks is the node's business.
                tokio::spawn(async move { origin.serve(stream).await.ok() });
            }
        });
        Ok(origin)
    }

    /// From now on the host does what `step`, the `number`th of its case, says.
    pub(crate) fn play(&self, fill: &Template, number: usize, step: &Step) {
        let (step, fill) = (step.clone(), Some(fill.clone()));
        let host = fill.as_ref().map(|fill| fill.host.clone()).unwrap_or_default();
        let scene = Scene { step, number, fill, asked: Vec::new() };
        self.scenes.lock().unwrap_or_else(PoisonError::into_inner).insert(host, scene);
    }

    /// The same for one target of the host.
    pub(crate) fn play_at(&self, fill: &Template, target: &str, step: &Step) {
        let place = format!("{}{target}", fill.host);
        let scene =
            Scene { step: step.clone(), number: 1, fill: Some(fill.clone()), ..Scene::default() };
        self.scenes.lock().unwrap_or_else(PoisonError::into_inner).insert(place, scene);
    }

    /// What the host was asked in the present step.
    pub(crate) fn asked(&self, host: &str) -> Vec<Asked> {
        let scenes = self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        scenes.get(host).map(|scene| scene.asked.clone()).unwrap_or_default()
    }

    /// Takes note of a request, and says what to do about it.
    fn hear(&self, asked: Asked) -> Reaction {
        let host = asked.head.field("host").unwrap_or_default();
        let mut scenes = self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = format!("{host}{}", asked.head.target());
        let known = if scenes.contains_key(&place) { &place } else { &host };
        let Some(scene) = scenes.get_mut(known) else {
            return Reaction { delay: Duration::ZERO, answer: answer::unknown(&host) };
        };
        let (turn, head) = (scene.asked.len(), asked.head.clone());
        scene.asked.push(asked);
        let fill = scene.fill.as_ref().expect("a scene is made with what fills its places");
        let answer = answer::make(&scene.step, scene.number, turn, fill, &head);
        Reaction { delay: Duration::from_millis(scene.step.origin_delay_ms), answer }
    }

    async fn serve(&self, stream: TcpStream) -> Result<()> {
        let mut reader = Reader::new(stream);
        while let Some(head) = reader.head().await? {
            if head.field("expect").is_some() {
                reader.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let body = reader.request_body(&head).await;
            let Reaction { delay, answer } = self.hear(Asked { head, body });
            tokio::time::sleep(delay).await;
            reader.stream.write_all(&answer.bytes).await?;
            match answer.then {
                Then::Keep => {}
                Then::Close => {
                    reader.stream.shutdown().await?;
                    return Ok(());
                }
                Then::Stall => {
                    tokio::time::sleep(STALL).await;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

struct Reaction {
    delay: Duration,
    answer: Answer,
}
