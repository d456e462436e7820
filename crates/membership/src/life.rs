//! One life of chitchat, and the next after it.
//!
//! A panic in chitchat, or in what reads it, ends a life and not the node: another begins under a
//! new generation, and what the last one heard holds until it has heard for itself. Lives that end
//! early come ever more slowly, because every generation is carried by the whole mesh for minutes.
//! Everyone in the roster serves as a seed, so that a mesh split for hours finds together again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat,
};
use follow::Replica;
use model::{Moment, NodeName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::error;
use wire::gossip::Facts;

use crate::facts::{Hearsay, Listener, Memory, say};
use crate::members::Options;
use crate::post::Mailbox;

/// Meshes are told apart by their certificates, long before they gossip.
const CLUSTER: &str = "shoal";
/// A node is dead once it has been silent for this many times its usual interval.
const PHI: f64 = 8.0;
/// Heartbeats by which the usual interval is judged, beside five assumed ones of two rounds each.
/// Every message carries heartbeats, so a small mesh hears one every few milliseconds, and by these
/// alone a pause of a quarter of a second would be a death. With eight, death takes between 6 and
/// 13 rounds of silence (1.2 s to 2.6 s at the usual pace), however fast the mesh talks.
const SAMPLES: usize = 8;
/// How long the dead are remembered. Half as long they count against chitchat's ceiling of some
/// 1,200 generations in the mesh.
const GRACE: Duration = Duration::from_secs(600);
/// Rounds in which a new life hears of everyone.
const ROUNDS_TO_SETTLE: u32 = 10;
/// The longest pause between two lives. A life that lasted longer did not end early.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a life needs.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) options: Options,
    pub(crate) mailbox: Mailbox,
    pub(crate) replica: Arc<Replica>,
    /// What this node says.
    pub(crate) own: watch::Receiver<Facts>,
    /// What it has heard.
    pub(crate) heard: Arc<watch::Sender<Arc<Hearsay>>>,
    /// When the node's clock began.
    pub(crate) began: Instant,
}

/// Lives, and lives again.
pub(crate) async fn keep_alive(mut life: Life) {
    let mut lives = JoinSet::new();
    let mut pause = life.options.interval;
    loop {
        let born = Instant::now();
        lives.spawn(life.clone().live());
        let reason = match lives.join_next().await {
            Some(Ok(Err(reason))) => reason,
            Some(Err(panic)) => panic.into(),
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("nobody knows why"),
        };
        let generation = life.options.generation;
        error!(generation, %reason, "gossip broke off and starts anew");
        if born.elapsed() > PAUSE_MAX {
            pause = life.options.interval;
        }
        sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
        life.options.generation += 1;
    }
}

impl Life {
    /// Gossips until chitchat ends, and says why it did.
    async fn live(mut self) -> anyhow::Result<()> {
        let Options { name, instance, interval: pace, .. } = self.options.clone();
        let first = say(instance, &self.own.borrow_and_update());
        let handle = spawn_chitchat(self.config(), first, &self.mailbox).await?;
        let mut listener = Listener::new(name, self.heard.borrow().as_ref().clone());
        let chitchat = handle.chitchat();
        let mut nodes = chitchat.lock().await.live_nodes_watcher();
        let (settled, mut greeted) = (Instant::now() + pace * ROUNDS_TO_SETTLE, None);
        let mut rounds = interval(pace);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = handle.termination_watcher();
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                end = &mut end => return end,
                _ = nodes.changed() => {}
                _ = rounds.tick() => {
                    greeted = self.greet(&handle, greeted)?;
                }
            }
            let memory = if Instant::now() < settled { Memory::Holds } else { Memory::Faded };
            let mut chitchat = chitchat.lock().await;
            self.speak(&mut chitchat);
            let now = Moment::at(self.began.elapsed());
            let heard = listener.listen(&chitchat, &self.replica.state(), memory, now);
            drop(chitchat);
            self.heard.send_replace(Arc::new(heard));
        }
    }

    fn config(&self) -> ChitchatConfig {
        let Options { name, generation, address, seeds, interval, .. } = &self.options;
        ChitchatConfig {
            chitchat_id: ChitchatId::new(name.as_str(), *generation, *address),
            cluster_id: CLUSTER.to_owned(),
            gossip_interval: *interval,
            listen_addr: *address,
            seed_nodes: seeds.iter().map(SocketAddr::to_string).collect(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI,
                sampling_window_size: SAMPLES,
                initial_interval: *interval * 2,
                dead_node_grace_period: GRACE,
                ..FailureDetectorConfig::default()
            },
            marked_for_deletion_grace_period: GRACE,
            catchup_callback: None,
            extra_liveness_predicate: None,
        }
    }

    /// Says what changed since it was last said; chitchat sees to it that the rest is not repeated.
    fn speak(&mut self, chitchat: &mut Chitchat) {
        if self.own.has_changed().unwrap_or(false) {
            let node = chitchat.self_node_state();
            for (key, value) in say(self.options.instance, &self.own.borrow_and_update()) {
                node.set(key, value);
            }
        }
    }

    /// Greets the next member after `last` who does not seem to live. Chitchat gives up on nodes
    /// that were long dead, and knows no others than its seeds when it starts.
    fn greet(
        &self,
        handle: &ChitchatHandle,
        last: Option<NodeName>,
    ) -> anyhow::Result<Option<NodeName>> {
        let (state, heard) = (self.replica.state(), self.heard.borrow().clone());
        let lives = |name| heard.get(name).is_some_and(|heard| heard.sign.live);
        let silent = || {
            let others = state.roster().filter(|member| member.name != self.options.name);
            others.filter(|member| !lives(&member.name))
        };
        let next = silent().find(|member| Some(&member.name) > last.as_ref());
        let next = next.or_else(|| silent().next());
        if let Some(member) = next {
            handle.gossip(member.address)?;
        }
        Ok(next.map(|member| member.name.clone()))
    }
}
