//! `testbed fault`: breaks something, for a while or until it is healed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::json;
use shoal::output;

use crate::cli::{Context, duration};
use crate::control::Control;
use crate::fault::{Direction, Fault};
use crate::scene::Scene;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// SIGKILL; at the end it starts again on its disk.
    Kill,
    /// Freeze; at the end it goes on where it was.
    Pause,
    /// Cut these (with their region's origins, for region:NAME) off from all others.
    Partition,
    /// Cut each of these off from everybody; see --direction.
    Isolate,
    /// Make everything to and from these slow and narrow; see --delay-ms.
    Slow,
    /// Lose a part of what is sent to and from these; see --percent.
    Loss,
    /// SIGKILL, and at once a new process.
    Restart,
    /// Restart in good order, one after the other, each ready before the next.
    Rolling,
    /// The same, into another build: --program.
    Upgrade,
    /// Take the last byte of their disks.
    DiskFull,
    /// Restart them with clocks of another speed: --rate.
    Clock,
    /// The origin answers 503 (the first one unless named).
    OriginError,
    /// The origin is slow: --delay-ms.
    OriginSlow,
    /// End a fault, or all: the numbers that `testbed status` shows.
    Heal,
}

/// Break something, or heal it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_enum)]
    kind: Kind,
    /// Names, region:NAME, tier:NAME, leader, all.
    whom: Vec<String>,
    /// Heal by itself after so long.
    #[arg(long = "for", value_parser = duration, value_name = "20s")]
    last: Option<Duration>,
    /// For slow and origin-slow.
    #[arg(long, default_value_t = 200, value_name = "MS")]
    delay_ms: u64,
    /// For loss.
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT")]
    percent: f64,
    /// For clock: 1.05 is five percent fast.
    #[arg(long, default_value_t = 1.05)]
    rate: f64,
    /// For isolate.
    #[arg(long, value_enum, default_value = "both")]
    direction: Direction,
    /// For upgrade.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scene = Scene::load(&context.state)?;
    let control = Control::open(&scene).await?;
    let fault = match arguments.kind {
        Kind::Heal => {
            heal(&control, &arguments.whom).await?;
            say(context, "healed", None);
            return Ok(ExitCode::SUCCESS);
        }
        Kind::Kill => Fault::Kill,
        Kind::Pause => Fault::Pause,
        Kind::Partition => Fault::Partition,
        Kind::Isolate => Fault::Isolate { direction: arguments.direction },
        Kind::Slow => Fault::Slow { delay_ms: arguments.delay_ms },
        Kind::Loss => Fault::Loss { percent: arguments.percent },
        Kind::Restart => Fault::Restart,
        Kind::Rolling => Fault::Rolling,
        Kind::Upgrade => {
            let program = arguments.program.clone().context("upgrade needs --program FILE")?;
            Fault::Upgrade { program: std::path::absolute(program)? }
        }
        Kind::DiskFull => Fault::DiskFull,
        Kind::Clock => Fault::Clock { rate: arguments.rate },
        Kind::OriginError => Fault::OriginError,
        Kind::OriginSlow => Fault::OriginSlow { delay_ms: arguments.delay_ms },
    };
    let (word, lasts) = (fault.word(), fault.lasts());
    let id = control.inflict(fault, arguments.whom.clone(), arguments.last).await?;
    let whom = arguments.whom.join(" ");
    let sentence = match (lasts, arguments.last) {
        (false, _) => format!("{word} {whom}: done"),
        (true, None) => format!("{word} {whom} as #{id}, until `testbed fault heal {id}`"),
        (true, Some(last)) => format!("{word} {whom} as #{id}, for {} s", last.as_secs_f64()),
    };
    say(context, &sentence, Some(id));
    Ok(ExitCode::SUCCESS)
}

async fn heal(control: &Control, ids: &[String]) -> anyhow::Result<()> {
    if ids.is_empty() || ids.iter().any(|id| id == "all") {
        return control.heal(None).await;
    }
    for id in ids {
        let id = id.trim_start_matches('#').parse().context("expected numbers of faults")?;
        control.heal(Some(id)).await?;
    }
    Ok(())
}

fn say(context: &Context, sentence: &str, id: Option<u64>) {
    match context.json {
        true => output::line(json!({ "said": sentence, "id": id })),
        false => output::line(sentence),
    }
}
