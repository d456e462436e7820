//! What viewers notice when somebody dies: errors at edges that live, and how long the mesh takes
//! to be as quick as before. The victim is killed while every living edge is asked all the time for
//! objects that nobody has, so that each request goes through the tiers above.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Level;
use serde::{Deserialize, Serialize};
use shoal::client::{self, Call};
use shoal::output;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Bench;
use crate::chaos::catalogue::Scope;
use crate::fault::Fault;
use crate::keeper::HOSTS;
use crate::operator;
use crate::scene::Place;

/// Viewers before the death, and after it.
const BEFORE: Duration = Duration::from_secs(4);
const AFTER: Duration = Duration::from_secs(8);
/// Viewers at each edge, and their pause.
const VIEWERS: usize = 3;
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);
/// An answer is slow that takes this many times what answers took before, and longer than this.
const SLOW_TIMES: f64 = 3.0;
const SLOW: Duration = Duration::from_millis(250);

/// One death.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failover {
    /// What died: an edge, a regional, …
    pub(crate) what: String,
    pub(crate) whom: String,
    /// Requests to living edges after the death, and those that failed.
    pub(crate) requests: usize,
    pub(crate) errors: usize,
    /// The last request that was slow was sent so long after the death.
    pub(crate) slow_until_ms: f64,
    pub(crate) slowest_ms: f64,
    /// From the death until a purge that was sent at once was in the log.
    pub(crate) purge_committed_ms: Option<f64>,
}

#[derive(Clone, Copy)]
struct Visit {
    sent: Instant,
    took: Duration,
    failed: bool,
}

/// Kills one of each kind, one after the other.
pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Failover>> {
    let mut all = Vec::new();
    for (what, whom) in victims(bench) {
        output::note(format!("the death of {what}: {whom}"));
        all.push(death(bench, what, &whom).await?);
    }
    Ok(all)
}

fn victims(bench: &Bench) -> Vec<(&'static str, String)> {
    let last = |fits: &dyn Fn(&Place) -> bool| {
        let found = bench.scene.nodes.iter().rev().find(|place| fits(place));
        found.map(|place| place.name.to_string())
    };
    let regional = last(&|place| place.tiers == "regional");
    let shield = last(&|place| place.tiers.contains("shield") && !place.is_edge());
    let region = bench.scene.nodes.last().map(|place| format!("region:{}", place.region));
    let regions: std::collections::BTreeSet<&str> =
        bench.scene.nodes.iter().map(|place| &*place.region).collect();
    let several = bench.scene.edges().count() > 1;
    [
        ("an edge", last(&Place::is_edge).filter(|_| several)),
        ("a regional", regional),
        ("a shield", shield),
        ("the leader", Some("leader".to_owned()).filter(|_| bench.scene.nodes.len() > 2)),
        ("a region", region.filter(|_| regions.len() > 1)),
    ]
    .into_iter()
    .filter_map(|(what, whom)| Some((what, whom?)))
    .collect()
}

async fn death(bench: &Bench, what: &str, whom: &str) -> anyhow::Result<Failover> {
    let visits = Arc::<Mutex<BTreeMap<String, Vec<Visit>>>>::default();
    let stop = CancellationToken::new();
    let mut viewers = JoinSet::new();
    for (number, edge) in bench.scene.edges().flat_map(|edge| [edge; VIEWERS]).enumerate() {
        let (edge, visits, stop) = (edge.clone(), Arc::clone(&visits), stop.clone());
        let story = format!("{}-{number}", what.replace(' ', "-"));
        viewers.spawn(async move { view(edge, &story, &visits, &stop).await });
    }
    sleep(BEFORE).await;
    let died = Instant::now();
    let id = bench.control.inflict(Fault::Kill, vec![whom.to_owned()], None).await?;
    let roll: crate::control::Roll = bench.control.ask(&crate::control::Ask::Roll).await?;
    let dead: Vec<String> = roll
        .faults
        .iter()
        .filter(|active| active.id == id)
        .flat_map(|active| active.whom.iter().map(ToString::to_string))
        .collect();
    let purge_committed_ms = commit(bench, &dead, died).await;
    let rest = AFTER.saturating_sub(died.elapsed());
    sleep(rest).await;
    stop.cancel();
    while viewers.join_next().await.is_some() {}
    bench.control.heal(Some(id)).await?;
    for place in &bench.scene.nodes {
        while !operator::is_ready(place).await {
            sleep(PAUSE).await;
        }
    }
    // The group may have taken in another voter meanwhile; the next death is to meet a calm mesh.
    sleep(AFTER).await;
    let visits = visits.lock().unwrap_or_else(PoisonError::into_inner);
    let living = visits.iter().filter(|(edge, _)| !dead.contains(edge));
    let living: Vec<Visit> = living.flat_map(|(_, visits)| visits.iter().copied()).collect();
    let (what, whom) = (what.to_owned(), dead.join(" "));
    Ok(judge(what, whom, &living, died, purge_committed_ms))
}

