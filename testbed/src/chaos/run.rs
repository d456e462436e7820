//! One chaos run: viewers, purges and configuration changes all the time, faults as scheduled;
//! then calm, and everything that must hold in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use model::NodeName;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use shoal::local::look;
use shoal::output;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::calm;
use super::catalogue::{self, Page};
use super::commands::{self, Acknowledged};
use super::judge::{Judge, Offence, Violation, Window};
use super::schedule::{Schedule, Step, left_out};
use super::verdict::{self, Growth};
use crate::control::{Ask, Control, Usage};
use crate::fault::{self, Fault};
use crate::operator::Operator;
use crate::scene::{Place, Scene};

/// Viewers at each edge.
const VIEWERS: usize = 3;
/// How long a viewer waits for the end of an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Viewers before the first measurement, and after the mesh has settled.
const WARM: Duration = Duration::from_secs(3);

/// How a schedule is run.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Manner {
    /// Requests per second at each edge.
    #[arg(long, default_value_t = 100.0, value_name = "RATE", value_parser = rate)]
    pub(crate) rate: f64,
    /// While a fault of this kind lasts, purges are not sent, and the judge is told that they are
    /// fenced: to see that it notices.
    #[arg(long, hide = true, value_parser = PossibleValuesParser::new(fault::LASTING))]
    pub(crate) mutant: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=10_000.0).contains(rate));
    rate.ok_or_else(|| "expected 0.1 to 10000 requests per second".into())
}

/// What came of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) backend: String,
    pub(crate) topology: String,
    pub(crate) for_ms: u64,
    pub(crate) faults: usize,
    /// Answers judged.
    pub(crate) answers: u64,
    /// Of these, bound by a promise.
    pub(crate) bound: u64,
    pub(crate) excused: u64,
    pub(crate) purges: u64,
    pub(crate) purges_fenced: u64,
    pub(crate) purges_unknown: u64,
    pub(crate) configurations: u64,
    /// From the end of the last fault until everybody lived, held a lease and kept up.
    pub(crate) settled_ms: u64,
    /// From the answer to the last command until everybody had applied the same.
    #[serde(default)]
    pub(crate) agreed_ms: u64,
    #[serde(default)]
    pub(crate) growth: Growth,
    /// Faults that cannot be had here, and why.
    #[serde(default)]
    pub(crate) left_out: Vec<String>,
    pub(crate) violations: Vec<Violation>,
}

/// What everybody in a run shares.
pub(super) struct Stage {
    pub(super) scene: Scene,
    pub(super) operator: Operator,
    pub(super) judge: Mutex<Judge>,
    pub(super) acknowledged: Mutex<Acknowledged>,
    manner: Manner,
    /// Kinds of faults that last at the moment.
    lasting: Mutex<Vec<&'static str>>,
    /// Purges and changes end first, viewers last.
    pub(super) commands_end: CancellationToken,
    viewers_end: CancellationToken,
}

impl Stage {
    pub(super) fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledged(&self) -> MutexGuard<'_, Acknowledged> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lasting(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins(&self, word: &'static str) {
        self.lasting().push(word);
    }

    fn ends(&self, word: &str) {
        let mut lasting = self.lasting();
        if let Some(own) = lasting.iter().position(|other| *other == word) {
            lasting.swap_remove(own);
        }
    }

    /// Whether purges are held back now, against all promises.
    pub(super) fn is_mutant(&self) -> bool {
        let mutant = self.manner.mutant.as_deref();
        mutant.is_some_and(|mutant| self.lasting().contains(&mutant))
    }
}

