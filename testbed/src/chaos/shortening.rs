//! Finding the shortest schedule that still fails, by leaving pieces out (delta debugging, after
//! Zeller): first what began after the violation, then halves, quarters and so on, until no single
//! fault can be left out. It decides what to try; somebody else runs it.

use super::schedule::Schedule;

/// A search that goes on.
pub(super) struct Shortening {
    shortest: Schedule,
    /// What is left if faults after the violation are left out, while that has not been tried.
    first: Option<Schedule>,
    pieces: usize,
    /// Which piece is left out next.
    turn: usize,
}

impl Shortening {
    /// Begins with what failed, `at_ms` after the viewers began.
    pub(super) fn of(failing: &Schedule, at_ms: u64) -> Shortening {
        let steps = &failing.steps;
        let before: Vec<_> = steps.iter().filter(|step| step.at_ms < at_ms).cloned().collect();
        let is_less = !before.is_empty() && before.len() < steps.len();
        let first = is_less.then(|| failing.with(before));
        Shortening { shortest: failing.clone(), first, pieces: 2, turn: 0 }
    }

    pub(super) fn shortest(&self) -> &Schedule {
        &self.shortest
    }

    /// What is to be tried next; nothing if nothing more can be left out.
    pub(super) fn candidate(&self) -> Option<Schedule> {
        if let Some(first) = &self.first {
            return Some(first.clone());
        }
        let steps = &self.shortest.steps;
        if steps.len() < 2 || self.turn >= self.pieces {
            return None;
        }
        let size = steps.len().div_ceil(self.pieces);
        let from = (self.turn * size).min(steps.len() - 1);
        let to = (from + size).min(steps.len());
        let kept = steps[..from].iter().chain(&steps[to..]).cloned().collect();
        Some(self.shortest.with(kept))
    }

    /// The candidate still fails.
    pub(super) fn fails(&mut self, candidate: Schedule) {
        self.first = None;
        self.shortest = candidate;
        (self.pieces, self.turn) = (2, 0);
    }

    /// The candidate does not.
    pub(super) fn holds(&mut self) {
        if self.first.take().is_some() {
            return;
        }
        self.turn += 1;
        let most = self.shortest.steps.len();
        if self.turn * most.div_ceil(self.pieces) >= most && self.pieces < most {
            (self.pieces, self.turn) = ((self.pieces * 2).min(most), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(count: u64) -> Schedule {
        let steps: Vec<serde_json::Value> = (0..count)
            .map(|at_ms| {
                serde_json::json!({ "at_ms": at_ms * 1_000, "last_ms": 500,
                    "fault": { "kind": "kill" }, "whom": ["a"] })
            })
            .collect();
        let text = serde_json::json!({ "seed": 1, "for_ms": 600_000, "steps": steps });
        serde_json::from_value(text).unwrap()
    }

    /// What is found, and in how many runs, if these faults together make a run fail.
    fn search(count: u64, at_ms: u64, needed: &[u64]) -> (Vec<u64>, usize) {
        let mut search = Shortening::of(&schedule(count), at_ms);
        let begins = |schedule: &Schedule| -> Vec<u64> {
            schedule.steps.iter().map(|step| step.at_ms / 1_000).collect()
        };
        let mut runs = 0;
        while let Some(candidate) = search.candidate() {
            runs += 1;
            assert!(runs < 200, "the search does not end");
            let left = begins(&candidate);
            match needed.iter().all(|own| left.contains(own)) {
                true => search.fails(candidate),
                false => search.holds(),
            }
        }
        (begins(search.shortest()), runs)
    }

    #[test]
    fn exactly_the_faults_that_matter_are_left() {
        for count in [1, 2, 3, 7, 20] {
            for one in 0..count {
                assert_eq!(search(count, u64::MAX, &[one]).0, [one], "{one} of {count}");
                let last = count - 1;
                let mut both = vec![one, last];
                both.dedup();
                assert_eq!(search(count, u64::MAX, &both).0, both, "{both:?} of {count}");
            }
        }
    }

    #[test]
    fn what_began_after_the_violation_goes_first() {
        assert_eq!(search(20, 1_500, &[1]), (vec![1], 2));
        assert_eq!(search(20, 1_500, &[7]).0, [7]);
    }

    #[test]
    fn a_shorter_schedule_takes_less_time() {
        let short = schedule(20).with(schedule(2).steps);
        assert_eq!(short.for_ms, 1_000 + 500 + 5_000);
    }
}
