//! Purge propagation, as the public measurements of CDNs do it: every edge is polled by a viewer,
//! the origin changes, a purge is sent, and the time is taken until each edge has given the new
//! answer. Polls are sent at a fixed pace and do not wait for each other; what counts is when the
//! first request was *sent* that got the new answer, so the way to the origin is not in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use model::{Level, NodeName};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shoal::client::{self, Call};
use shoal::local::look;
use shoal::output;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::Bench;
use crate::chaos::catalogue::{KINDS, Page, Scope};
use crate::keeper::distribution;

/// Between two polls of one edge.
const POLL_EVERY: Duration = Duration::from_millis(8);
/// Polls of one edge that are under way.
const POLLS_MAX: usize = 48;
const PATIENCE: Duration = Duration::from_secs(20);

/// How fast one kind of command takes effect, in milliseconds; sorted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Propagation {
    /// A scope of purges, or `configuration`.
    pub(crate) kind: String,
    /// Until the last edge had the new answer, for each repetition.
    pub(crate) everywhere_ms: Vec<f64>,
    /// Until each edge had.
    pub(crate) each_edge_ms: Vec<f64>,
    /// Until the acknowledgement came, `fenced` for purges.
    pub(crate) acknowledged_ms: Vec<f64>,
}

/// Measures every scope and configuration.
pub(super) async fn measure(bench: &Bench, repeats: usize) -> anyhow::Result<Vec<Propagation>> {
    let mut dice = StdRng::seed_from_u64(7);
    let mut all = Vec::new();
    for kind in KINDS {
        let mut found = Propagation::of(kind);
        for turn in 0..repeats {
            if output::has_audience() {
                output::progress(format!("purges of scope {kind}: {} of {repeats}", turn + 1));
            }
            purge(bench, kind, &mut dice, &mut found).await.with_context(|| kind.to_owned())?;
        }
        all.push(found.sorted());
    }
    let mut found = Propagation::of("configuration");
    for turn in 0..repeats {
        configure(bench, turn, &mut dice, &mut found).await.context("configuration")?;
    }
    all.push(found.sorted());
    Ok(all)
}

impl Propagation {
    fn of(kind: &str) -> Propagation {
        let (everywhere_ms, each_edge_ms, acknowledged_ms) = (vec![], vec![], vec![]);
        Propagation { kind: kind.to_owned(), everywhere_ms, each_edge_ms, acknowledged_ms }
    }

    fn note(&mut self, edges: &[Duration], acknowledged: Duration) {
        let ms = |time: &Duration| time.as_secs_f64() * 1_000.0;
        self.each_edge_ms.extend(edges.iter().map(ms));
        self.everywhere_ms.extend(edges.iter().max().map(ms));
        self.acknowledged_ms.push(ms(&acknowledged));
    }

    fn sorted(mut self) -> Propagation {
        for times in [&mut self.everywhere_ms, &mut self.each_edge_ms, &mut self.acknowledged_ms] {
            times.sort_by(f64::total_cmp);
        }
        self
    }
}

async fn purge(
    bench: &Bench,
    kind: &str,
    dice: &mut StdRng,
    found: &mut Propagation,
) -> anyhow::Result<()> {
    let scope = Scope::of_kind(kind, dice);
    let pages = scope.pages();
    let page = *pages.choose(dice).context("a scope that covers nothing")?;
    for edge in bench.scene.edges() {
        look(&edge.name, edge.http, page.host(), &page.path(), PATIENCE).await;
    }
    let version = bench.control.raise(vec![page.path()]).await?;
    let version = version.first().copied().context("no version")?;
    let began = Instant::now();
    let mut polls = JoinSet::new();
    for edge in bench.scene.edges() {
        polls.spawn(first_new(edge.name.clone(), edge.http, page, version, began));
    }
    let mut request = scope.request();
    request.wait = Some(Level::Fenced);
    let through = bench.scene.nodes.choose(dice).context("no nodes")?;
    let receipt = bench.operator.purge(through, &request).await?;
    let acknowledged = began.elapsed();
    ensure!(receipt.level == Level::Fenced, "only {}: {:?}", receipt.level, receipt.pending);
    let mut edges = Vec::new();
    while let Some(first) = polls.join_next().await {
        edges.push(first??);
    }
    found.note(&edges, acknowledged);
    Ok(())
}

/// When the first request was sent that got `version` or a later one, after `began`.
async fn first_new(
    name: NodeName,
    door: SocketAddr,
    page: Page,
    version: u64,
    began: Instant,
) -> anyhow::Result<Duration> {
    let places = Arc::new(Semaphore::new(POLLS_MAX));
    let done = CancellationToken::new();
    let mut polls = JoinSet::new();
    let mut ticks = interval(POLL_EVERY);
    while began.elapsed() < PATIENCE && !done.is_cancelled() {
        ticks.tick().await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (name, done) = (name.clone(), done.clone());
        polls.spawn(async move {
            let sight = look(&name, door, page.host(), &page.path(), PATIENCE).await;
            drop(place);
            let is_new = sight.version.is_some_and(|seen| seen >= version);
            is_new.then(|| {
                done.cancel();
                sight.sent - began
            })
        });
    }
    let mut first: Option<Duration> = None;
    while let Some(poll) = polls.join_next().await {
        let sent = poll?;
        first = [first, sent].into_iter().flatten().min();
    }
    first.with_context(|| format!("{name} has no new answer"))
}

/// A new distribution answers at every edge: before, its host is refused with 421.
async fn configure(
    bench: &Bench,
    turn: usize,
    dice: &mut StdRng,
    found: &mut Propagation,
) -> anyhow::Result<()> {
    let name = format!("measured-{turn}");
    let host = format!("{name}.testbed.example");
    let mut body = distribution(&bench.scene);
    body["name"] = json!(name);
    body["aliases"] = json!([host]);
    let began = Instant::now();
    let mut polls = JoinSet::new();
    for edge in bench.scene.edges() {
        polls.spawn(first_served(edge.http, host.clone(), began));
    }
    let through = bench.scene.nodes.choose(dice).context("no nodes")?;
    bench.operator.publish(through, &name, &body).await?;
    let acknowledged = began.elapsed();
    let mut edges = Vec::new();
    while let Some(first) = polls.join_next().await {
        edges.push(first??);
    }
    found.note(&edges, acknowledged);
    Ok(())
}

async fn first_served(door: SocketAddr, host: String, began: Instant) -> anyhow::Result<Duration> {
    let mut ticks = interval(POLL_EVERY);
    while began.elapsed() < PATIENCE {
        ticks.tick().await;
        let sent = began.elapsed();
        let call = Call::get(&host, "/configuration");
        let answer = client::send(door, call, PATIENCE).await;
        if answer.is_ok_and(|answer| answer.status.is_success()) {
            return Ok(sent);
        }
    }
    anyhow::bail!("{door} does not serve {host}")
}
