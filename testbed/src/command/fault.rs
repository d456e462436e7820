//! `testbed fault`: breaks something, for a while or until it is healed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::json;
use shoal::output;

use crate::cli::{Context, duration};
use crate::control::Control;
use crate::disk::Pace;
use crate::fault::{Direction, Fault};
use crate::scene::Scene;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// SIGKILL; at the end it starts again on its disk. Nobody listens at an origin.
    Kill,
    /// Freeze; at the end it goes on where it was.
    Pause,
    /// Cut these (with their region's origins, for region:NAME) off from all others.
    Partition,
    /// Cut each of these off from everybody; see --direction.
    Isolate,
    /// Make everything to and from these slow and narrow; see --delay.
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
    /// Slow their disks down: --delay for each read and write, or --rate in bytes per second.
    SlowDisk,
    /// Restart them with clocks of another speed: --rate.
    Clock,
    /// The origin answers 503 (the first one unless named).
    OriginError,
    /// The origin is slow: --delay.
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
    /// For slow, origin-slow and slow-disk [default: 200ms].
    #[arg(long, value_parser = duration, value_name = "200ms")]
    delay: Option<Duration>,
    /// For loss.
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT")]
    percent: f64,
    /// For clock: 1.05 is five percent fast [default: 1.05]. For slow-disk: bytes per second.
    #[arg(long, value_parser = rate, value_name = "1.05|200K")]
    rate: Option<f64>,
    /// For isolate.
    #[arg(long, value_enum, default_value = "both")]
    direction: Direction,
    /// For upgrade.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// How late things are unless said.
const DELAY_MS: u64 = 200;
/// Slowest clock and fastest.
const CLOCK_RATES: RangeInclusive<f64> = 0.1..=10.0;
/// Slowest answer of a disk, since limits are per second.
const DISK_DELAY_MS: RangeInclusive<u64> = 1..=1_000;
/// Most bytes per second of a slow disk.
const DISK_RATES: RangeInclusive<f64> = 1_000.0..=1e9;

/// `1.05`, `200K`, `3M`.
fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1_000.0),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000.0),
        _digit => (text, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| "expected 1.05, 200K or 3M".to_owned())?;
    Ok(number * unit)
}

impl Arguments {
    /// The fault that is asked for; nothing if one is to be healed.
    fn fault(&self) -> anyhow::Result<Option<Fault>> {
        let fault = match self.kind {
            Kind::Heal => return Ok(None),
            Kind::Kill => Fault::Kill,
            Kind::Pause => Fault::Pause,
            Kind::Partition => Fault::Partition,
            Kind::Isolate => Fault::Isolate { direction: self.direction },
            Kind::Slow => Fault::Slow { delay_ms: self.delay_ms() },
            Kind::Loss => {
                let percent = self.percent;
                ensure!((0.0..=100.0).contains(&percent), "--percent {percent}: expected 0 to 100");
                Fault::Loss { percent }
            }
            Kind::Restart => Fault::Restart,
            Kind::Rolling => Fault::Rolling,
            Kind::Upgrade => {
                let program = self.program.clone().context("upgrade needs --program FILE")?;
                Fault::Upgrade { program: std::path::absolute(program)? }
            }
            Kind::DiskFull => Fault::DiskFull,
            Kind::SlowDisk => Fault::SlowDisk { pace: self.pace()? },
            Kind::Clock => {
                let rate = self.rate.unwrap_or(1.05);
                ensure!(CLOCK_RATES.contains(&rate), "--rate {rate}: a clock's is 0.1 to 10");
                Fault::Clock { rate }
            }
            Kind::OriginError => Fault::OriginError,
            Kind::OriginSlow => Fault::OriginSlow { delay_ms: self.delay_ms() },
        };
        Ok(Some(fault))
    }

    fn delay_ms(&self) -> u64 {
        let delay = self.delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        delay.unwrap_or(DELAY_MS)
    }

    fn pace(&self) -> anyhow::Result<Pace> {
        if let (Some(rate), None) = (self.rate, self.delay) {
            ensure!(DISK_RATES.contains(&rate), "--rate {rate}: a slow disk's is 1K to 1000M");
            return Ok(Pace { operations: None, bytes: Some(rate as u64) });
        }
        ensure!(self.rate.is_none(), "a slow disk has --delay or --rate, not both");
        let delay = self.delay_ms();
        ensure!(DISK_DELAY_MS.contains(&delay), "--delay {delay}ms: a slow disk's is 1ms to 1s");
        Ok(Pace { operations: Some(1_000 / delay), bytes: None })
    }
}

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let fault = arguments.fault()?;
    let scene = Scene::load(&context.state)?;
    let control = Control::open(&scene).await?;
    let Some(fault) = fault else {
        let sentence = match heal(&control, &arguments.whom).await? {
            0 => "nothing was broken".to_owned(),
            1 => "one fault healed".to_owned(),
            count => format!("{count} faults healed"),
        };
        say(context, &sentence, None);
        return Ok(ExitCode::SUCCESS);
    };
    let (word, lasts) = (fault.word(), fault.lasts());
    let id = control.inflict(fault, arguments.whom.clone(), arguments.last).await?;
    let words = [&[word.to_owned()], &arguments.whom[..]].concat().join(" ");
    let sentence = match (lasts, arguments.last) {
        (false, _) => format!("{words}: done"),
        (true, None) => format!("{words} as #{id}, until `testbed fault heal {id}`"),
        (true, Some(last)) => format!("{words} as #{id}, for {} s", last.as_secs_f64()),
    };
    say(context, &sentence, Some(id));
    Ok(ExitCode::SUCCESS)
}

async fn heal(control: &Control, ids: &[String]) -> anyhow::Result<usize> {
    if ids.is_empty() || ids.iter().any(|id| id == "all") {
        return control.heal(None).await;
    }
    let mut count = 0;
    for word in ids {
        let id = word.trim_start_matches('#').parse();
        let id = id.with_context(|| format!("{word:?}: expected the number of a fault, or all"))?;
        let ended = control.heal(Some(id)).await?;
        ensure!(ended > 0, "no fault #{id} lasts: `testbed status` shows those that do");
        count += ended;
    }
    Ok(count)
}

fn say(context: &Context, sentence: &str, id: Option<u64>) {
    match context.json {
        true => output::line(json!({ "said": sentence, "id": id })),
        false => output::line(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, rate) in [("1.05", 1.05), ("200K", 200_000.0), ("3M", 3e6), ("0.5k", 500.0)] {
            assert!((self::rate(text).unwrap() - rate).abs() < 1e-9, "{text}");
        }
        assert!(rate("fast").is_err() && rate("").is_err() && rate("K").is_err());
    }
}
