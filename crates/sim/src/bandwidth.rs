//! Bandwidth: what nodes of large meshes send and receive to stay a mesh, at rest and while purges
//! come in.
//!
//! Every node runs the command story on the real openraft and chitchat; the frames counted are the
//! real ones. What UDP and QUIC add to them is an assumption, stated with its numbers. Content is
//! no part of it: nobody visits.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use model::limits::KEEP_ALIVE;

use crate::dice::Dice;
use crate::executor::{Budget, Owner, Stuck};
use crate::network::{Flow, Traffic, Volume};
use crate::operators;
use crate::random;
use crate::scenario::{Globe, Level, Scenario};
use crate::stage::{Process, Stage};
use crate::tree::{ScopeKind, Voters, measured};

/// A mesh of equal regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Regions.
    pub regions: usize,
    /// Regionals in each.
    pub regionals: usize,
    /// Edges in each.
    pub edges: usize,
}

impl Size {
    /// The meshes that are measured: two as the testbed has them, and three that it cannot hold.
    pub const ALL: [Size; 5] = [
        Size { regions: 3, regionals: 1, edges: 2 },
        Size { regions: 5, regionals: 1, edges: 3 },
        Size { regions: 5, regionals: 2, edges: 8 },
        Size { regions: 5, regionals: 2, edges: 28 },
        Size { regions: 15, regionals: 2, edges: 28 },
    ];

    /// Nodes in all regions.
    pub const fn nodes(self) -> usize {
        self.regions * (self.regionals + self.edges)
    }
}

/// What the nodes of one mesh sent and received.
#[derive(Clone, Debug)]
pub struct Usage {
    /// For how long it was counted.
    pub span: Duration,
    /// Purges that came in each second.
    pub purges: u32,
    /// For each node.
    pub flows: Vec<Flow>,
}

/// What was found out about one mesh.
#[derive(Clone, Debug, Default)]
pub struct Weighed {
    /// At rest, and while purges came in.
    pub usages: Vec<Usage>,
    /// How often a living node was thought dead by another, looking at all pairs each second.
    pub misjudged: usize,
    /// How long after a node was killed the last of the others knew.
    pub death: Option<Duration>,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What a node sends.
    Sent,
    /// What it receives.
    Received,
}

/// Bytes that every packet has beside its message: 28 of IP and UDP, about 30 of QUIC: its header,
/// the header and length of a frame, the tag that seals it.
pub const PACKET_OVERHEAD_BYTES: u64 = 58;
/// A packet that only acknowledges others, two at most.
pub const ACK_BYTES: u64 = 60;

impl Usage {
    /// Bits that each node moved per second, those of one kind of message.
    pub fn of(&self, direction: Direction, traffic: Traffic) -> Vec<f64> {
        let bytes = |flow: &Flow| match direction {
            Direction::Sent => flow.sent[traffic as usize].bytes,
            Direction::Received => flow.received[traffic as usize].bytes,
        };
        self.flows.iter().map(|flow| self.rate(bytes(flow))).collect()
    }

    /// What UDP and QUIC add for each node: the rest of every packet, acknowledgements of what
    /// comes the other way, and signs of life on connections that are quiet. In the long run every
    /// node has opened one to every other.
    pub fn overhead(&self, direction: Direction) -> Vec<f64> {
        let peers = self.flows.len() as u64 - 1;
        let silences = self.span.as_secs_f64() / KEEP_ALIVE.as_secs_f64();
        let signs = 2 * peers * silences as u64;
        let bytes = |flow: &Flow| {
            let [sent, received] = [flow.sent, flow.received].map(sum);
            let (there, back) = match direction {
                Direction::Sent => (sent, received),
                Direction::Received => (received, sent),
            };
            let acks = back.messages.max(back.packets.div_ceil(2)).min(back.packets);
            let quiet = signs.saturating_sub(sent.packets + received.packets);
            there.packets * PACKET_OVERHEAD_BYTES + (acks + quiet) * ACK_BYTES
        };
        self.flows.iter().map(|flow| self.rate(bytes(flow))).collect()
    }

    fn rate(&self, bytes: u64) -> f64 {
        bytes as f64 * 8.0 / self.span.as_secs_f64()
    }
}

fn sum(volumes: [Volume; Traffic::ALL.len()]) -> Volume {
    volumes.into_iter().fold(Volume::default(), |sum, one| Volume {
        messages: sum.messages + one.messages,
        bytes: sum.bytes + one.bytes,
        packets: sum.packets + one.packets,
    })
}

