//! One seed, one replayable mesh: the real `serve` and `follow` of every node, over a pretend
//! network, log, gossip, disk and origin, in virtual time.
//!
//! A seed decides the [`scenario`]; the [`stage`] is set; operators form the mesh, viewers come,
//! chaos reigns for a while and ends. Then the [`checker`]s read the history. The same seed takes
//! the same steps in every process, and the hash of its trace says so. Nothing here opens a socket,
//! reads a clock or starts a thread.

mod dice;
mod trace;
mod executor;
mod content;
mod scenario;
mod history;
mod setting;
mod network;
mod log;
mod gossip;
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

use std::sync::Arc;
use std::time::Duration;

pub use checker::{Promise, Violation};
pub use executor::Stuck;
pub use mutants::{Mutant, SEEDS_MAX};
pub use scenario::Profile;
pub use trace::Keep;

use checker::Case;
use dice::Dice;
use executor::{Budget, Clock, Order, Owner};
use history::{Ending, FetchEnd, History, Records, Sample};
use scenario::Scenario;
use setting::Setting;
use stage::Stage;
use trace::Trace;

/// What any sound run stays below, many times over.
const BUDGET: Budget = Budget { steps: 20_000_000, time: Duration::from_secs(120) };

/// One run, before it happens.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Decides everything.
    pub seed: u64,
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
    /// Of these, applied by every live node as far as the caller heard.
    pub applied: usize,
    /// Nodes killed.
    pub kills: usize,
    /// Links cut.
    pub cuts: usize,
}

impl Report {
    /// Whether the run came to its end and every promise was kept.
    pub fn is_good(&self) -> bool {
        self.stuck.is_none() && self.violations.is_empty()
    }
}

/// Runs one seed as it is.
pub fn run(seed: u64, profile: Profile) -> Report {
    perform(Setup { seed, profile, mutant: None, keep: Keep::Hash })
}

/// Runs one seed.
pub fn perform(setup: Setup) -> Report {
    let Setup { seed, profile, mutant, keep } = setup;
    let trace = Arc::new(Trace::new(keep));
    let mut dice = Dice::new(seed ^ (profile as u64) << 60);
    let order = if dice.chance(50) { Order::Fifo } else { Order::Shuffled(dice.fork()) };
    let setting = Arc::new(Setting {
        clock: Clock::new(trace.clone()),
        trace: trace.clone(),
        scenario: Scenario::draw(profile, &mut dice),
        history: History::default(),
    });
    let stage = Stage::set(setting.clone(), mutant, &mut dice);
    let stuck = setting.clock.run(play(stage, dice), order, BUDGET).err();
    let records = setting.history.close();
    let violations = match stuck {
        Some(_) => Vec::new(),
        None => checker::judge(&Case { scenario: &setting.scenario, records: &records }),
    };
    let (hash, lines) = trace.close();
    let tally = Tally::of(&records, setting.scenario.members.len());
    Report { setup, hash, lines, stuck, violations, tally }
}

/// Looks for a mutant: how many seeds it took until its checker caught it where the healthy mesh
/// kept the promise; nothing if it survives [`SEEDS_MAX`] of them.
pub fn hunt(mutant: Mutant) -> Option<u64> {
    let breaks = |seed, mutant: Option<Mutant>, hunted: Mutant| {
        let setup = Setup { seed, profile: hunted.profile(), mutant, keep: Keep::Hash };
        perform(setup).violations.iter().any(|one| one.promise == hunted.breaks())
    };
    let caught = |seed: &u64| breaks(*seed, Some(mutant), mutant) && !breaks(*seed, None, mutant);
    (0..SEEDS_MAX).find(caught).map(|seed| seed + 1)
}

