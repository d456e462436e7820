//! Many runs, each in a process of its own, because only the first run of a process is the same
//! everywhere.
//!
//! A child is this program again with one seed, and its report is what anybody would read. As many
//! run at once as the machine has processors; what is printed does not depend on that.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sim::{Level, Mutant, Profile, Promise, SEEDS_MAX};

use crate::progress::Progress;

/// A run that a child is to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    /// Decides everything.
    pub(crate) seed: u64,
    /// What is real.
    pub(crate) level: Level,
    /// How much goes wrong.
    pub(crate) profile: Profile,
    /// The rule that is broken on purpose, if one is.
    pub(crate) mutant: Option<Mutant>,
}

/// How much happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Virtual time.
    pub(crate) seconds: u64,
    /// Viewers' requests.
    pub(crate) visits: u64,
    /// Purges called.
    pub(crate) purges: u64,
    /// Of these, known to be fenced.
    pub(crate) fenced: u64,
}

impl Counts {
    /// Adds another run's.
    pub(crate) fn add(&mut self, other: Counts) {
        self.seconds += other.seconds;
        self.visits += other.visits;
        self.purges += other.purges;
        self.fenced += other.fenced;
    }
}

/// What a child reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// What became of the run, in a sentence.
    pub(crate) verdict: String,
    /// Whether it came to its end and every promise was kept.
    pub(crate) good: bool,
    /// The hash over all that happened.
    pub(crate) trace: Option<String>,
    /// How much of it there was.
    pub(crate) counts: Counts,
    /// The promises that were broken, and how, in the order of time.
    pub(crate) violations: Vec<(Promise, String)>,
}

impl Errand {
    /// The arguments of the run.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Errand { seed, level, profile, mutant } = self;
        let mut words = vec![seed.to_string(), "--level".into(), level.to_string()];
        words.extend(["--profile".into(), profile.to_string()]);
        words.extend(mutant.iter().flat_map(|one| ["--mutant".into(), one.as_str().into()]));
        words
    }

    /// Makes the run.
    pub(crate) fn run(&self) -> io::Result<News> {
        let child = Command::new(std::env::current_exe()?).args(self.arguments()).output()?;
        let good = child.status.success();
        Ok(read(good, &String::from_utf8_lossy(&child.stdout)))
    }
}

fn read(good: bool, report: &str) -> News {
    let mut lines = report.lines();
    let verdict = lines.next().and_then(|line| line.split_once(": "));
    let verdict = verdict.map_or("the run crashed", |(_, verdict)| verdict).to_owned();
    let violation = |line: &str| {
        let line = line.trim_start();
        let name = line.split_once(" at ")?.0;
        let promise = Promise::ALL.into_iter().find(|promise| promise.as_str() == name)?;
        Some((promise, line.to_owned()))
    };
    let after = |word: &str| {
        let line = report.lines().find(|line| line.trim_start().starts_with(word))?;
        Some(line.trim_start().trim_start_matches(word).trim_start().to_owned())
    };
    let numbers = |word: &str| -> Vec<u64> {
        let said = after(word).unwrap_or_default();
        said.split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|one| one.parse().ok())
            .collect()
    };
    let first = |numbers: Vec<u64>, at: usize| numbers.get(at).copied().unwrap_or_default();
    let counts = Counts {
        seconds: first(numbers("time "), 0),
        visits: first(numbers("viewers "), 0),
        purges: first(numbers("purges "), 0),
        fenced: first(numbers("purges "), 1),
    };
    let trace = after("trace ");
    News { verdict, good, trace, counts, violations: lines.filter_map(violation).collect() }
}

/// Makes runs, and shows how far it is.
pub(crate) fn run_all(errands: &[Errand]) -> io::Result<Vec<News>> {
    let progress = Progress::of(errands.len());
    let run = |errand: &Errand| {
        let news = errand.run();
        news.iter().for_each(|news| progress.note(news));
        news
    };
    let news = each(errands, run);
    progress.clear();
    news
}

/// Does `work` with every item, several at once; what came of it is in the order of the items.
fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> io::Result<R> + Sync,
) -> io::Result<Vec<R>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(number, result);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(worker))));
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_values().collect()
}

/// Looks for a mutant: how many seeds it took until its checker caught it where the healthy mesh
/// kept the promise; nothing if it survives [`SEEDS_MAX`] of them. A few seeds are tried at once.
pub(crate) fn hunt(hunted: Mutant) -> io::Result<Option<u64>> {
    let breaks = |seed, mutant| -> io::Result<bool> {
        let news =
            Errand { seed, level: hunted.level(), profile: hunted.profile(), mutant }.run()?;
        Ok(news.violations.iter().any(|(promise, _)| *promise == hunted.breaks()))
    };
    let seeds: Vec<u64> = (0..SEEDS_MAX).collect();
    for some in seeds.chunks(thread::available_parallelism().map_or(1, usize::from)) {
        let broken = each(some, |seed| breaks(*seed, Some(hunted)))?;
        for seed in some.iter().zip(broken).filter(|(_, broken)| *broken).map(|(seed, _)| *seed) {
            if !breaks(seed, None)? {
                return Ok(Some(seed + 1));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back() {
        let good = read(true, "seed 1, calm: every promise was kept\n  mesh     5 nodes\n");
        assert_eq!((good.verdict.as_str(), good.violations.len()), ("every promise was kept", 0));
        let bad = "seed 1, calm: promises were broken 1 times\n  fenced at 3.000 ms: so\n";
        let so = (Promise::Fenced, "fenced at 3.000 ms: so".to_owned());
        assert_eq!(read(false, bad).violations, [so]);
        assert_eq!(read(false, "").verdict, "the run crashed");
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        assert_eq!(each(&items, |item| Ok(*item)).unwrap(), items);
    }
}
