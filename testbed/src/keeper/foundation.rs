//! Setting a scene up: certificates, links, origins, nodes, and a distribution that everybody
//! serves.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use admin::view::{NodeRole, NodeStatus};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use shoal::local::{Matrix, Origin, Wires};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::{Emulator, Keeper, Orders};
use crate::crew::{self, Crew};
use crate::engine::Engine;
use crate::operator::Operator;
use crate::plug::Plug;
use crate::scene::{Backend, Scene};
use crate::tool;
use crate::topology::Topology;
use crate::tunnel::Tunnels;

/// The distribution that everything is served from.
pub(crate) const DISTRIBUTION: &str = "testbed";
/// The hosts it answers to.
pub(crate) const HOSTS: [&str; 2] = ["one.testbed.example", "two.testbed.example"];
/// How long the first distribution may take to reach everybody, in tries.
const PUBLISH_TRIES: usize = 10;
/// How long it may take until as many nodes vote as shall.
const ELECTED: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sets everything up.
pub(super) async fn lay(orders: &Orders<'_>, say: &dyn Fn(&str)) -> anyhow::Result<Keeper> {
    let topology = Topology::load(orders.topology)?;
    let scene = Scene::plan(&topology, orders.backend, orders.state);
    if scene.is_tunnelled() {
        ensure!(tool::is_root(), "this backend needs root; `--backend process` does not");
        ensure!(Path::new("/dev/net/tun").exists(), "there is no /dev/net/tun on this machine");
    }
    scene.save()?;
    say("making certificates");
    credentials(&scene, orders.program).await?;
    let usual = Matrix { ways: topology.ways(), ..Matrix::default() };
    let matrix = Arc::new(RwLock::new(usual.clone()));
    let engine = match scene.backend {
        Backend::Docker => {
            say("building the image");
            Engine::build(&scene, orders.program).await?;
            Some(Engine::find().await?)
        }
        Backend::Process | Backend::Netns => None,
    };
    say("laying links");
    let (emulator, plug) = links(&scene, &matrix).await?;
    let mut origins = BTreeMap::new();
    for place in &scene.origins {
        let origin = Origin::start_at(place.address).await;
        let origin = origin.with_context(|| format!("{} at {}", place.name, place.address))?;
        origins.insert(place.name.clone(), origin);
    }
    let crew = Crew::new(&scene, &topology.mesh, orders.program, engine, plug);
    let keeper = Keeper {
        operator: Operator::of(&scene)?,
        usual,
        matrix,
        emulator,
        origins,
        crew: tokio::sync::Mutex::new(crew),
        active: Mutex::default(),
        next_id: AtomicU64::new(1),
        done: Notify::new(),
        scene,
    };
    keeper.raise_nodes(say).await?;
    say("waiting for voters");
    keeper.elect().await?;
    say("publishing a distribution");
    keeper.publish().await?;
    Ok(keeper)
}

impl Keeper {
    async fn raise_nodes(&self, say: &dyn Fn(&str)) -> anyhow::Result<()> {
        let nodes = &self.scene.nodes;
        let mut crew = self.crew.lock().await;
        crew.prepare().await?;
        for (index, place) in nodes.iter().enumerate() {
            say(&format!("starting {} ({} of {})", place.name, index + 1, nodes.len()));
            crew.start(&place.name).await?;
            if index == 0 {
                crew::ready(&self.scene, place).await?;
            }
        }
        drop(crew);
        for (index, place) in nodes.iter().enumerate() {
            say(&format!("waiting for {} ({} of {})", place.name, index + 1, nodes.len()));
            crew::ready(&self.scene, place).await?;
        }
        Ok(())
    }

    /// Waits until as many nodes vote as shall, and everybody sees everybody.
    async fn elect(&self) -> anyhow::Result<()> {
        let can_vote = self.scene.nodes.iter().filter(|place| place.tiers != "edge").count();
        let wanted = match can_vote {
            0..3 => 1,
            3..7 => 3,
            _ => 5,
        };
        let began = Instant::now();
        for place in &self.scene.nodes {
            loop {
                let status = self.operator.status(place).await;
                let settled = status.as_ref().is_ok_and(|status| {
                    let votes = |node: &&NodeStatus| node.role != NodeRole::Follower;
                    status.nodes.iter().filter(|node| node.alive).count() == self.scene.nodes.len()
                        && status.nodes.iter().filter(votes).count() >= wanted
                        && status.leader.is_some()
                });
                if settled {
                    break;
                }
                let after = began.elapsed();
                let name = &place.name;
                ensure!(after < ELECTED, "{name} does not see {wanted} voters: {status:?}");
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    async fn publish(&self) -> anyhow::Result<()> {
        let place = self.scene.nodes.last().context("a scene without nodes")?;
        let body = distribution(&self.scene);
        let mut tries = 0;
        loop {
            match self.operator.publish(place, DISTRIBUTION, &body).await {
                Ok(()) => return Ok(()),
                Err(error) if tries >= PUBLISH_TRIES => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }
}

/// Everything of both hosts, from the first origin.
pub(crate) fn distribution(scene: &Scene) -> Value {
    let origins: Vec<Value> = scene
        .origins
        .iter()
        .map(|origin| {
            let (address, port) = (origin.address.ip().to_string(), origin.address.port());
            json!({ "id": origin.name, "domain_name": address, "http_port": port })
        })
        .collect();
    json!({
        "name": DISTRIBUTION,
        "aliases": HOSTS,
        "origins": origins,
        "default_cache_behavior": { "target_origin_id": scene.origins.first().map(|o| &o.name) },
    })
}

/// The mesh's authority, a certificate for each node, and the operators' token.
async fn credentials(scene: &Scene, program: &Path) -> anyhow::Result<()> {
    let (program, tls) = (program.display().to_string(), scene.state.join("tls"));
    let tls = tls.display().to_string();
    tool::run(&program, &["ca", "init", &tls, "--mesh", "testbed"]).await?;
    for place in &scene.nodes {
        let issue = ["ca", "issue", place.name.as_str(), "--region", &place.region];
        let more = ["--tiers", &place.tiers, "--dir", &tls];
        let words: Vec<&str> = issue.into_iter().chain(more).collect();
        tool::run(&program, &words).await?;
    }
    let token: u128 = rand::random();
    let mut options = std::fs::File::options();
    let mut file = options.write(true).create(true).mode(0o600).open(scene.token_file())?;
    writeln!(file, "{token:032x}")?;
    Ok(())
}

async fn links(
    scene: &Scene,
    matrix: &Arc<RwLock<Matrix>>,
) -> anyhow::Result<(Emulator, Option<Plug>)> {
    if !scene.is_tunnelled() {
        let wires = Wires::over(Arc::clone(matrix));
        for place in &scene.nodes {
            let fronted = wires.front(&place.name, place.listen, place.mesh);
            fronted.with_context(|| format!("{}: is another testbed up?", place.mesh))?;
        }
        return Ok((Emulator::Wires(wires), None));
    }
    let tunnels = Tunnels::over(Arc::clone(matrix));
    let plug = Plug::new(scene, tunnels.clone());
    plug.connect_outside().await?;
    match scene.backend {
        Backend::Netns => plug.connect_namespaces().await?,
        Backend::Docker | Backend::Process => {}
    }
    Ok((Emulator::Tunnels(tunnels), Some(plug)))
}