/// Runs `schedule` on what stands.
pub(crate) async fn run(
    scene: &Scene,
    schedule: &Schedule,
    manner: &Manner,
) -> anyhow::Result<Outcome> {
    let control = Control::open(scene).await?;
    catalogue::arrange(&control).await?;
    let stage = Arc::new(Stage {
        scene: scene.clone(),
        operator: Operator::of(scene)?,
        judge: Mutex::new(Judge::new()),
        acknowledged: Mutex::default(),
        manner: manner.clone(),
        lasting: Mutex::default(),
        commands_end: CancellationToken::new(),
        viewers_end: CancellationToken::new(),
    });
    let mut viewers = JoinSet::new();
    for (number, edge) in scene.edges().flat_map(|edge| [edge; VIEWERS]).enumerate() {
        let dice = StdRng::seed_from_u64(schedule.seed ^ (number as u64 + 1) << 32);
        viewers.spawn(view(Arc::clone(&stage), edge.clone(), dice));
    }
    sleep(WARM).await;
    let before: Vec<(NodeName, Usage)> = control.ask(&Ask::Resources).await?;
    let orders = commands::start(&stage, schedule.seed).await?;
    let began = Instant::now();
    play(&stage, schedule).await?;
    let settled = calm::settle(&stage, Instant::now()).await;
    sleep_until(began + Duration::from_millis(schedule.for_ms)).await;
    stage.commands_end.cancel();
    commands::finish(orders).await;
    let agreed = calm::agree(&stage).await;
    sleep(WARM).await;
    stage.viewers_end.cancel();
    while viewers.join_next().await.is_some() {}
    verdict::commands_survive(&stage).await;
    verdict::canary_is_silent(&stage).await;
    let growth = verdict::nothing_leaks(&stage, &control, &before).await?;
    verdict::nobody_died(&stage, &control.ask(&Ask::Roll).await?);
    Ok(Outcome {
        settled_ms: ms(settled),
        agreed_ms: ms(agreed),
        growth,
        ..outcome(&stage, schedule)
    })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn outcome(stage: &Stage, schedule: &Schedule) -> Outcome {
    let (mut judge, acknowledged) = (stage.judge(), stage.acknowledged());
    Outcome {
        seed: schedule.seed,
        backend: stage.scene.backend.to_string(),
        topology: stage.scene.topology.clone(),
        for_ms: schedule.for_ms,
        faults: schedule.steps.len(),
        answers: judge.seen,
        bound: judge.bound,
        excused: judge.excused,
        purges: acknowledged.sent,
        purges_fenced: acknowledged.fenced,
        purges_unknown: acknowledged.unknown,
        configurations: acknowledged.changes,
        left_out: left_out(&stage.scene),
        violations: std::mem::take(&mut judge.violations),
        ..Outcome::default()
    }
}

/// One viewer.
async fn view(stage: Arc<Stage>, edge: Place, mut dice: StdRng) {
    let pause = Duration::from_secs_f64(VIEWERS as f64 / stage.manner.rate);
    while !stage.viewers_end.is_cancelled() {
        let page = Page::draw(&mut dice);
        let sight = look(&edge.name, edge.http, page.host(), &page.path(), PATIENCE).await;
        stage.judge().hear(page, &sight);
        // Who finds nobody there does not try a thousand times a second.
        sleep(pause.mul_f64(dice.random_range(0.5..1.5))).await;
    }
}

/// Faults, each in its own time, until the last has ended.
async fn play(stage: &Arc<Stage>, schedule: &Schedule) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut steps = JoinSet::new();
    for step in schedule.steps.clone() {
        let stage = Arc::clone(stage);
        steps.spawn(async move { strike(&stage, began, step).await });
    }
    while let Some(step) = steps.join_next().await {
        step??;
    }
    // What was inflicted by hand before the run ends with it.
    Control::open(&stage.scene).await?.heal(None).await?;
    Ok(())
}

async fn strike(stage: &Stage, began: Instant, step: Step) -> anyhow::Result<()> {
    sleep_until(began + Duration::from_millis(step.at_ms)).await;
    let words: Vec<String> = step.whom.iter().map(ToString::to_string).collect();
    if output::has_audience() {
        let at = began.elapsed().as_secs();
        let word = step.fault.word();
        let violations = stage.judge().violations.len();
        output::progress(format!("{at} s: {word} {} ({violations} violations)", words.join(" ")));
    }
    let control = Control::open(&stage.scene).await?;
    let window = Window { begin: Instant::now(), end: None, whom: touched(stage, &step) };
    let number = {
        let mut judge = stage.judge();
        judge.windows.push(window);
        judge.windows.len() - 1
    };
    let (word, lasts) = (step.fault.word(), step.fault.lasts());
    let id = control.inflict(step.fault, words, None).await?;
    if lasts {
        stage.begins(word);
        sleep(Duration::from_millis(step.last_ms)).await;
        stage.ends(word);
        control.heal(Some(id)).await?;
    }
    stage.judge().windows[number].end = Some(Instant::now() + stage.scene.lease());
    Ok(())
}

/// Whose errors a fault excuses: of those it touches; of everybody, if the origin is away.
fn touched(stage: &Stage, step: &Step) -> Option<Vec<NodeName>> {
    let first = stage.scene.origins.first().map(|origin| &origin.name);
    let hits_origin = first.is_some_and(|origin| step.whom.contains(origin));
    let origin_away = hits_origin
        && match step.fault {
            Fault::Kill
            | Fault::Partition
            | Fault::Isolate { .. }
            | Fault::Slow { .. }
            | Fault::Loss { .. }
            | Fault::OriginError => true,
            // It answers within the patience of everybody.
            Fault::OriginSlow { .. }
            | Fault::Pause
            | Fault::Restart
            | Fault::Rolling
            | Fault::Upgrade { .. }
            | Fault::DiskFull
            | Fault::SlowDisk { .. }
            | Fault::Clock { .. } => false,
        };
    (!origin_away).then(|| step.whom.clone())
}

/// An offence that is found at the end.
pub(super) fn accuse(stage: &Stage, offence: Offence, what: String) {
    stage.judge().accuse(offence, what);
}
