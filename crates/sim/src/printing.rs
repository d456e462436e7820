//! What the command line prints: a report for one seed, a table for many.
//!
//! Whatever failed comes with the command that runs it again. Nothing printed depends on the
//! machine, so that two outputs can be compared.

pub(crate) mod bandwidth;
pub(crate) mod tree;

use std::io::{self, Write};

use sim::{Profile, Promise, Report, Setup, Tally};

use crate::children::{Counts, Errand, News};

/// The command that makes a run again.
pub(crate) fn replay(errand: &Errand) -> String {
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
    let Tally { lasted, kills, cuts, halts, recovered, .. } = report.tally;
    let lasted = lasted.as_secs();
    writeln!(out, "seed {seed}, {level}, {profile}: {verdict}")?;
    writeln!(out, "  mesh     {nodes} nodes, {kills} kills, {halts} halts, {cuts} links cut")?;
    writeln!(out, "  viewers  {visits} requests, {broken} answers broke off and said so")?;
    writeln!(out, "  origin   {fetches} requests, {whole} whole bodies")?;
    writeln!(out, "  purges   {purges} called, {fenced} known to be fenced")?;
    writeln!(out, "  time     {lasted} s")?;
    writeln!(out, "  healed   {recovered:?} after the last fault every node held a lease")?;
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
    write!(out, "{:<10} {:>6} {:>6} {:>6}", "profile", "seeds", "good", "stuck")?;
    write!(out, " {:>7} {:>8} {:>8}", "hours", "visits", "fenced")?;
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
    counts: Counts,
    broken: [u64; Promise::ALL.len()],
    failures: Vec<(Errand, News)>,
}

/// So many runs that failed are told of in a row.
const FAILURES_MAX: usize = 10;

impl Row {
    /// A line that counts nothing yet.
    pub(crate) fn of(profile: Profile) -> Row {
        let broken = [0; Promise::ALL.len()];
        let (counts, failures) = (Counts::default(), Vec::new());
        Row { profile, seeds: 0, good: 0, stuck: 0, counts, broken, failures }
    }

    /// Counts one run.
    pub(crate) fn add(&mut self, errand: &Errand, news: News) {
        self.seeds += 1;
        self.good += u64::from(news.good);
        self.counts.add(news.counts);
        self.stuck += u64::from(!news.good && news.violations.is_empty());
        for (count, promise) in self.broken.iter_mut().zip(Promise::ALL) {
            *count += u64::from(news.violations.iter().any(|(one, _)| *one == promise));
        }
        if !news.good && self.failures.len() < FAILURES_MAX {
            self.failures.push((*errand, news));
        }
    }

    /// Whether every run was good.
    pub(crate) fn is_good(&self) -> bool {
        self.good == self.seeds
    }

    /// How much happened in all runs.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Prints the line, and the first runs that failed.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Row { profile, seeds, good, stuck, .. } = self;
        let Counts { seconds, visits, fenced, .. } = self.counts;
        let hours = seconds as f64 / 3_600.0;
        write!(out, "{profile:<10} {seeds:>6} {good:>6} {stuck:>6}")?;
        write!(out, " {hours:>7.1} {visits:>8} {fenced:>8}")?;
        for count in self.broken {
            write!(out, " {count:>9}")?;
        }
        writeln!(out)?;
        for (errand, news) in &self.failures {
            let violation = news.violations.first().map(|(_, how)| how);
            writeln!(out, "  failed: {}", violation.unwrap_or(&news.verdict))?;
            writeln!(out, "  again:  {}", replay(errand))?;
        }
        out.flush()
    }
}

/// Prints what all rows come to.
pub(crate) fn total(out: &mut impl Write, seeds: usize, counts: Counts) -> io::Result<()> {
    let Counts { seconds, fenced, .. } = counts;
    let hours = seconds as f64 / 3_600.0;
    writeln!(out, "total: {seeds} runs, {hours:.1} simulated hours, {fenced} purges known fenced")
}
