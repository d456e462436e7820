//! Progress: one line on a terminal, written over and over, for runs that take long.
//!
//! It goes to the standard error, and only where somebody sits before it: what is kept of a run is
//! what is printed at its end.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use crate::children::{Counts, News};

/// How far many runs are.
pub(crate) struct Progress {
    all: usize,
    is_shown: bool,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    done: usize,
    failed: usize,
    counts: Counts,
}

impl Progress {
    /// Nothing yet of so many runs.
    pub(crate) fn of(all: usize) -> Progress {
        Progress { all, is_shown: io::stderr().is_terminal(), so_far: Mutex::default() }
    }

    /// One run more. A terminal that takes nothing is nobody's trouble.
    pub(crate) fn note(&self, news: &News) {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        so_far.done += 1;
        so_far.failed += usize::from(!news.good);
        so_far.counts.add(news.counts);
        if self.is_shown {
            let SoFar { done, failed, counts: Counts { seconds, fenced, .. } } = &*so_far;
            let (all, hours) = (self.all, *seconds as f64 / 3_600.0);
            let line = format!(
                "{done} of {all} runs, {failed} failed, {hours:.1} simulated hours, {fenced} fenced"
            );
            drop(write!(io::stderr(), "\r\x1b[K{line}"));
        }
    }

    /// The line goes.
    pub(crate) fn clear(&self) {
        if self.is_shown {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}