/// The play: form the mesh, let everybody loose, mend what is broken, look at what is left.
async fn play(stage: Arc<Stage>, mut dice: Dice) {
    let nodes = stage.setting.scenario.members.len();
    for page in &stage.setting.scenario.site.pages {
        stage.setting.note(format_args!("{page:?}"));
    }
    (0..nodes).for_each(|node| stage.start(node));
    operators::form(&stage).await;
    while stage.ready(0..nodes).len() < nodes {
        stage.setting.clock.sleep(Duration::from_millis(100)).await;
    }
    // Everybody hears of everybody.
    stage.setting.clock.sleep(Duration::from_millis(1_500)).await;
    let until = stage.setting.now() + stage.setting.scenario.open_for;
    stage.setting.clock.spawn(Owner::WORLD, look_around(stage.clone()));
    stage.setting.clock.spawn(Owner::WORLD, viewers::come(stage.clone(), dice.fork(), until));
    stage.setting.clock.spawn(Owner::WORLD, chaos::reign(stage.clone(), dice.fork(), until));
    operators::work(stage.clone(), dice.fork(), until).await;
    stage.setting.clock.sleep(stage.setting.scenario.rest).await;
    let last = samples(&stage);
    let mut records = stage.setting.history.write();
    records.last = last;
    records.log = stage.log.entries();
}

async fn look_around(stage: Arc<Stage>) {
    loop {
        let samples = samples(&stage);
        stage.setting.history.write().samples.extend(samples);
        stage.setting.clock.sleep(Duration::from_millis(500)).await;
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
    fn of(records: &Records, nodes: usize) -> Tally {
        let answers = records.visits.iter().filter_map(|visit| visit.answer.as_ref());
        let whole = |end: FetchEnd| matches!(end, FetchEnd::Whole(_));
        let applied = |purge: &&history::Purge| purge.applied_everywhere().is_some();
        Tally {
            nodes,
            visits: records.visits.len(),
            broken: answers.filter(|answer| answer.ending == Ending::Broken).count(),
            fetches: records.fetches.len(),
            whole: records.fetches.iter().filter(|fetch| whole(fetch.end)).count(),
            purges: records.purges.len(),
            applied: records.purges.iter().filter(applied).count(),
            kills: records.kills,
            cuts: records.cuts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `seeds` and says which promise was broken, and how to see it again.
    fn smoke(profile: Profile, seeds: impl IntoIterator<Item = u64>) {
        for seed in seeds {
            let Report { stuck, violations, tally, .. } = run(seed, profile);
            let again = format!("cargo run -p sim -- {seed} --profile {profile} --trace");
            assert_eq!(stuck, None, "{again}");
            assert_eq!(violations, [], "{again}");
            assert!(
                tally.visits > 100 && tally.whole > 10 && tally.purges > 3,
                "{tally:?}: {again}"
            );
        }
    }

    #[test]
    fn a_calm_mesh_keeps_every_promise() {
        smoke(Profile::Calm, 0..25);
    }

    #[test]
    fn an_ordinary_mesh_keeps_every_promise() {
        smoke(Profile::Ordinary, 0..25);
    }

    #[test]
    fn a_mesh_in_heavy_weather_keeps_every_promise() {
        smoke(Profile::Heavy, 0..25);
    }

    #[test]
    fn what_was_broken_once_stays_mended() {
        // A body resumed with another version of the same length and beginning.
        smoke(Profile::Ordinary, [40, 348]);
        smoke(Profile::Heavy, [92]);
        // A request that met a fill of another variant, again and again, and gave up.
        smoke(Profile::Ordinary, [182]);
        smoke(Profile::Heavy, [115]);
        // Purges that came faster than the origin answered.
        smoke(Profile::Calm, [153, 219]);
        // Two fetches where one was enough: after an overtaken 304, and beside a late signpost.
        smoke(Profile::Calm, [5, 8, 14, 23]);
    }

    #[test]
    fn one_seed_is_one_run_and_another_is_another() {
        let hash = |seed| run(seed, Profile::Heavy).hash;
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }

    #[test]
    fn heavy_weather_is_heavy() {
        let tally = run(1, Profile::Heavy).tally;
        assert!(tally.kills > 3 && tally.cuts > 3, "{tally:?}");
        assert_eq!(run(1, Profile::Calm).tally.kills, 0);
    }

    #[test]
    fn every_mutant_is_caught_by_the_checker_of_the_promise_it_breaks() {
        for mutant in Mutant::ALL {
            let caught = hunt(mutant);
            assert!(caught.is_some(), "{} survives {SEEDS_MAX} seeds", mutant.as_str());
        }
    }

    #[test]
    fn every_promise_has_a_mutant() {
        for promise in Promise::ALL {
            assert!(Mutant::ALL.iter().any(|mutant| mutant.breaks() == promise), "{promise}");
        }
    }
}
