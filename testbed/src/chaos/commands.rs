//! Purges of every scope, level and effect, and configuration changes, through whichever node; and
//! what was acknowledged, which must survive everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use model::{Effect, Level};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::catalogue::{Page, Scope};
use super::run::Stage;
use crate::control::Control;
use crate::keeper::distribution;

/// Who purges at the same time.
const PURGERS: usize = 3;
/// Pause between one's purges.
const PAUSE: std::ops::Range<u64> = 200..1_200;
/// How often a purge whose outcome is unknown is sent again with its key.
const TRIES: usize = 3;
/// How long each waits.
const PATIENCE_MS: u64 = 15_000;
/// Distributions that are changed, and how often.
const CONFIGURATIONS: usize = 3;
const CHANGE_EVERY: Duration = Duration::from_secs(3);
/// After its acknowledgement a purge may still be seen cutting, since answers are read late.
const TAIL: Duration = Duration::from_secs(1);

/// What the mesh has taken.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    pub(super) sent: u64,
    pub(super) fenced: u64,
    pub(super) unknown: u64,
    pub(super) changes: u64,
    /// Ids of purges, in the order of their acknowledgements.
    pub(super) purges: Vec<String>,
    /// The last value of each distribution.
    pub(super) values: BTreeMap<String, u64>,
}

/// Starts everybody who gives commands.
pub(super) async fn start(stage: &Arc<Stage>, seed: u64) -> anyhow::Result<JoinSet<()>> {
    let mut orders = JoinSet::new();
    for number in 0..PURGERS {
        let control = Control::open(&stage.scene).await?;
        let dice = StdRng::seed_from_u64(seed ^ (number as u64 + 1) << 48);
        orders.spawn(purge_on(Arc::clone(stage), control, dice, number));
    }
    orders.spawn(change_on(Arc::clone(stage), StdRng::seed_from_u64(seed)));
    Ok(orders)
}

/// Waits until the last command has been answered.
pub(super) async fn finish(mut orders: JoinSet<()>) {
    while orders.join_next().await.is_some() {}
}

async fn purge_on(stage: Arc<Stage>, control: Control, mut dice: StdRng, own: usize) {
    for turn in 0_u64.. {
        if stage.commands_end.is_cancelled() {
            return;
        }
        let scope = Scope::draw(&mut dice);
        let level = [Level::Fenced, Level::Fenced, Level::Fenced, Level::Applied, Level::Committed];
        let level = level.choose(&mut dice).copied().unwrap_or(Level::Fenced);
        let effect = if dice.random_bool(0.15) { Effect::Soft } else { Effect::Hard };
        let pages = scope.pages();
        let mut paths: Vec<String> = pages.iter().map(|page| page.path()).collect();
        paths.dedup();
        paths.sort();
        paths.dedup();
        let Ok(versions) = control.raise(paths.clone()).await else { return };
        let version = |page: &Page| {
            let at = paths.binary_search(&page.path()).expect("every page's path was raised");
            (*page, versions[at])
        };
        let cutting = stage.judge().cuts(scope);
        let mut request = scope.request();
        request.effect = effect;
        request.wait = Some(level);
        request.timeout_ms = Some(PATIENCE_MS);
        request.idempotency_key =
            Some(format!("chaos-{own}-{turn}-{:016x}", rand::random::<u64>()));
        stage.acknowledged().sent += 1;
        let level = match stage.is_mutant() {
            true => Some(Level::Fenced),
            false => purge(&stage, &request, &mut dice).await,
        };
        let after = match level {
            Some(Level::Fenced) => {
                stage.acknowledged().fenced += 1;
                // A soft purge protects the origin; what it lets through is for the policy to say.
                if effect == Effect::Hard {
                    stage.judge().promise(pages.iter().map(version));
                }
                TAIL
            }
            Some(Level::Applied | Level::Committed) => stage.scene.lease() * 2,
            None => {
                stage.acknowledged().unknown += 1;
                stage.scene.lease() * 3
            }
        };
        stage.judge().cut(cutting, after);
        sleep(Duration::from_millis(dice.random_range(PAUSE))).await;
    }
}

/// Sends a purge, with its key again if it is unknown what became of it; how far it has come.
async fn purge(
    stage: &Stage,
    request: &admin::view::InvalidationRequest,
    dice: &mut StdRng,
) -> Option<Level> {
    for _ in 0..TRIES {
        let place = stage.scene.nodes.choose(dice)?;
        if let Ok(receipt) = stage.operator.purge(place, request).await {
            stage.acknowledged().purges.push(receipt.id);
            return Some(receipt.level);
        }
        sleep(Duration::from_millis(200)).await;
    }
    None
}

/// A distribution that nobody asks for, with a value that only rises.
fn configuration(stage: &Stage, name: &str, value: u64) -> Value {
    let mut body = distribution(&stage.scene);
    body["name"] = json!(name);
    body["aliases"] = json!([format!("{name}.testbed.example")]);
    body["default_cache_behavior"]["cache_policy"] = json!({ "default_ttl_seconds": value });
    body
}

async fn change_on(stage: Arc<Stage>, mut dice: StdRng) {
    for value in 1_u64.. {
        let name = format!("config-{}", value as usize % CONFIGURATIONS);
        let body = configuration(&stage, &name, value);
        let Some(place) = stage.scene.nodes.choose(&mut dice) else { return };
        let target = format!("/v1/distributions/{name}?wait=committed");
        let patience = Duration::from_secs(10);
        let answer = stage.operator.call(place, Method::PUT, &target, &body, patience).await;
        if answer.is_ok_and(|answer| answer.status.is_success()) {
            let mut acknowledged = stage.acknowledged();
            acknowledged.changes += 1;
            acknowledged.values.insert(name, value);
        }
        if stage.commands_end.run_until_cancelled(sleep(CHANGE_EVERY)).await.is_none() {
            return;
        }
    }
}
