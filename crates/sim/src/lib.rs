//! One seed, one replayable mesh: the real `serve` and `follow` of every node, over a pretend
//! network, log, gossip, disk and origin, in virtual time.
//!
//! A seed decides the [`scenario`]; the [`stage`] is set; operators form the mesh, viewers come,
//! chaos reigns for a while and ends. Then the [`checker`]s read the history. The same seed takes
//! the same steps in every process, and the hash of its trace says so. Nothing here opens a socket,
//! reads a clock or starts a thread.

mod dice;
mod random;
mod trace;
mod executor;
mod content;
mod scenario;
mod history;
mod setting;
mod network;
mod raft;
mod gossip;
mod parliament;
mod hearsay;
mod disk;
mod store;
mod origin;
mod host;
mod mutants;
mod stage;
mod viewers;
mod operators;
mod chaos;
mod checker;
mod tree;
mod bandwidth;

use std::sync::Arc;
use std::time::Duration;

pub use bandwidth::{ACK_BYTES, Direction, PACKET_OVERHEAD_BYTES, Size, Usage, Weighed, weigh};
pub use checker::{Promise, Violation};
pub use executor::Stuck;
pub use mutants::{Mutant, SEEDS_MAX};
pub use network::{Flow, Traffic, Volume};
pub use scenario::{Level, Profile};
pub use trace::Keep;
pub use tree::{CutOff, Figures, Measured, ScopeKind, Voters, measure, percentile};

use checker::Case;
use dice::Dice;
use executor::{Budget, Clock, Order, Owner};
use history::{Ending, FetchEnd, History, Records, Sample};
use scenario::Scenario;
use setting::Setting;
use stage::Stage;
use trace::Trace;

/// What any sound run stays below, many times over.
const fn budget(level: Level) -> Budget {
    match level {
        Level::L0 => Budget { steps: 200_000_000, time: Duration::from_secs(1_800) },
        Level::L1 => Budget { steps: 20_000_000, time: Duration::from_secs(120) },
    }
}

/// One run, before it happens.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Decides everything.
    pub seed: u64,
    /// What is real.
    pub level: Level,
    /// How much goes wrong.
    pub profile: Profile,
    /// The rule that is broken on purpose, if one is.
    pub mutant: Option<Mutant>,
    /// Whether events are kept as text.
    pub keep: Keep,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run.
    pub setup: Setup,
    /// The hash over all that happened.
    pub hash: u64,
    /// The events as text, if they were kept.
    pub lines: Vec<String>,
    /// Why the run did not come to its end, if it did not.
    pub stuck: Option<Stuck>,
    /// Promises that were broken, in the order of time.
    pub violations: Vec<Violation>,
    /// How much happened.
    pub tally: Tally,
}

/// How much happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Nodes in the mesh.
    pub nodes: usize,
    /// Viewers' requests.
    pub visits: usize,
    /// Of these, answers that broke off and said so.
    pub broken: usize,
    /// Requests that reached the origin.
    pub fetches: usize,
    /// Of these, answered with a whole body.
    pub whole: usize,
    /// Purges.
    pub purges: usize,
    /// Of these, known by their callers to be fenced.
    pub fenced: usize,
    /// Virtual time.
    pub lasted: Duration,
    /// Nodes killed.
    pub kills: usize,
    /// Links cut.
    pub cuts: usize,
    /// Nodes that stood still.
    pub halts: usize,
    /// How long after the last fault some node held no lease.
    pub recovered: Duration,
}

impl Report {
    /// Whether the run came to its end and every promise was kept.
    pub fn is_good(&self) -> bool {
        self.stuck.is_none() && self.violations.is_empty()
    }
}

