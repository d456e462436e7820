//! The figures of the large tree as Markdown, with what they should be beside them.

use std::io::{self, Write};
use std::time::Duration;

use sim::{CutOff, Figures, Measured, ScopeKind, Voters, percentile};

/// What every scope should keep to, in milliseconds, and as a multiple of the bound.
const IN_EFFECT_MS: [u128; 2] = [150, 400];
const OF_BOUND: f64 = 1.5;
const FENCED_MS: u128 = 1_000;

/// Prints what so many seeds gave; says whether all of it is as it should be.
pub(crate) fn figures(
    out: &mut impl Write,
    voters: Voters,
    seeds: u64,
    figures: &Figures,
) -> io::Result<bool> {
    let place = match voters {
        Voters::Near => "voters in neighbouring regions, 20 to 36 ms apart",
        Voters::Apart => "voters as far apart as can be, 86 ms",
    };
    let Figures { nodes, wait, scopes, cut_off } = figures;
    writeln!(out, "{nodes} nodes, {place}, seeds 1 to {seeds}\n")?;
    write!(out, "| scope | purges | in effect p50 | p99 | applied p50 | p99 | of the bound p50")?;
    writeln!(out, " | worst | fenced p50 | p99 | worst |\n|---|{}", "---|".repeat(10))?;
    let mut good = true;
    for kind in ScopeKind::ALL {
        let measured = scopes.get(&kind).cloned().unwrap_or_default();
        row(out, kind.as_str(), &measured)?;
        good &= is_good(&measured);
    }
    row(out, "every", &figures.all())?;
    let [p50, p99] = IN_EFFECT_MS;
    writeln!(out, "| limit | | {p50} | {p99} | | | | {OF_BOUND:.2} | | {FENCED_MS} | |\n")?;
    let worst = |of: fn(&CutOff) -> Duration| cut_off.iter().map(of).max().unwrap_or_default();
    let (called, committed) = (worst(|one| one.called), worst(|one| one.committed));
    writeln!(
        out,
        "One node cut off: fenced {} ms after the call, {} ms after the commit; W is {} ms.\n",
        called.as_millis(),
        committed.as_millis(),
        wait.as_millis()
    )?;
    out.flush()?;
    Ok(good)
}

fn row(out: &mut impl Write, name: &str, measured: &Measured) -> io::Result<()> {
    let Measured { in_effect, applied, fenced, .. } = measured;
    let of = |values: &[Duration], percent| percentile(values, percent).as_millis();
    let mut ratios: Vec<f64> = measured.of_bound().collect();
    ratios.sort_by(f64::total_cmp);
    let half = ratios.get(ratios.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let worst = ratios.last().copied().unwrap_or_default();
    write!(out, "| {name} | {}", applied.len())?;
    for values in [in_effect, applied] {
        write!(out, " | {} | {}", of(values, 50), of(values, 99))?;
    }
    write!(out, " | {half:.2} | {worst:.2}")?;
    writeln!(out, " | {} | {} | {} |", of(fenced, 50), of(fenced, 99), of(fenced, 100))
}

fn is_good(measured: &Measured) -> bool {
    let Measured { in_effect, fenced, .. } = measured;
    let [p50, p99] = IN_EFFECT_MS;
    let within = |values, percent, limit| percentile(values, percent).as_millis() <= limit;
    within(in_effect, 50, p50)
        && within(in_effect, 99, p99)
        && within(fenced, 99, FENCED_MS)
        && measured.of_bound().all(|ratio| ratio <= OF_BOUND)
}
