//! Measurements of a mesh that stands, each made from outside: by viewers who ask edges and by an
//! operator who gives commands.

mod failover;
mod propagation;
mod traffic;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shoal::output;
use tokio::time::{Instant, sleep_until};

use crate::control::Control;
use crate::keeper::HOSTS;
use crate::load::{Load, Profile};
use crate::operator::Operator;
use crate::scene::Scene;

pub(crate) use failover::Failover;
pub(crate) use propagation::Propagation;
pub(crate) use traffic::Traffic;

/// How thorough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Purges of each scope, and changes of configuration.
    pub(crate) repeats: usize,
    /// Requests per second of the load.
    pub(crate) rate: f64,
    /// How long the load goes on, and how long traffic is watched.
    pub(crate) load: std::time::Duration,
}

/// Everything about one mesh.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measurements {
    pub(crate) topology: String,
    pub(crate) backend: String,
    pub(crate) nodes: usize,
    pub(crate) processors: usize,
    pub(crate) build: String,
    pub(crate) propagation: Vec<Propagation>,
    pub(crate) failover: Vec<Failover>,
    pub(crate) load: Value,
    pub(crate) origin_requests: u64,
    pub(crate) traffic: Traffic,
}

/// What the instruments need.
pub(crate) struct Bench {
    pub(crate) scene: Scene,
    pub(crate) control: Control,
    pub(crate) operator: Operator,
}

/// Measures everything; takes some minutes.
pub(crate) async fn take(scene: &Scene, effort: Effort) -> anyhow::Result<Measurements> {
    let settled = Instant::now() + scene.lease() * 2;
    let control = Control::open(scene).await?;
    let bench = Bench { scene: scene.clone(), control, operator: Operator::of(scene)? };
    crate::chaos::catalogue::arrange(&bench.control).await?;
    output::note("watching traffic while nobody asks");
    let traffic = traffic::watch(&bench, effort.load).await?;
    // A leader that was just elected fences nothing early: its predecessor may have granted leases.
    sleep_until(settled).await;
    let propagation = propagation::measure(&bench, effort.repeats).await?;
    output::note("load");
    let before: u64 = bench.control.ask(&crate::control::Ask::OriginRequests).await?;
    let load = Load {
        profile: Profile::Zipf,
        rate: effort.rate,
        last: effort.load,
        viewers: 16,
        objects: 2_000,
        bytes: 4_096,
        seed: 7,
    };
    let tally = load.run(scene, HOSTS[0]).await?;
    let after: u64 = bench.control.ask(&crate::control::Ask::OriginRequests).await?;
    let failover = failover::measure(&bench).await?;
    Ok(Measurements {
        topology: scene.topology.clone(),
        backend: scene.backend.to_string(),
        nodes: scene.nodes.len(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        build: if cfg!(debug_assertions) { "debug".into() } else { "release".into() },
        propagation,
        failover,
        load: tally.to_json(),
        origin_requests: after - before,
        traffic,
    })
}
