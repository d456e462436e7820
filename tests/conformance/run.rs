//! Plays all cases of a theme, on both shapes and many at once, and says what was wrong.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::stage;
use crate::conformance::case::{self, Case, Step};
use crate::conformance::shapes::{Shape, shapes};
use crate::conformance::template::Template;
use crate::conformance::verdict::{of_origin, of_viewer};
use crate::conformance::viewer::{self, Reply};

/// Cases that are played at once.
const AT_ONCE: usize = 32;
/// How long something that happens behind a viewer's back may take.
const BEHIND: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// It outlives the test that started it: meshes and origins are shared.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("the machine runs tests"));

/// Plays the cases in the file of this name.
///
/// # Panics
/// With a list of what was wrong, if anything was.
pub(crate) fn theme(name: &str) {
    let played = RUNTIME.block_on(play(name));
    match played {
        Err(error) => panic!("{name}: {error:#}"),
        Ok(failures) if failures.is_empty() => {}
        Ok(failures) => {
            let mut table = format!("{} of {name} fail\n", failures.len());
            failures.iter().for_each(|failure| table.push_str(failure));
            panic!("{table}");
        }
    }
}

async fn play(theme: &str) -> Result<Vec<String>> {
    let cases = case::read(&case::directory(), theme);
    let _turn = stage::turn().await?;
    let wanted = std::env::var("SHOAL_CONFORMANCE_ONLY").unwrap_or_default();
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for shape in shapes().await? {
        shape.publish(theme, &toml::Table::new()).await?;
        for (name, differences) in &cases.distribution {
            let differences = differences.as_table().context("a distribution is a table")?;
            shape.publish(&format!("{theme}-{name}"), differences).await?;
        }
        for (at, case) in cases.case.iter().enumerate() {
            if !case.name.contains(&wanted) {
                continue;
            }
            let below = case.distribution.as_ref().map_or(String::new(), |name| format!("-{name}"));
            let host = format!("case-{}.{theme}{below}.test", at + 1);
            let (case, at_once) = (case.clone(), at_once.clone());
            playing.spawn(async move {
                let _permit = at_once.acquire().await;
                one(shape, &case, host).await
            });
        }
    }
    let mut failures: Vec<String> = playing.join_all().await.into_iter().flatten().collect();
    failures.sort();
    Ok(failures)
}

/// Plays one case; what was wrong, if anything.
async fn one(shape: &Shape, case: &Case, host: String) -> Option<String> {
    let fill = Template { host, began: now() };
    for (at, step) in case.steps.iter().enumerate() {
        tokio::time::sleep(Duration::from_secs_f64(step.wait)).await;
        let began = Instant::now();
        let outcome = loop {
            let outcome = exchange(shape, case, at, &fill).await;
            let gives_up = began.elapsed().as_secs_f64() >= step.within;
            if outcome.wrong.is_empty() || gives_up {
                break outcome;
            }
            tokio::time::sleep(LOOK_EVERY * 10).await;
        };
        if !outcome.wrong.is_empty() {
            return Some(tell(shape, case, at, &fill, &outcome));
        }
    }
    None
}

struct Outcome {
    wrong: Vec<String>,
    reply: Option<Reply>,
}

async fn exchange(shape: &Shape, case: &Case, at: usize, fill: &Template) -> Outcome {
    let step = &case.steps[at];
    shape.origin.play(fill, at + 1, step);
    let mut viewers = JoinSet::new();
    for _ in 0..step.viewers.unwrap_or(1) {
        let (door, step, fill) = (shape.door(), step.clone(), fill.clone());
        viewers.spawn(async move { viewer::visit(door, &step, &fill).await });
    }
    let mut wrong = Vec::new();
    let mut last = None;
    for reply in viewers.join_all().await {
        match reply {
            Ok(reply) => {
                wrong.extend(of_viewer(case, at, &reply, fill));
                last = Some(reply);
            }
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    let asked = asked(shape, step, fill).await;
    wrong.extend(of_origin(step, &asked, fill));
    Outcome { wrong, reply: last }
}

/// What the origin was asked, as soon as it is what it should be.
async fn asked(
    shape: &Shape,
    step: &Step,
    fill: &Template,
) -> Vec<crate::conformance::origin::Asked> {
    let began = Instant::now();
    loop {
        let asked = shape.origin.asked(&fill.host);
        if asked.len() >= step.expected_asks().least() || began.elapsed() > BEHIND {
            return asked;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tell(shape: &Shape, case: &Case, at: usize, fill: &Template, outcome: &Outcome) -> String {
    let mut text = format!("\n{} ({})\n", case.name, case.section);
    writeln!(text, "  step {}, {}:", at + 1, shape.name).expect("a string takes everything");
    for breach in &outcome.wrong {
        writeln!(text, "    - {breach}").expect("a string takes everything");
    }
    for asked in shape.origin.asked(&fill.host) {
        writeln!(text, "    origin saw {} {:?}", asked.head.line, asked.head.fields)
            .expect("a string takes everything");
    }
    if let Some(reply) = &outcome.reply {
        writeln!(text, "    viewer got {} {:?}", reply.head.line, reply.head.fields)
            .expect("a string takes everything");
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "cases speak of the time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}
