//! The simulator's command line: one seed to look at, many to search, mutants to prove the
//! checkers.
//!
//! A run that fails prints the command that replays it. Nothing is read from the environment, so
//! that a command line is all there is to a result.

mod arguments;
mod children;
mod progress;
mod printing;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use sim::{Figures, Keep, Level, Mutant, Profile, SEEDS_MAX, Setup, Size, Voters};

use arguments::{Arguments, Wish};
use children::{Counts, Errand};
use printing::Row;

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let mut out = io::stdout().lock();
    let done = match arguments {
        Ok(Arguments { wish: Wish::Help, .. }) => {
            arguments::help(&mut out).map(|()| ExitCode::SUCCESS)
        }
        Ok(Arguments { wish: Wish::One(seed, keep), profiles, mutant, level }) => {
            one(&mut out, (seed, level, keep), &profiles, mutant)
        }
        Ok(Arguments { wish: Wish::Many { from, count }, profiles, mutant, level }) => {
            many(&mut out, (from, count, level), &profiles, mutant)
        }
        Ok(Arguments { wish: Wish::Replay(count), profiles, level, .. }) => {
            replay(&mut out, (count, level), &profiles)
        }
        Ok(Arguments { wish: Wish::Tree(seeds), .. }) => tree(&mut out, seeds),
        Ok(Arguments { wish: Wish::Bandwidth(sizes), .. }) => bandwidth(&mut out, &sizes),
        Ok(Arguments { wish: Wish::Mutants(level), .. }) => mutants(&mut out, level),
        Err(error) => writeln!(io::stderr(), "{error}\ntry --help").map(|()| ExitCode::from(2)),
    };
    // A reader that went away, as `head` does, is no failure of the simulator.
    done.unwrap_or(ExitCode::SUCCESS)
}

fn exit(good: usize, all: usize) -> ExitCode {
    if good == all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed and says what happened.
fn one(
    out: &mut impl Write,
    (seed, level, keep): (u64, Level, Keep),
    profiles: &[Profile],
    mutant: Option<Mutant>,
) -> io::Result<ExitCode> {
    let mut good = 0;
    for profile in profiles {
        let report = sim::perform(Setup { seed, level, profile: *profile, mutant, keep });
        good += usize::from(report.is_good());
        printing::report(out, &report)?;
    }
    Ok(exit(good, profiles.len()))
}

/// Runs many seeds and counts.
fn many(
    out: &mut impl Write,
    (from, count, level): (u64, u64, Level),
    profiles: &[Profile],
    mutant: Option<Mutant>,
) -> io::Result<ExitCode> {
    let (mut good, mut runs, mut counts) = (0, 0, Counts::default());
    printing::head(out)?;
    let seeds = from..from.saturating_add(count);
    for (at, profile) in profiles.iter().enumerate() {
        let mut row = Row::of(*profile);
        let share = match level {
            // Long runs share the seeds out among the profiles.
            Level::L0 => (at, profiles.len()),
            Level::L1 => (0, 1),
        };
        let seeds = seeds.clone().skip(share.0).step_by(share.1);
        let errands: Vec<Errand> =
            seeds.map(|seed| Errand { seed, level, profile: *profile, mutant }).collect();
        for (errand, news) in errands.iter().zip(children::run_all(&errands)?) {
            row.add(errand, news);
        }
        good += usize::from(row.is_good());
        runs += errands.len();
        counts.add(row.counts());
        row.print(out)?;
    }
    printing::total(out, runs, counts)?;
    Ok(exit(good, profiles.len()))
}

/// Runs many seeds twice and compares.
fn replay(
    out: &mut impl Write,
    (count, level): (u64, Level),
    profiles: &[Profile],
) -> io::Result<ExitCode> {
    let (mut same, mut all) = (0, 0);
    for profile in profiles {
        let errand = |seed| Errand { seed, level, profile: *profile, mutant: None };
        let errands: Vec<Errand> = (0..count).map(errand).collect();
        let one = children::run_all(&errands)?;
        let other = children::run_all(&errands)?;
        for (errand, pair) in errands.iter().zip(one.iter().zip(&other)) {
            all += 1;
            let is_same = pair.0 == pair.1 && pair.0.trace.is_some();
            same += usize::from(is_same);
            if !is_same {
                writeln!(out, "two traces differ: {}", printing::replay(errand))?;
            }
        }
    }
    writeln!(out, "{same} of {all} runs had the same trace in two processes")?;
    Ok(exit(same, all))
}

/// Lets every mutant loose and says how soon it was caught.
fn mutants(out: &mut impl Write, level: Option<Level>) -> io::Result<ExitCode> {
    let mut caught = 0;
    let (mutant, rule, breaks) = ("mutant", "rule", "breaks");
    writeln!(out, "{mutant:<16} {rule:<4} {breaks:<10} level {:<10} {:>5}", "profile", "seeds")?;
    let wanted = |mutant: &Mutant| level.is_none_or(|level| mutant.level() == level);
    let hunted: Vec<Mutant> = Mutant::ALL.into_iter().filter(wanted).collect();
    for mutant in &hunted {
        let seeds = children::hunt(*mutant)?;
        caught += usize::from(seeds.is_some());
        let told = match seeds {
            Some(seeds) => seeds.to_string(),
            None => format!("survives {SEEDS_MAX}"),
        };
        let (name, rule, promise) = (mutant.as_str(), mutant.rule(), mutant.breaks());
        let (level, profile) = (mutant.level(), mutant.profile());
        writeln!(out, "{name:<16} {rule:<4} {promise:<10} {level:<5} {profile:<10} {told:>5}")?;
        out.flush()?;
    }
    Ok(exit(caught, hunted.len()))
}

/// Measures the large tree, wherever its voters stand.
fn tree(out: &mut impl Write, seeds: u64) -> io::Result<ExitCode> {
    let (mut good, places) = (0, [Voters::Near, Voters::Apart]);
    for voters in places {
        let mut figures = Figures::default();
        for seed in 1..=seeds {
            figures.add(sim::measure(voters, seed).map_err(io::Error::other)?);
        }
        good += usize::from(printing::tree::figures(out, voters, seeds, &figures)?);
    }
    Ok(exit(good, places.len()))
}

/// For how long a mesh is weighed at rest and under purges, the largest more shortly.
const SPANS: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(3)];
/// So many nodes are many.
const MANY: usize = 200;

/// Weighs meshes of these sizes.
fn bandwidth(out: &mut impl Write, sizes: &[Size]) -> io::Result<ExitCode> {
    printing::bandwidth::head(out)?;
    let mut lives = Vec::new();
    for size in sizes.iter().copied() {
        let span = SPANS[usize::from(size.nodes() > MANY)];
        let weighed = sim::weigh(size, span, 1).map_err(io::Error::other)?;
        for usage in &weighed.usages {
            printing::bandwidth::rows(out, usage)?;
        }
        lives.push((size, weighed));
    }
    printing::bandwidth::lives(out, &lives)?;
    Ok(ExitCode::SUCCESS)
}
