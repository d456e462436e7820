//! Viewers at work while things die: at every edge, for warm and cold objects, some of them large
//! and slow, so that at any moment bodies are on their way through every tier.
//!
//! Every body is compared byte for byte with what the origin must have sent. The origin does not
//! change while viewers are at work.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use shoal::local::Origin;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::stage::{self, PATIENCE, eventually};

const MEBIBYTE: usize = 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(20);

/// What the viewers saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) failures: Vec<String>,
    slowest: Duration,
    slowest_path: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { requests, failures, slowest, slowest_path } = self;
        let (failures, slowest) = (failures.len(), slowest.as_millis());
        write!(f, "{requests} requests, {failures} failures, slowest {slowest} ms {slowest_path}")
    }
}

impl Seen {
    fn note(&mut self, target: String, took: Duration, failure: Option<String>) {
        self.requests += 1;
        self.failures.extend(failure);
        if took > self.slowest {
            (self.slowest, self.slowest_path) = (took, target);
        }
    }
}

/// Viewers at work.
pub(crate) struct Viewers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    seen: Arc<Mutex<Seen>>,
}

/// What a viewer does, over and over.
#[derive(Clone, Copy)]
enum Habit {
    /// Small objects, most of them warm.
    Browses,
    /// Cold objects of 1 MiB that take the origin half a second.
    Downloads,
}

impl Viewers {
    /// Two at each door, with objects of their own beside those that all share.
    pub(crate) fn start(doors: &[SocketAddr], chapter: &str, version: u64) -> Viewers {
        let (stop, seen) = (CancellationToken::new(), Arc::<Mutex<Seen>>::default());
        let mut tasks = JoinSet::new();
        for (number, door) in doors.iter().copied().enumerate() {
            for habit in [Habit::Browses, Habit::Downloads] {
                let own = format!("{chapter}/{number}");
                let visits = visits(door, habit, own, version, seen.clone());
                let stop = stop.clone();
                tasks.spawn(async move {
                    stop.run_until_cancelled(visits).await;
                });
            }
        }
        Viewers { tasks, stop, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn answered(&self, more: u64) -> Result<()> {
        let before = self.seen().requests;
        eventually("viewers are answered", async || {
            let answered = self.seen().requests - before;
            ensure!(answered >= more, "{answered} requests");
            Ok(())
        })
        .await
    }

    /// Sends them home.
    pub(crate) async fn end(mut self) -> Seen {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.seen()
    }
}

async fn visits(door: SocketAddr, habit: Habit, own: String, version: u64, seen: Arc<Mutex<Seen>>) {
    for turn in 0_u64.. {
        let (path, bytes, query) = match (habit, turn % 6) {
            (Habit::Browses, 0) => (format!("/browse/{own}/{turn}"), 20_000, ""),
            (Habit::Browses, 1) => ("/warm/large".to_owned(), MEBIBYTE, ""),
            (Habit::Browses, other) => (format!("/warm/{other}"), 1_000 * other as usize, ""),
            (Habit::Downloads, _) => (format!("/load/{own}/{turn}"), MEBIBYTE, "&pause-ms=8"),
        };
        let target = format!("{path}?bytes={bytes}{query}");
        let began = Instant::now();
        let visit = tokio::time::timeout(PATIENCE, stage::get(door, &target)).await;
        let took = began.elapsed();
        let failure = match visit {
            Err(_) => Some("no end".to_owned()),
            Ok(Err(error)) => Some(format!("{error:#}")),
            Ok(Ok(answer)) if !answer.status.is_success() => Some(answer.status.to_string()),
            Ok(Ok(answer)) => {
                let expected = Origin::body(&path, version, bytes);
                (answer.body != expected).then(|| format!("a body of {}", answer.body.len()))
            }
        };
        let ms = took.as_millis();
        let failure = failure.map(|what| format!("{target} at {door} after {ms} ms: {what}"));
        seen.lock().unwrap_or_else(PoisonError::into_inner).note(target, took, failure);
        tokio::time::sleep(PAUSE).await;
    }
}