fn judge(
    what: String,
    whom: String,
    living: &[Visit],
    died: Instant,
    purge_committed_ms: Option<f64>,
) -> Failover {
    let (after, before): (Vec<Visit>, Vec<Visit>) =
        living.iter().partition(|visit| visit.sent + visit.took > died);
    let mut usual: Vec<Duration> = before.iter().map(|visit| visit.took).collect();
    usual.sort_unstable();
    let usual = usual.get(usual.len() * 9 / 10).copied().unwrap_or_default();
    let slow = usual.mul_f64(SLOW_TIMES).max(SLOW);
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let last_slow = after.iter().filter(|visit| visit.took > slow || visit.failed);
    let last_slow = last_slow.map(|visit| visit.sent.saturating_duration_since(died)).max();
    Failover {
        what,
        whom,
        requests: after.len(),
        errors: after.iter().filter(|visit| visit.failed).count(),
        slow_until_ms: last_slow.map_or(0.0, ms),
        slowest_ms: after.iter().map(|visit| ms(visit.took)).fold(0.0, f64::max),
        purge_committed_ms,
    }
}

/// A purge through a living node, sent again until it is in the log.
async fn commit(bench: &Bench, dead: &[String], died: Instant) -> Option<f64> {
    let living =
        bench.scene.nodes.iter().rev().find(|place| !dead.contains(&place.name.to_string()))?;
    let mut request = Scope::All.request();
    request.paths = vec!["/nothing".into()];
    request.all = false;
    request.wait = Some(Level::Committed);
    request.timeout_ms = Some(10_000);
    request.idempotency_key = Some(format!("death-{:016x}", rand::random::<u64>()));
    while died.elapsed() < PATIENCE {
        if bench.operator.purge(living, &request).await.is_ok() {
            return Some(died.elapsed().as_secs_f64() * 1_000.0);
        }
        sleep(PAUSE).await;
    }
    None
}

async fn view(
    edge: Place,
    story: &str,
    visits: &Mutex<BTreeMap<String, Vec<Visit>>>,
    stop: &CancellationToken,
) {
    for turn in 0_u64.. {
        if stop.is_cancelled() {
            return;
        }
        let sent = Instant::now();
        let target = format!("/death/{story}/{turn}");
        let answer = client::send(edge.http, Call::get(HOSTS[0], &target), PATIENCE).await;
        let failed = !answer.is_ok_and(|answer| answer.status.is_success());
        let visit = Visit { sent, took: sent.elapsed(), failed };
        let name = edge.name.to_string();
        visits.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().push(visit);
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_slow_request_tells_how_long_it_was_felt() {
        let died = Instant::now();
        let ms = Duration::from_millis;
        let visit = |sent, took, failed| Visit { sent, took, failed };
        let early = died.checked_sub(ms(500)).unwrap();
        let living = [
            visit(early, ms(10), false),
            visit(died + ms(100), ms(900), false),
            visit(died + ms(300), ms(20), true),
            visit(died + ms(700), ms(20), false),
        ];
        let found = judge("an edge".into(), "a".into(), &living, died, None);
        assert_eq!((found.requests, found.errors), (3, 1));
        assert!((found.slow_until_ms - 300.0).abs() < 1e-6 && found.slowest_ms > 899.0);
    }
}
