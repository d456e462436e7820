//! Readers: they ask given nodes for given paths all the time, and write down what they saw.
//!
//! They do not wait for one answer before they ask again, so that a node that was stopped finds
//! many requests when it goes on. Every body is compared with what the origin must have sent for
//! the version it names.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use model::NodeName;
use shoal::local::{Origin, Process};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::stage::{DEADLINE, HOST, eventually};

/// Requests under way from one reader.
const UNDER_WAY_MAX: usize = 32;
/// Sights that are kept, the latest.
const SIGHTS_MAX: usize = 500_000;

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it came, and it is what the origin sent for the version it names.
    Whole,
    /// It was cut, and whoever reads it can tell; what came is a part of the version it names.
    BrokenOff,
    /// There was no head.
    NoAnswer,
    /// It claims to be whole and right, and is not.
    Wrong(String),
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// Before the first byte of the request was written.
    pub(crate) sent: Instant,
    /// After the last byte of the answer was read.
    pub(crate) finished: Instant,
    pub(crate) node: NodeName,
    /// Without query.
    pub(crate) path: String,
    pub(crate) status: Option<StatusCode>,
    /// What the body names, if a line of it came.
    pub(crate) version: Option<u64>,
    pub(crate) bytes: usize,
    pub(crate) end: End,
}

/// Readers at work.
pub(crate) struct Readers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    seen: Arc<Mutex<VecDeque<Sight>>>,
}

impl Readers {
    /// One for each of `nodes` and `targets`, asking `every` so often.
    pub(crate) fn start(nodes: &[&Process], targets: &[&str], every: Duration) -> Readers {
        let (stop, seen) = (CancellationToken::new(), Arc::default());
        let mut tasks = JoinSet::new();
        for node in nodes {
            for target in targets {
                let reader = Reader {
                    node: node.spec.name.clone(),
                    door: node.http,
                    target: (*target).to_owned(),
                    seen: Arc::clone(&seen),
                };
                tasks.spawn(reader.read(every, stop.clone()));
            }
        }
        Readers { tasks, stop, seen }
    }

    /// What was seen so far, in the order in which it ended.
    pub(crate) fn sights(&self) -> Vec<Sight> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until `node` has given so many more whole answers to requests sent from now on.
    pub(crate) async fn answered(&self, node: &NodeName, more: usize) -> Result<()> {
        let since = Instant::now();
        eventually("readers are answered", async || {
            let whole = |sight: &&Sight| {
                sight.node == *node && sight.sent >= since && sight.end == End::Whole
            };
            let answered = self.sights().iter().filter(whole).count();
            anyhow::ensure!(answered >= more, "{answered} answers of {node}");
            Ok(())
        })
        .await
    }

    /// They ask no more; returns when what they asked has ended.
    pub(crate) async fn end(mut self) -> Vec<Sight> {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.sights()
    }
}

struct Reader {
    node: NodeName,
    door: SocketAddr,
    target: String,
    seen: Arc<Mutex<VecDeque<Sight>>>,
}

impl Reader {
    async fn read(self, every: Duration, stop: CancellationToken) {
        let (node, door, target) = (self.node, self.door, self.target);
        let places = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        let mut visits = JoinSet::new();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            while visits.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (node, target, seen) = (node.clone(), target.clone(), Arc::clone(&self.seen));
            visits.spawn(async move {
                let sight = look(&node, door, &target).await;
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() >= SIGHTS_MAX {
                    seen.pop_front();
                }
                seen.push_back(sight);
                drop(place);
            });
        }
        while visits.join_next().await.is_some() {}
    }
}

/// What has come of an answer.
#[derive(Default)]
struct Came {
    sent: Option<Instant>,
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// One request of `target` at `door`, and what becomes of it.
pub(crate) async fn look(node: &NodeName, door: SocketAddr, target: &str) -> Sight {
    let began = Instant::now();
    let mut came = Came::default();
    let ended = matches!(timeout(DEADLINE, exchange(door, target, &mut came)).await, Ok(Ok(())));
    let finished = Instant::now();
    let path = target.split('?').next().unwrap_or(target).to_owned();
    let named = Origin::read(&came.body);
    let version = named.map(|(_, version)| version);
    let end = match came.status {
        None => End::NoAnswer,
        Some(status) if !status.is_success() => match ended {
            true => End::Whole,
            false => End::BrokenOff,
        },
        Some(_) => match (fault(&path, &came, ended), ended) {
            (Some(fault), _) => End::Wrong(fault),
            (None, true) => End::Whole,
            (None, false) => End::BrokenOff,
        },
    };
    let sent = came.sent.unwrap_or(began);
    let (node, status, bytes) = (node.clone(), came.status, came.body.len());
    Sight { sent, finished, node, path, status, version, bytes, end }
}

async fn exchange(door: SocketAddr, target: &str, came: &mut Came) -> Result<()> {
    let stream = TcpStream::connect(door).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = http::Request::get(target).header(header::HOST, HOST);
    let request = request.header(header::CONNECTION, "close").body(Empty::<Bytes>::new())?;
    came.sent = Some(Instant::now());
    let (head, mut body) = sender.send_request(request).await?.into_parts();
    (came.status, came.headers) = (Some(head.status), head.headers);
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            came.body.extend_from_slice(bytes);
        }
    }
    Ok(())
}

/// What is wrong with a successful answer, if anything is.
fn fault(path: &str, came: &Came, ended: bool) -> Option<String> {
    let Came { body, headers, .. } = came;
    let Some((named, version)) = Origin::read(body) else {
        return ended.then(|| format!("{} bytes that name no version", body.len()));
    };
    if named != path {
        return Some(format!("the content of {named}"));
    }
    let expected = Origin::body(path, version, body.len());
    if let Some(at) = body.iter().zip(&expected).position(|(came, sent)| came != sent) {
        return Some(format!("not all of it is version {version}: byte {at} of {}", body.len()));
    }
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    let (tagged, bytes) = tag.trim_start_matches("W/").trim_matches('"').split_once('-')?;
    if tagged != version.to_string() {
        return Some(format!("version {version} under the tag {tag}"));
    }
    let short = ended && bytes != body.len().to_string();
    short.then(|| format!("{} of {bytes} bytes, as if they were all", body.len()))
}
