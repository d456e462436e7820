//! What the command line prints: a report for one seed, a table for many.
//!
//! Whatever failed comes with the command that runs it again. Nothing printed depends on the
//! machine, so that two outputs can be compared.

use std::io::{self, Write};

use sim::{Profile, Promise, Report, Setup, Tally};

/// The command that runs a report's seed again.
fn replay(setup: &Setup) -> String {
    let Setup { seed, profile, mutant, .. } = setup;
    let mutant = mutant.map(|mutant| format!(" --mutant {}", mutant.as_str()));
    format!("cargo run -p sim -- {seed} --profile {profile}{}", mutant.unwrap_or_default())
}

/// Says what happened in one run.
pub(crate) fn report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for line in &report.lines {
        writeln!(out, "{line}")?;
    }
    let Setup { seed, profile, .. } = report.setup;
    let verdict = match (report.stuck, report.violations.len()) {
        (Some(stuck), _) => stuck.to_string(),
        (None, 0) => "every promise was kept".to_owned(),
        (None, broken) => format!("promises were broken {broken} times"),
    };
    let Tally { nodes, visits, broken, fetches, whole, purges, applied, kills, cuts } =
        report.tally;
    writeln!(out, "seed {seed}, {profile}: {verdict}")?;
    writeln!(out, "  mesh     {nodes} nodes, {kills} kills, {cuts} links cut")?;
    writeln!(out, "  viewers  {visits} requests, {broken} answers broke off and said so")?;
    writeln!(out, "  origin   {fetches} requests, {whole} whole bodies")?;
    writeln!(out, "  purges   {purges} called, {applied} known to be applied everywhere")?;
    writeln!(out, "  trace    {:016x}", report.hash)?;
    for violation in &report.violations {
        writeln!(out, "  {violation}")?;
    }
    if !report.is_good() {
        writeln!(out, "  again    {} --trace", replay(&report.setup))?;
    }
    Ok(())
}

/// Prints the head of the table of many seeds.
pub(crate) fn head(out: &mut impl Write) -> io::Result<()> {
    write!(out, "{:<10} {:>7} {:>7} {:>7}", "profile", "seeds", "good", "stuck")?;
    for promise in Promise::ALL {
        write!(out, " {promise:>9}")?;
    }
    writeln!(out)
}

/// One line of the table: many seeds of one profile.
pub(crate) struct Row {
    profile: Profile,
    seeds: u64,
    good: u64,
    stuck: u64,
    broken: [u64; Promise::ALL.len()],
    first: Option<Report>,
}

impl Row {
    /// A line that counts nothing yet.
    pub(crate) fn of(profile: Profile) -> Row {
        let broken = [0; Promise::ALL.len()];
        Row { profile, seeds: 0, good: 0, stuck: 0, broken, first: None }
    }

    /// Counts one run.
    pub(crate) fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.good += u64::from(report.is_good());
        self.stuck += u64::from(report.stuck.is_some());
        for (count, promise) in self.broken.iter_mut().zip(Promise::ALL) {
            *count += u64::from(report.violations.iter().any(|one| one.promise == promise));
        }
        if !report.is_good() && self.first.is_none() {
            self.first = Some(report.clone());
        }
    }

    /// Whether every run was good.
    pub(crate) fn is_good(&self) -> bool {
        self.good == self.seeds
    }

    /// Prints the line, and the first run that failed.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Row { profile, seeds, good, stuck, .. } = self;
        write!(out, "{profile:<10} {seeds:>7} {good:>7} {stuck:>7}")?;
        for count in self.broken {
            write!(out, " {count:>9}")?;
        }
        writeln!(out)?;
        if let Some(first) = &self.first {
            match (first.stuck, first.violations.first()) {
                (Some(stuck), _) => writeln!(out, "  first: {stuck}")?,
                (None, Some(violation)) => writeln!(out, "  first: {violation}")?,
                (None, None) => {}
            }
            writeln!(out, "  again: {}", replay(&first.setup))?;
        }
        out.flush()
    }
}
