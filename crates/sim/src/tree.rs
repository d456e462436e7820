//! A tree of 450 nodes around the world, and how long purges take in it: figures, not promises.
//!
//! Fifteen regions stand in a circle, 20 to 120 ms apart one way, with two regionals and 28 edges
//! in each; three of the regionals vote. Every node runs the real command story on a pretend group.
//! What a purge takes is seen from outside, by looking at every node each millisecond or two. The
//! scopes take turns, and at last one node is cut off.

mod figures;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::{CommandId, Standing};
use model::{Attributes, Glob, LogPosition, Path, Scope};

pub use figures::{CutOff, Figures, Measured, percentile};

use crate::content::Page;
use crate::dice::Dice;
use crate::executor::{Budget, Clock, Order, Stuck};
use crate::history::History;
use crate::network::Way;
use crate::operators;
use crate::scenario::{Globe, Scenario, VOTERS};
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

/// What a purge covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScopeKind {
    /// One URL.
    Url,
    /// A directory and what is below it.
    Directory,
    /// A pattern.
    Glob,
    /// A tag.
    Tag,
    /// A host.
    Host,
    /// All of a distribution.
    All,
}

impl ScopeKind {
    /// Each of them.
    pub const ALL: [ScopeKind; 6] = [
        ScopeKind::Url,
        ScopeKind::Directory,
        ScopeKind::Glob,
        ScopeKind::Tag,
        ScopeKind::Host,
        ScopeKind::All,
    ];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            ScopeKind::Url => "url",
            ScopeKind::Directory => "directory",
            ScopeKind::Glob => "glob",
            ScopeKind::Tag => "tag",
            ScopeKind::Host => "host",
            ScopeKind::All => "all",
        }
    }

    /// The scope of this kind that covers `page`.
    pub(crate) fn over(self, page: &Page) -> Scope {
        let Attributes { host, path, .. } = &page.attributes;
        let only = Some(host.clone());
        let directory = path.as_str().rsplit_once('/').map_or("", |(above, _)| above);
        let directory = format!("{directory}/");
        match self {
            ScopeKind::Url => Scope::Url { host: only, path: path.clone() },
            ScopeKind::Directory => {
                let directory = Path::parse(&directory).expect("a path");
                Scope::Prefix { host: only, directory }
            }
            ScopeKind::Glob => {
                let pattern = Glob::parse(&format!("{directory}*.html")).expect("a pattern");
                Scope::Glob { host: only, pattern }
            }
            ScopeKind::Tag => Scope::Tag(page.tag.clone()),
            ScopeKind::Host => Scope::Host(host.clone()),
            ScopeKind::All => Scope::All,
        }
    }
}

const LOOK: Duration = Duration::from_millis(2);
/// Purges of each scope.
const PURGES: usize = 24;
/// Longer than any purge takes.
const PATIENCE: Duration = Duration::from_secs(30);
const BUDGET: Budget = Budget { steps: 2_000_000_000, time: Duration::from_secs(3_600) };

/// Runs the tree.
pub fn measure(voters: Voters, seed: u64) -> Result<Figures, Stuck> {
    let mut dice = Dice::new(seed);
    let scenario = Scenario::globe(Globe::whole(voters), &mut dice);
    measured(scenario, dice, BUDGET, play)
}

/// What `play` measures on a stage set for `scenario`.
pub(crate) fn measured<T, F>(
    scenario: Scenario,
    mut dice: Dice,
    budget: Budget,
    play: impl FnOnce(Arc<Stage>, Dice) -> F,
) -> Result<T, Stuck>
where
    T: Default + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let trace = Arc::new(Trace::new(Keep::Hash));
    let (clock, history) = (Clock::new(trace.clone()), History::default());
    let setting = Arc::new(Setting { clock, trace, scenario, history });
    let stage = Stage::set(setting.clone(), None, &mut dice);
    let figures: Arc<Mutex<T>> = Arc::default();
    let (written, play) = (figures.clone(), play(stage, dice));
    let play = async move {
        let figures = play.await;
        *written.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    };
    setting.clock.run(play, Order::Fifo, budget)?;
    Ok(std::mem::take(&mut *figures.lock().unwrap_or_else(PoisonError::into_inner)))
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
    let mut figures = Figures::of(nodes, wait);
    for number in 0..PURGES * ScopeKind::ALL.len() {
        let kind = ScopeKind::ALL[number % ScopeKind::ALL.len()];
        let seen = purge(&stage, &mut dice, kind).await;
        figures.note(kind, &seen);
        clock.sleep(dice.millis(200..=700)).await;
    }
    let cut = nodes - 1;
    for other in 0..cut {
        let way = Way { from: cut, to: other };
        stage.network.cut(way, PATIENCE * 2);
    }
    let last = purge(&stage, &mut dice, ScopeKind::Url).await;
    let committed = last.committed.unwrap_or_default();
    figures.cut_off = vec![CutOff { called: last.fenced, committed: last.fenced - committed }];
    figures
}