/// Until everybody has found its parent, gossip runs as ever, and voters are chosen.
const SETTLE: Duration = Duration::from_secs(13);
/// Purges that come in each second.
const PURGES: u32 = 10;
/// Until a node that was killed is dead to everybody, at most.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Before they are counted.
const LEAD: Duration = Duration::from_secs(1);
const BUDGET: Budget = Budget { steps: u64::MAX, time: Duration::from_secs(600) };

/// Measures a mesh at rest, and while purges come in, for so long each.
pub fn weigh(size: Size, span: Duration, seed: u64) -> Result<Weighed, Stuck> {
    let run = thread::spawn(move || {
        random::seed(Dice::new(!seed));
        weigh_here(size, span, seed)
    });
    run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn weigh_here(size: Size, span: Duration, seed: u64) -> Result<Weighed, Stuck> {
    let mut dice = Dice::new(seed);
    let Size { regions, regionals, edges } = size;
    let globe = Globe { level: Level::L1, regions, regionals, edges, voters: Voters::Apart };
    let scenario = Scenario::globe(globe, &mut dice);
    measured(scenario, dice, BUDGET, |stage, dice| play(stage, dice, span))
}

async fn play(stage: Arc<Stage>, dice: Dice, span: Duration) -> Weighed {
    let nodes = stage.setting.scenario.members.len();
    let clock = stage.setting.clock.clone();
    for node in 0..nodes {
        stage.start(node).await;
    }
    operators::found(&stage).await;
    while stage.ready(0..nodes).len() < nodes || !stage.has_voters() {
        clock.sleep(Duration::from_millis(100)).await;
    }
    clock.sleep(SETTLE).await;
    let mut weighed = Weighed::default();
    count(&stage, &mut weighed, span, 0).await;
    clock.spawn(Owner::WORLD, purge(stage.clone(), dice));
    clock.sleep(LEAD).await;
    count(&stage, &mut weighed, span, PURGES).await;
    let (last, killed) = (nodes - 1, clock.now());
    stage.kill(last);
    while weighed.death.is_none() && clock.now() - killed < PATIENCE {
        clock.sleep(LOOK).await;
        let all_know = dead(&stage) == last;
        weighed.death = all_know.then(|| clock.now() - killed);
    }
    weighed
}

async fn count(stage: &Stage, weighed: &mut Weighed, span: Duration, purges: u32) {
    let clock = &stage.setting.clock;
    stage.network.meter().start(stage.setting.scenario.members.len());
    let end = clock.now() + span;
    while clock.now() < end {
        clock.sleep(Duration::from_secs(1)).await;
        weighed.misjudged += dead(stage);
    }
    weighed.usages.push(Usage { span, purges, flows: stage.network.meter().stop() });
}

/// How many pairs there are of a node that runs and one that it thinks dead.
fn dead(stage: &Stage) -> usize {
    let nodes = 0..stage.setting.scenario.members.len();
    let thinks = |process: Process| {
        let mesh = process.world.members.mesh();
        mesh.alive.iter().filter(|alive| !**alive).count()
    };
    nodes.filter_map(|node| stage.process(node)).map(thinks).sum()
}

/// Purges one URL after the other through nodes anywhere, each waited for until it is fenced.
async fn purge(stage: Arc<Stage>, mut dice: Dice) {
    let nodes = stage.setting.scenario.members.len();
    loop {
        let page = dice.pick(&stage.setting.scenario.site.pages);
        let purge = operators::hard(page, ScopeKind::Url.over(page));
        let _ = operators::purge(&stage, dice.below(nodes), stage.new_id(), purge);
        stage.setting.clock.sleep(Duration::from_secs(1) / PURGES).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_mesh_is_weighed_and_every_kind_of_message_has_weight() {
        let size = Size { regions: 3, regionals: 1, edges: 1 };
        let Weighed { usages, misjudged, death } = weigh(size, Duration::from_secs(2), 1).unwrap();
        assert_eq!(misjudged, 0);
        assert!(death.is_some_and(|death| death < Duration::from_secs(3)), "{death:?}");
        let [at_rest, busy] = &usages[..] else { panic!("two usages") };
        let total = |usage: &Usage, traffic| usage.of(Direction::Sent, traffic).iter().sum::<f64>();
        for traffic in [Traffic::Leases, Traffic::Beats, Traffic::Raft, Traffic::Gossip] {
            assert!(total(at_rest, traffic) > 0.0, "{traffic:?}");
        }
        assert_eq!(total(at_rest, Traffic::Log), 0.0);
        for traffic in Traffic::ALL {
            let quiet = traffic == Traffic::Beats;
            assert_eq!(total(busy, traffic) > 0.0, !quiet, "{traffic:?}");
        }
        assert!(busy.overhead(Direction::Sent).iter().all(|bits| *bits > 0.0));
    }
}