/// Runs one seed, on a thread of its own: what libraries draw is drawn afresh. The first run of a
/// process is the same in every process; later ones differ in what tokio's dice decide.
pub fn perform(setup: Setup) -> Report {
    let run = std::thread::spawn(move || {
        random::seed(Dice::new(!setup.seed));
        perform_here(setup)
    });
    run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn perform_here(setup: Setup) -> Report {
    let Setup { seed, level, profile, mutant, keep } = setup;
    let trace = Arc::new(Trace::new(keep));
    let mut dice = Dice::new(seed ^ (profile as u64) << 60 ^ (level as u64) << 58);
    let order = if dice.chance(50) { Order::Fifo } else { Order::Shuffled(dice.fork()) };
    let setting = Arc::new(Setting {
        clock: Clock::new(trace.clone()),
        trace: trace.clone(),
        scenario: Scenario::draw(level, profile, &mut dice),
        history: History::default(),
    });
    let stage = Stage::set(setting.clone(), mutant, &mut dice);
    let stuck = setting.clock.run(play(stage, dice), order, budget(level)).err();
    let records = setting.history.close();
    let violations = match stuck {
        Some(_) => Vec::new(),
        None => checker::judge(&Case::of(&setting.scenario, &records)),
    };
    let (hash, lines) = trace.close();
    let tally = Tally::of(&records, setting.scenario.members.len(), setting.trace.last());
    Report { setup, hash, lines, stuck, violations, tally }
}

/// The play: form the mesh, let everybody loose, mend what is broken, look at what is left.
async fn play(stage: Arc<Stage>, mut dice: Dice) {
    let nodes = stage.setting.scenario.members.len();
    for page in &stage.setting.scenario.site.pages {
        stage.setting.note(format_args!("{page:?}"));
    }
    for node in 0..nodes {
        stage.start(node).await;
    }
    operators::form(&stage).await;
    while stage.ready(0..nodes).len() < nodes || !stage.has_voters() {
        stage.setting.clock.sleep(Duration::from_millis(100)).await;
    }
    // Everybody hears of everybody.
    stage.setting.clock.sleep(Duration::from_millis(1_500)).await;
    stage.setting.history.write().opened = stage.setting.now();
    let until = stage.setting.now() + stage.setting.scenario.open_for;
    stage.setting.clock.spawn(Owner::WORLD, look_around(stage.clone()));
    stage.setting.clock.spawn(Owner::WORLD, viewers::come(stage.clone(), dice.fork(), until));
    stage.setting.clock.spawn(Owner::WORLD, chaos::reign(stage.clone(), dice.fork(), until));
    let (work, last) = (dice.fork(), dice.fork());
    stage.setting.clock.spawn(Owner::WORLD, heal(stage.clone(), last, until));
    operators::work(stage.clone(), work, until).await;
    stage.setting.clock.sleep(stage.setting.scenario.rest).await;
    let last = samples(&stage);
    let mut records = stage.setting.history.write();
    records.last = last;
}

/// Between two looks at who holds a lease.
const LEASE_LOOKS: Duration = Duration::from_millis(250);

/// When it is `until`, faults have stopped: operators purge once more through every node, and from
/// then on it is written down who holds no lease.
async fn heal(stage: Arc<Stage>, dice: Dice, until: Duration) {
    stage.setting.clock.sleep_until(until).await;
    stage.settle();
    stage.setting.history.write().healed = Some(stage.setting.now());
    operators::purge_last(&stage, dice);
    loop {
        stage.setting.clock.sleep(LEASE_LOOKS).await;
        let now = stage.setting.now();
        let fenced = stage.fenced().into_iter().map(|node| (now, node));
        stage.setting.history.write().without_lease.extend(fenced);
    }
}

async fn look_around(stage: Arc<Stage>) {
    loop {
        let samples = samples(&stage);
        stage.setting.history.write().samples.extend(samples);
        stage.setting.clock.sleep(stage.setting.scenario.pace.looks).await;
    }
}

fn samples(stage: &Stage) -> Vec<Sample> {
    let at = stage.setting.now();
    let sample = |node| {
        let state = stage.process(node)?.follow.replica.state().clone();
        Some(Sample { at, node, state })
    };
    (0..stage.setting.scenario.members.len()).filter_map(sample).collect()
}

impl Tally {
    fn of(records: &Records, nodes: usize, lasted: Duration) -> Tally {
        let answers = records.visits.iter().filter_map(|visit| visit.answer.as_ref());
        let whole = |end: FetchEnd| matches!(end, FetchEnd::Whole(_));
        let fenced = |purge: &&history::Purge| purge.fenced().is_some();
        Tally {
            nodes,
            visits: records.visits.len(),
            broken: answers.filter(|answer| answer.ending == Ending::Broken).count(),
            fetches: records.fetches.len(),
            whole: records.fetches.iter().filter(|fetch| whole(fetch.end)).count(),
            purges: records.purges.len(),
            fenced: records.purges.iter().filter(fenced).count(),
            lasted,
            kills: records.kills,
            cuts: records.cuts,
            halts: records.halts,
            recovered: match (records.healed, records.without_lease.last()) {
                (Some(healed), Some((at, _))) => at.saturating_sub(healed),
                (Some(_) | None, _) => Duration::ZERO,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(profile: Profile) -> Tally {
        let report =
            perform(Setup { seed: 1, level: Level::L1, profile, mutant: None, keep: Keep::Hash });
        assert!(report.is_good(), "{:?} {:?}", report.stuck, report.violations);
        report.tally
    }

    #[test]
    fn heavy_weather_is_heavy_and_calm_weather_is_calm_and_busy() {
        let heavy = tally(Profile::Heavy);
        assert!(heavy.kills > 3 && heavy.cuts > 3 && heavy.halts > 0, "{heavy:?}");
        let calm = tally(Profile::Calm);
        assert_eq!((calm.kills, calm.cuts), (0, 0));
        assert!(calm.visits > 100 && calm.whole > 10 && calm.purges > 3, "{calm:?}");
    }

    #[test]
    fn every_promise_has_a_mutant() {
        for promise in Promise::ALL {
            assert!(Mutant::ALL.iter().any(|mutant| mutant.breaks() == promise), "{promise}");
        }
    }

    #[test]
    fn every_rule_that_carries_the_promise_of_purges_has_a_mutant() {
        for rule in [1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17].map(|rule| format!("R{rule}"))
        {
            assert!(Mutant::ALL.iter().any(|mutant| mutant.rule() == rule), "{rule}");
        }
    }
}
