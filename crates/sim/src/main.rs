//! The simulator's command line: one seed to look at, many to search, mutants to prove the
//! checkers.
//!
//! A run that fails prints the command that replays it. Nothing is read from the environment, so
//! that a command line is all there is to a result.

mod arguments;
mod children;
mod printing;

use std::io::{self, Write};
use std::process::ExitCode;

use sim::{Keep, Level, Mutant, Profile, SEEDS_MAX, Setup};

use arguments::{Arguments, Wish};
use children::Errand;
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
        Ok(Arguments { wish: Wish::Mutants, .. }) => mutants(&mut out),
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
    let mut good = 0;
    printing::head(out)?;
    for profile in profiles {
        let mut row = Row::of(*profile);
        let seeds = from..from.saturating_add(count);
        let errands: Vec<Errand> =
            seeds.map(|seed| Errand { seed, level, profile: *profile, mutant }).collect();
        for (errand, news) in errands.iter().zip(children::each(&errands, Errand::run)?) {
            row.add(errand, news);
        }
        good += usize::from(row.is_good());
        row.print(out)?;
    }
    Ok(exit(good, profiles.len()))
}

/// Lets every mutant loose and says how soon it was caught.
fn mutants(out: &mut impl Write) -> io::Result<ExitCode> {
    let mut caught = 0;
    let (mutant, rule, breaks) = ("mutant", "rule", "breaks");
    writeln!(out, "{mutant:<16} {rule:<4} {breaks:<10} level {:<10} {:>5}", "profile", "seeds")?;
    let hunts = children::each(&Mutant::ALL, |mutant| children::hunt(*mutant))?;
    for (mutant, seeds) in Mutant::ALL.into_iter().zip(hunts) {
        caught += usize::from(seeds.is_some());
        let told = match seeds {
            Some(seeds) => seeds.to_string(),
            None => format!("survives {SEEDS_MAX}"),
        };
        let (name, rule, promise) = (mutant.as_str(), mutant.rule(), mutant.breaks());
        let (level, profile) = (mutant.level(), mutant.profile());
        writeln!(out, "{name:<16} {rule:<4} {promise:<10} {level:<5} {profile:<10} {told:>5}")?;
    }
    Ok(exit(caught, Mutant::ALL.len()))
}
