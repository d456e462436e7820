//! Load: viewers that ask edges at a given rate, as popular as profiles say, over connections that
//! are kept.
//!
//! The rate is kept whatever the answers do: requests are sent when they are due, and what cannot
//! be sent in time is counted as such, so slow answers do not hide themselves.

mod profile;
mod tally;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

pub(crate) use profile::Profile;
pub(crate) use tally::{Source, Tally};

use crate::scene::Scene;

/// Requests that wait for a viewer, before it counts as not sent.
const WAITING_MAX: usize = 256;
/// How long a viewer waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often requests are handed out.
const TICK: Duration = Duration::from_millis(5);

/// What is to be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) profile: Profile,
    /// Requests per second, over all edges.
    pub(crate) rate: f64,
    pub(crate) last: Duration,
    /// Connections to each edge.
    pub(crate) viewers: usize,
    /// Objects there are.
    pub(crate) objects: usize,
    /// Bytes of each.
    pub(crate) bytes: usize,
    pub(crate) seed: u64,
}

impl Load {
    /// Asks, and says what came of it.
    pub(crate) async fn run(self, scene: &Scene, host: &'static str) -> anyhow::Result<Tally> {
        ensure!(self.rate > 0.0 && self.objects > 0, "a load needs a rate and objects");
        let tally = Arc::<Mutex<Tally>>::default();
        let mut viewers = JoinSet::new();
        let mut doors = Vec::new();
        for edge in scene.edges() {
            let (queue, asked) = mpsc::channel(WAITING_MAX);
            let asked = Arc::new(tokio::sync::Mutex::new(asked));
            for _ in 0..self.viewers {
                let viewer = Viewer { door: edge.http, host, tally: Arc::clone(&tally) };
                viewers.spawn(viewer.serve(Arc::clone(&asked)));
            }
            doors.push(queue);
        }
        ensure!(!doors.is_empty(), "nobody serves viewers");
        self.ask(&doors, &tally).await;
        drop(doors);
        while viewers.join_next().await.is_some() {}
        let mut tally = std::mem::take(&mut *lock(&tally));
        tally.seconds = self.last.as_secs_f64();
        Ok(tally)
    }

    /// Hands requests out when they are due.
    async fn ask(self, doors: &[mpsc::Sender<String>], tally: &Mutex<Tally>) {
        let mut popularity = self.profile.begin(self.objects, self.seed);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (began, mut sent) = (Instant::now(), 0.0);
        while began.elapsed() < self.last {
            ticks.tick().await;
            let due = began.elapsed().min(self.last).as_secs_f64() * self.rate;
            while sent + 1.0 <= due {
                let door = &doors[popularity.below(doors.len())];
                let object = popularity.next();
                let target = format!("/load/{object}?bytes={}", self.bytes);
                if door.try_send(target).is_err() {
                    lock(tally).unsent += 1;
                }
                sent += 1.0;
            }
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Viewer {
    door: SocketAddr,
    host: &'static str,
    tally: Arc<Mutex<Tally>>,
}

impl Viewer {
    async fn serve(self, asked: Arc<tokio::sync::Mutex<mpsc::Receiver<String>>>) {
        let mut connection: Option<SendRequest<Empty<Bytes>>> = None;
        loop {
            let target = asked.lock().await.recv().await;
            let Some(target) = target else { return };
            let began = Instant::now();
            let visit = timeout(PATIENCE, self.visit(&mut connection, &target)).await;
            let visit = visit.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time")));
            let failed = visit.is_err();
            lock(&self.tally).note(visit, began.elapsed());
            if failed {
                connection = None;
                sleep(TICK).await;
            }
        }
    }

    /// Where the answer came from, and its bytes.
    async fn visit(
        &self,
        connection: &mut Option<SendRequest<Empty<Bytes>>>,
        target: &str,
    ) -> anyhow::Result<(Source, u64)> {
        if connection.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(self.door).await?;
            stream.set_nodelay(true)?;
            let (sender, driver) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driver);
            *connection = Some(sender);
        }
        let sender = connection.as_mut().context("it was just made")?;
        sender.ready().await?;
        let request = http::Request::get(target).header("host", self.host).body(Empty::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "status {}", status.as_u16());
        let source = Source::of(response.headers());
        let body = response.into_body().collect().await?.to_bytes();
        Ok((source, body.len() as u64))
    }
}
