//! A tree of 450 nodes around the world, and how long purges take in it: figures, not promises.
//!
//! Fifteen regions stand in a circle, 20 to 120 ms apart one way, with two regionals and 28 edges
//! in each; three of the regionals vote. Every node runs the real command story on a pretend group.
//! What a purge takes is seen from outside, by looking at every node each millisecond or two.

use std::sync::Arc;
use std::time::Duration;

use control::{CommandId, Standing};
use model::{LogPosition, Moment};

use crate::dice::Dice;
use crate::executor::{Budget, Clock, Order};
use crate::history::History;
use crate::network::Way;
use crate::operators;
use crate::scenario::{REGIONS_MAX, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;
use crate::trace::{Keep, Trace};

/// Where voters stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voters {
    /// In neighbouring regions.
    Near,
    /// As far apart as can be.
    Apart,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Nodes in the tree.
    pub nodes: usize,
    /// For each purge and node: until the purge was in effect there.
    pub in_effect: Vec<Duration>,
    /// For each purge: until the last node had applied it.
    pub applied: Vec<Duration>,
    /// For each purge: what light and one disk would allow for that.
    pub bound: Vec<Duration>,
    /// For each purge: until its caller knew that it is fenced.
    pub fenced: Vec<Duration>,
    /// Until that was known while one node was cut off.
    pub cut_off: Duration,
    /// How long that may take: a little more than a lease.
    pub wait: Duration,
}

const LOOK: Duration = Duration::from_millis(2);
const PURGES: usize = 40;
const BUDGET: Budget = Budget { steps: 200_000_000, time: Duration::from_secs(300) };

/// Runs the tree.
pub fn measure(voters: Voters, seed: u64) -> Figures {
    let trace = Arc::new(Trace::new(Keep::Hash));
    let mut dice = Dice::new(seed);
    let setting = Arc::new(Setting {
        clock: Clock::new(trace.clone()),
        trace,
        scenario: Scenario::globe(voters, &mut dice),
        history: History::default(),
    });
    let stage = Stage::set(setting.clone(), None, &mut dice);
    let figures = Arc::new(std::sync::Mutex::new(Figures::default()));
    let written = figures.clone();
    let play = async move {
        let measured = play(stage, dice).await;
        *written.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = measured;
    };
    let ended = setting.clock.run(play, Order::Fifo, BUDGET);
    debug_assert!(ended.is_ok(), "{ended:?}");
    let figures = figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    figures.clone()
}

async fn play(stage: Arc<Stage>, mut dice: Dice) -> Figures {
    let nodes = stage.setting.scenario.members.len();
    let clock = stage.setting.clock.clone();
    for node in 0..nodes {
        stage.start(node).await;
    }
    while stage.ready(0..nodes).len() < nodes || stage.leader().is_none() {
        clock.sleep(Duration::from_millis(100)).await;
    }
    let wait = control::lease::wait_for(stage.setting.scenario.lease());
    // A new leader waits for so long before it fences anything early.
    clock.sleep(wait + Duration::from_secs(3)).await;
    let mut figures = Figures { nodes, wait, ..Figures::default() };
    for _ in 0..PURGES {
        purge(&stage, &mut dice, &mut figures).await;
        clock.sleep(dice.millis(200..=700)).await;
    }
    let cut = nodes - 1;
    for other in 0..cut {
        let way = Way { from: cut, to: other };
        stage.network.cut(way, Duration::from_secs(60));
    }
    let mut last = Figures::default();
    purge(&stage, &mut dice, &mut last).await;
    figures.cut_off = last.fenced.first().copied().unwrap_or_default();
    figures
}

/// What one node knew when a purge was called.
struct Before {
    applied: LogPosition,
    moment: Moment,
    in_effect: Option<Duration>,
    has_applied: Option<Duration>,
}

async fn purge(stage: &Arc<Stage>, dice: &mut Dice, figures: &mut Figures) {
    let clock = &stage.setting.clock;
    let nodes = stage.setting.scenario.members.len();
    let page = dice.below(stage.setting.scenario.site.pages.len());
    let page = &stage.setting.scenario.site.pages[page];
    let mut before: Vec<Before> = (0..nodes).filter_map(|node| look(stage, node)).collect();
    // Where voters are few, most purges come from elsewhere.
    let from = dice.within(nodes / 2..=nodes - 2);
    let (id, called) = (stage.new_id(), stage.setting.now());
    let bound = bound(stage, from);
    let answered = operators::purge(stage, from, id, operators::hard(page, dice));
    let fenced = loop {
        clock.sleep(LOOK).await;
        let took = stage.setting.now() - called;
        for (node, before) in before.iter_mut().enumerate() {
            note(stage, (node, id), page, before, took);
        }
        let missing = before.iter().any(|before| before.has_applied.is_none());
        if let Some(at) = answered.at().filter(|_| !missing || took > figures.wait * 2) {
            break at - called;
        }
        if took > Duration::from_secs(30) {
            break took;
        }
    };
    figures.in_effect.extend(before.iter().filter_map(|before| before.in_effect));
    let last = before.iter().filter_map(|before| before.has_applied).max();
    figures.applied.extend(last);
    figures.bound.push(bound);
    figures.fenced.push(fenced);
}

fn look(stage: &Stage, node: usize) -> Option<Before> {
    let process = stage.process(node)?;
    let (applied, moment) = (process.follow.replica.applied(), process.world.host.now());
    Some(Before { applied, moment, in_effect: None, has_applied: None })
}

fn note(
    stage: &Stage,
    (node, id): (usize, CommandId),
    page: &crate::content::Page,
    before: &mut Before,
    took: Duration,
) {
    if before.has_applied.is_some() {
        return;
    }
    let Some(process) = stage.process(node) else { return };
    let state = process.follow.replica.state();
    let (attributes, tags) = (&page.attributes, page.tags());
    if before.in_effect.is_none() {
        let tentative = process.follow.tentative().standing(attributes, &tags, before.moment);
        let applied = state.standing(attributes, &tags, before.applied);
        if tentative.max(applied) == Standing::Old {
            before.in_effect = Some(took);
        }
    }
    if state.outcome(&id).is_some() {
        before.has_applied = Some(took);
    }
}

/// From the node that is asked to the leader, from there to a majority and back, and from there to
/// the farthest edge through its region's regional.
fn bound(stage: &Stage, from: usize) -> Duration {
    let scenario = &stage.setting.scenario;
    let Some(leader) = stage.leader() else { return Duration::ZERO };
    let region = |node: usize| scenario.region_of(node);
    let delay = |one: usize, other: usize| scenario.latency(region(one), region(other));
    let others = (0..crate::scenario::VOTERS).filter(|voter| *voter != leader);
    let nearest = others.map(|voter| delay(leader, voter)).min().unwrap_or_default();
    let farthest = (0..REGIONS_MAX)
        .map(|other| scenario.latency(region(leader), other) + scenario.latency(other, other))
        .max();
    delay(from, leader) + nearest * 2 + farthest.unwrap_or_default()
}

/// The value that so many of a hundred do not exceed.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}
