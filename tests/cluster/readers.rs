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
use model::NodeName;
use shoal::local::{End, Process, Sight};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cluster::stage::{DEADLINE, HOST, eventually};

/// Requests under way from one reader.
const UNDER_WAY_MAX: usize = 32;
/// Sights that are kept, the latest.
const SIGHTS_MAX: usize = 500_000;

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

/// One request of `target` at `door`, and what becomes of it.
pub(crate) async fn look(node: &NodeName, door: SocketAddr, target: &str) -> Sight {
    shoal::local::look(node, door, HOST, target, DEADLINE).await
}
