//! `testbed load`: viewers for a while, and what they saw.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use shoal::output::{self, BAD, BOLD, paint};

use crate::cli::{Context, duration};
use crate::control::{Ask, Control};
use crate::keeper::HOSTS;
use crate::load::{Load, Profile};
use crate::scene::Scene;

/// Ask edges for objects at a rate, and say what came of it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which objects are asked for.
    #[arg(long, value_enum, default_value = "zipf")]
    profile: Profile,
    /// Requests per second, over all edges.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// For how long.
    #[arg(long = "for", value_parser = duration, default_value = "10s", value_name = "60s")]
    last: Duration,
    /// Connections to each edge.
    #[arg(long, default_value_t = 16)]
    viewers: usize,
    /// How many objects there are.
    #[arg(long, default_value_t = 2_000)]
    objects: usize,
    /// Bytes of each object.
    #[arg(long, default_value_t = 4_096)]
    bytes: usize,
    /// What the objects are drawn from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Runs the command. An error that a viewer saw makes it fail.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scene = Scene::load(&context.state)?;
    let control = Control::open(&scene).await?;
    let before: u64 = control.ask(&Ask::OriginRequests).await?;
    let load = Load {
        profile: arguments.profile,
        rate: arguments.rate,
        last: arguments.last,
        viewers: arguments.viewers,
        objects: arguments.objects,
        bytes: arguments.bytes,
        seed: arguments.seed,
    };
    let tally = load.run(&scene, HOSTS[0]).await?;
    let asked: u64 = control.ask::<u64>(&Ask::OriginRequests).await? - before;
    let mut seen = tally.to_json();
    seen["origin_requests"] = json!(asked);
    match context.json {
        true => output::line(&seen),
        false => tell(&seen),
    }
    for failure in &tally.failures {
        output::note(format!("{} {failure}", paint(BAD, "failed:")));
    }
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(seen: &Value) {
    let number = |key: &str| seen[key].as_f64().unwrap_or(0.0);
    output::line(paint(
        BOLD,
        format!(
            "{} requests in {:.0} s, {:.0} a second, {} failed, {} not sent in time",
            seen["requests"],
            number("seconds"),
            number("per_second"),
            seen["failed"],
            seen["unsent"]
        ),
    ));
    output::line(format!(
        "answered at the edge {:.1} %, within the region {:.1} %, within the mesh {:.1} %; the \
         origin was asked {} times",
        100.0 * number("hit_ratio_edge"),
        100.0 * number("hit_ratio_region"),
        100.0 * number("hit_ratio_mesh"),
        seen["origin_requests"],
    ));
    output::line(format!(
        "{:<10}{:>9}{:>11}{:>11}{:>11}{:>11}",
        "from", "answers", "p50 ms", "p90 ms", "p99 ms", "max ms"
    ));
    for row in seen["by_source"].as_array().into_iter().flatten() {
        let ms = |key: &str| row[key].as_f64().unwrap_or(0.0);
        output::line(format!(
            "{:<10}{:>9}{:>11.2}{:>11.2}{:>11.2}{:>11.2}",
            row["source"].as_str().unwrap_or(""),
            row["answers"],
            ms("p50_ms"),
            ms("p90_ms"),
            ms("p99_ms"),
            ms("max_ms")
        ));
    }
}
