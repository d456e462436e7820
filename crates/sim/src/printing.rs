//! What the command line prints: a report for one seed, a table for many.
//!
//! Whatever failed comes with the command that runs it again. Nothing printed depends on the
//! machine, so that two outputs can be compared.

use std::io::{self, Write};

use sim::{Profile, Promise, Report, Setup, Tally};

use crate::children::{Errand, News};

/// The command that makes a run again.
fn replay(errand: &Errand) -> String {
    format!("cargo run -p sim -- {}", errand.arguments().join(" "))
}

/// Says what happened in one run.
pub(crate) fn report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for line in &report.lines {
        writeln!(out, "{line}")?;
    }
    let Setup { seed, level, profile, mutant, .. } = report.setup;
    let verdict = match (report.stuck, report.violations.len()) {
        (Some(stuck), _) => stuck.to_string(),
        (None, 0) => "every promise was kept".to_owned(),
        (None, broken) => format!("promises were broken {broken} times"),
    };
    let Tally { nodes, visits, broken, fetches, whole, purges, fenced, .. } = report.tally;
    let Tally { lasted, kills, cuts, halts, .. } = report.tally;
    let lasted = lasted.as_secs();
    writeln!(out, "seed {seed}, {level}, {profile}: {verdict}")?;
    writeln!(out, "  mesh     {nodes} nodes, {kills} kills, {halts} halts, {cuts} links cut")?;
    writeln!(out, "  viewers  {visits} requests, {broken} answers broke off and said so")?;
    writeln!(out, "  origin   {fetches} requests, {whole} whole bodies")?;
    writeln!(out, "  purges   {purges} called, {fenced} known to be fenced")?;
    writeln!(out, "  time     {lasted} s")?;
    writeln!(out, "  trace    {:016x}", report.hash)?;
    for violation in &report.violations {
        writeln!(out, "  {violation}")?;
    }
    if !report.is_good() {
        writeln!(out, "  again    {} --trace", replay(&Errand { seed, level, profile, mutant }))?;
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
    first: Option<(Errand, News)>,
}

impl Row {
    /// A line that counts nothing yet.
    pub(crate) fn of(profile: Profile) -> Row {
        let broken = [0; Promise::ALL.len()];
        Row { profile, seeds: 0, good: 0, stuck: 0, broken, first: None }
    }

    /// Counts one run.
    pub(crate) fn add(&mut self, errand: &Errand, news: News) {
        self.seeds += 1;
        self.good += u64::from(news.good);
        self.stuck += u64::from(!news.good && news.violations.is_empty());
        for (count, promise) in self.broken.iter_mut().zip(Promise::ALL) {
            *count += u64::from(news.violations.iter().any(|(one, _)| *one == promise));
        }
        if !news.good && self.first.is_none() {
            self.first = Some((*errand, news));
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
        if let Some((errand, news)) = &self.first {
            let violation = news.violations.first().map(|(_, how)| how);
            writeln!(out, "  first: {}", violation.unwrap_or(&news.verdict))?;
            writeln!(out, "  again: {}", replay(errand))?;
        }
        out.flush()
    }
}