/// What came of one purge, counted from its call.
pub(crate) struct Seen {
    /// Until it was in effect on each node.
    pub(crate) in_effect: Vec<Duration>,
    /// Until the last node had applied it.
    pub(crate) applied: Duration,
    /// What light and one disk would allow for that.
    pub(crate) bound: Duration,
    /// Until the leader had applied it.
    pub(crate) committed: Option<Duration>,
    /// Until its caller knew that it is fenced.
    pub(crate) fenced: Duration,
}

/// What one node knew when a purge was called, and when it knew of that one.
struct Node {
    applied: LogPosition,
    moment: model::Moment,
    in_effect: Option<Duration>,
    has_applied: Option<Duration>,
}

async fn purge(stage: &Arc<Stage>, dice: &mut Dice, kind: ScopeKind) -> Seen {
    let clock = &stage.setting.clock;
    let count = stage.setting.scenario.members.len();
    let page = dice.pick(&stage.setting.scenario.site.pages);
    let mut nodes: Vec<Node> = (0..count).filter_map(|node| look(stage, node)).collect();
    // Where voters are few, most purges come from elsewhere.
    let from = dice.within(count / 2..=count - 2);
    let (id, called) = (stage.new_id(), stage.setting.now());
    let (leader, bound) = (stage.leader(), bound(stage, from));
    let answered = operators::purge(stage, from, id, operators::hard(page, kind.over(page)));
    let fenced = loop {
        clock.sleep(LOOK).await;
        let took = stage.setting.now() - called;
        for (number, node) in nodes.iter_mut().enumerate() {
            note(stage, (number, id), page, node, took);
        }
        let missing = nodes.iter().any(|node| node.has_applied.is_none());
        let answered = answered.at().map(|at| at - called);
        // Who is cut off applies nothing.
        if let Some(fenced) = answered.filter(|fenced| !missing || *fenced > PATIENCE / 3) {
            break fenced;
        }
        if took > PATIENCE {
            break took;
        }
    };
    let applied = nodes.iter().map(|node| node.has_applied.unwrap_or(PATIENCE)).max();
    Seen {
        in_effect: nodes.iter().map(|node| node.in_effect.unwrap_or(PATIENCE)).collect(),
        applied: applied.unwrap_or_default(),
        bound,
        committed: leader.and_then(|leader| nodes[leader].has_applied),
        fenced,
    }
}

fn look(stage: &Stage, node: usize) -> Option<Node> {
    let process = stage.process(node)?;
    let (applied, moment) = (process.follow.replica.applied(), process.world.host.now());
    Some(Node { applied, moment, in_effect: None, has_applied: None })
}

fn note(
    stage: &Stage,
    (number, id): (usize, CommandId),
    page: &Page,
    node: &mut Node,
    took: Duration,
) {
    if node.has_applied.is_some() {
        return;
    }
    let Some(process) = stage.process(number) else { return };
    let state = process.follow.replica.state();
    let (attributes, tags) = (&page.attributes, page.tags());
    if node.in_effect.is_none() {
        let tentative = process.follow.tentative().standing(attributes, &tags, node.moment);
        let applied = state.standing(attributes, &tags, node.applied);
        if tentative.max(applied) == Standing::Old {
            node.in_effect = Some(took);
        }
    }
    if state.outcome(&id).is_some() {
        node.has_applied = Some(took);
    }
}

/// From the node that is asked to the leader, from there to a majority and back, and from there to
/// the farthest edge through its region's regional.
fn bound(stage: &Stage, from: usize) -> Duration {
    let scenario = &stage.setting.scenario;
    let Some(leader) = stage.leader() else { return Duration::ZERO };
    let region = |node: usize| scenario.region_of(node);
    let delay = |one: usize, other: usize| scenario.latency(region(one), region(other));
    let others = (0..VOTERS).filter(|voter| *voter != leader);
    let nearest = others.map(|voter| delay(leader, voter)).min().unwrap_or_default();
    let farthest = (0..scenario.regions())
        .map(|other| scenario.latency(region(leader), other) + scenario.latency(other, other))
        .max();
    delay(from, leader) + nearest * 2 + farthest.unwrap_or_default()
}
