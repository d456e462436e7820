//! The keeper: the process behind a testbed that stands. It has the origins, the link emulator and
//! the node processes, listens for commands in the state directory, and takes everything away when
//! it is told to end.

mod foundation;
mod harm;
mod gauge;

pub(crate) use foundation::{DISTRIBUTION, HOSTS, distribution};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use model::NodeName;
use serde::Serialize;
use serde_json::Value;
use shoal::local::{Manner, Matrix, Origin, Wires};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::control::{Active, Answer, Ask, LINE_BYTES_MAX, Roll};
use crate::crew::Crew;
use crate::operator::Operator;
use crate::plug;
use crate::scene::Scene;
use crate::tunnel::Tunnels;

/// What was asked of it to set up.
pub(crate) struct Orders<'a> {
    pub(crate) topology: &'a Path,
    pub(crate) backend: crate::scene::Backend,
    pub(crate) program: &'a Path,
    pub(crate) state: &'a Path,
}

/// What carries packets between members.
enum Emulator {
    Wires(Wires),
    Tunnels(Tunnels),
}

/// A testbed that stands.
pub(crate) struct Keeper {
    scene: Scene,
    /// How links are without faults.
    usual: Matrix,
    matrix: Arc<RwLock<Matrix>>,
    emulator: Emulator,
    origins: BTreeMap<NodeName, Origin>,
    operator: Operator,
    crew: tokio::sync::Mutex<Crew>,
    active: Mutex<BTreeMap<u64, Active>>,
    next_id: AtomicU64,
    done: Notify,
}

/// Sets up, says so in the state directory, and keeps it up until it is told to end.
pub(crate) async fn run(orders: Orders<'_>) -> anyhow::Result<()> {
    let state = orders.state.to_owned();
    let progress = |text: &str| drop(std::fs::write(state.join("progress"), text));
    let keeper = match foundation::lay(&orders, &progress).await {
        Ok(keeper) => Arc::new(keeper),
        Err(error) => {
            if let Ok(scene) = Scene::load(&state) {
                drop(plug::sweep(&scene).await);
            }
            progress(&format!("error: {error:#}"));
            return Err(error);
        }
    };
    let listener = UnixListener::bind(keeper.scene.state.join("control"))?;
    progress("ready");
    let mut stop = std::pin::pin!(shoal::signals::stop()?);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = keeper.done.notified() => break,
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(Arc::clone(&keeper).attend(stream));
            }
        }
    }
    keeper.crew.lock().await.dismiss().await?;
    plug::sweep(&keeper.scene).await
}

impl Keeper {
    /// One command after the other, until its sender leaves.
    async fn attend(self: Arc<Self>, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        loop {
            let mut line = String::new();
            let length = (&mut read).take(LINE_BYTES_MAX).read_line(&mut line).await;
            if !matches!(length, Ok(length) if length > 0) {
                return;
            }
            let answer = match self.answer(&line).await {
                Ok(value) => Answer::Well(value),
                Err(error) => Answer::Refused(format!("{error:#}")),
            };
            let mut answer = serde_json::to_vec(&answer).unwrap_or_default();
            answer.push(b'\n');
            if write.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    async fn answer(self: &Arc<Self>, line: &str) -> anyhow::Result<Value> {
        match serde_json::from_str(line).context("this is no command")? {
            Ask::Roll => value(self.roll().await),
            Ask::Inflict { fault, whom, last_ms } => {
                let whom = self.choose(&fault, &whom).await?;
                let last = last_ms.map(Duration::from_millis);
                value(self.inflict(fault, whom, last).await?)
            }
            Ask::Heal { id } => value(self.heal(id).await?),
            Ask::Raise { paths } => value(self.raise(&paths)?),
            Ask::Tag { path, keys, bytes } => {
                for origin in self.origins.values() {
                    let surrogate_keys = keys.clone();
                    let manner = Manner { surrogate_keys, bytes: Some(bytes), ..Manner::default() };
                    origin.behave(&path, manner);
                }
                Ok(Value::Null)
            }
            Ask::OriginRequests => {
                value(self.origins.values().map(Origin::all_requests).sum::<u64>())
            }
            Ask::Resources => value(self.usage().await),
            Ask::Traffic => value(match &self.emulator {
                Emulator::Wires(wires) => wires.carried_bytes(),
                Emulator::Tunnels(tunnels) => tunnels.carried_bytes(),
            }),
            Ask::Down => {
                self.done.notify_one();
                Ok(Value::Null)
            }
        }
    }

    async fn roll(&self) -> Roll {
        let mut crew = self.crew.lock().await;
        let names = self.scene.nodes.iter().map(|place| place.name.clone());
        let conditions = names.map(|name| (name.clone(), crew.condition(&name))).collect();
        Roll { conditions, faults: self.active().values().cloned().collect() }
    }

    fn active(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// All origins have the same content at the same time, so a version means one thing.
    fn raise(&self, paths: &[String]) -> anyhow::Result<Vec<u64>> {
        let mut versions = Vec::new();
        for path in paths {
            let raised: Vec<u64> = self.origins.values().map(|origin| origin.raise(path)).collect();
            ensure!(raised.windows(2).all(|pair| pair[0] == pair[1]), "the origins differ");
            versions.push(raised.first().copied().unwrap_or(0));
        }
        Ok(versions)
    }

    /// Which members the words name: names, `region:eu`, `tier:shield`, `leader`, `all`.
    async fn choose(
        &self,
        fault: &crate::fault::Fault,
        words: &[String],
    ) -> anyhow::Result<Vec<NodeName>> {
        let mut chosen = Vec::new();
        for word in words {
            let nodes = self.scene.nodes.iter();
            let found: Vec<NodeName> = match word.split_once(':') {
                Some(("region", region)) => {
                    let nodes = nodes.filter(|place| place.region == region);
                    let nodes = nodes.map(|place| place.name.clone());
                    let origins = self.scene.origins.iter();
                    let origins = origins
                        .filter(|origin| origin.region == region && fault.word() == "partition");
                    nodes.chain(origins.map(|origin| origin.name.clone())).collect()
                }
                Some(("tier", tier)) => nodes
                    .filter(|place| place.tiers.split(',').any(|own| own == tier))
                    .map(|place| place.name.clone())
                    .collect(),
                Some(_) => bail!("{word:?}: expected a name, region:NAME, tier:NAME, leader, all"),
                None if word == "all" => nodes.map(|place| place.name.clone()).collect(),
                None if word == "leader" => vec![self.leader().await?],
                None => vec![word.parse()?],
            };
            ensure!(!found.is_empty(), "{word:?} is nobody here");
            chosen.extend(found);
        }
        for name in &chosen {
            let node = self.scene.nodes.iter().any(|place| place.name == *name);
            let origin = self.origins.contains_key(name);
            ensure!(node || origin, "nobody is called {name}");
        }
        if chosen.is_empty() && fault.word().starts_with("origin-") {
            chosen.extend(self.origins.keys().next().cloned());
        }
        ensure!(
            !chosen.is_empty(),
            "name at least one node, or region:NAME, tier:NAME, leader, all"
        );
        chosen.sort();
        chosen.dedup();
        Ok(chosen)
    }

    async fn leader(&self) -> anyhow::Result<NodeName> {
        for place in &self.scene.nodes {
            if let Ok(status) = self.operator.status(place).await
                && let Some(leader) = status.leader
            {
                return Ok(leader.parse()?);
            }
        }
        bail!("nobody knows who leads")
    }
}

fn value(value: impl Serialize) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(value)?)
}
