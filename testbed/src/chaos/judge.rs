//! The judge of a chaos run: every answer, against what was promised.
//!
//! A purge that is acknowledged as `fenced` promises: whoever asks from then on, on any host that
//! it covers, at any edge, whatever that edge has been through, gets the version that the origin
//! had when the purge was sent, or a later one, or no content at all. No answer may claim to be
//! whole and be of no version or torn. An error is excused only where a window says so: of a node
//! that a fault touches, until a lease after the fault; of everybody, while the origin is away. A
//! broken transfer is excused where a purge may have cut it.

use std::collections::BTreeMap;

use model::NodeName;
use serde::{Deserialize, Serialize};
use shoal::local::{End, Sight};
use std::time::Duration;
use tokio::time::Instant;

use super::catalogue::{Page, Scope};

/// Promises kept for each page, the latest.
const PROMISES_MAX: usize = 256;
/// Violations kept.
const VIOLATIONS_MAX: usize = 200;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Offence {
    /// Content older than a fenced purge allows.
    Stale,
    /// An answer that claims to be whole and is not what the origin sent.
    Wrong,
    /// An error where no window excuses one.
    Error,
    /// A transfer that broke off where nothing excuses it.
    BrokenOff,
    /// An acknowledged command that is gone.
    Lost,
    /// A mesh that does not come together again in time.
    Unsettled,
    /// More memory, descriptors or sockets than before.
    Leak,
    /// A process that ended by itself.
    Died,
    /// What the nodes' own canary found.
    Canary,
}

/// One offence, with everything known about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Violation {
    pub(crate) offence: Offence,
    pub(crate) at_ms: u64,
    pub(crate) what: String,
}

/// From when to when something is excused, and whom; everybody if nobody is named.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) begin: Instant,
    /// Open while the fault lasts.
    pub(crate) end: Option<Instant>,
    pub(crate) whom: Option<Vec<NodeName>>,
}

/// A purge on its way: what it covers may be cut off.
#[derive(Clone, Copy, Debug)]
struct Cutting {
    scope: Scope,
    begin: Instant,
    end: Option<Instant>,
}

/// The judge.
#[derive(Debug)]
pub(crate) struct Judge {
    began: Instant,
    promises: BTreeMap<Page, Vec<(Instant, u64)>>,
    pub(crate) windows: Vec<Window>,
    cuttings: Vec<Cutting>,
    pub(crate) violations: Vec<Violation>,
    /// Answers.
    pub(crate) seen: u64,
    /// Of these, whole ones for which something was promised.
    pub(crate) bound: u64,
    /// Errors and broken transfers inside of a window.
    pub(crate) excused: u64,
}

impl Judge {
    pub(crate) fn new() -> Judge {
        Judge {
            began: Instant::now(),
            promises: BTreeMap::new(),
            windows: Vec::new(),
            cuttings: Vec::new(),
            violations: Vec::new(),
            seen: 0,
            bound: 0,
            excused: 0,
        }
    }

    /// A purge was sent; the number ends it.
    pub(crate) fn cuts(&mut self, scope: Scope) -> usize {
        self.cuttings.push(Cutting { scope, begin: Instant::now(), end: None });
        self.cuttings.len() - 1
    }

    /// A purge was acknowledged as fenced, for these versions.
    pub(crate) fn promise(&mut self, pages: impl Iterator<Item = (Page, u64)>) {
        let since = Instant::now();
        for (page, version) in pages {
            let promises = self.promises.entry(page).or_default();
            if promises.len() >= PROMISES_MAX {
                promises.remove(0);
            }
            promises.push((since, version));
        }
    }

    /// Nothing is cut by this purge any more.
    pub(crate) fn cut(&mut self, number: usize, after: Duration) {
        self.cuttings[number].end = Some(Instant::now() + after);
    }

    pub(crate) fn accuse(&mut self, offence: Offence, what: String) {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { offence, at_ms, what });
        }
    }

    fn is_excused(&self, sight: &Sight) -> bool {
        self.windows.iter().any(|window| {
            let concerns = window.whom.as_ref().is_none_or(|whom| whom.contains(&sight.node));
            let ended = window.end.is_some_and(|end| end < sight.sent);
            concerns && window.begin <= sight.finished && !ended
        })
    }

    fn may_be_cut(&self, page: Page, sight: &Sight) -> bool {
        self.cuttings.iter().any(|cutting| {
            let ended = cutting.end.is_some_and(|end| end < sight.sent);
            cutting.scope.covers(page) && cutting.begin <= sight.finished && !ended
        })
    }

    /// One answer.
    pub(crate) fn hear(&mut self, page: Page, sight: &Sight) {
        self.seen += 1;
        if let End::Wrong(why) = &sight.end {
            self.accuse(Offence::Wrong, describe(page, sight, why));
            return;
        }
        let failed = sight.status.is_none_or(|status| !status.is_success());
        if failed {
            match self.is_excused(sight) {
                true => self.excused += 1,
                false => self.accuse(Offence::Error, describe(page, sight, "no window")),
            }
            return;
        }
        if sight.end == End::BrokenOff {
            match self.may_be_cut(page, sight) || self.is_excused(sight) {
                true => self.excused += 1,
                false => self.accuse(Offence::BrokenOff, describe(page, sight, "no purge")),
            }
        }
        let promises = self.promises.get(&page).into_iter().flatten();
        let due = promises.filter(|(since, _)| *since < sight.sent).map(|(_, version)| *version);
        if let (Some(least), Some(version)) = (due.max(), sight.version) {
            self.bound += 1;
            if version < least {
                let why = format!("version {least} or later was promised");
                self.accuse(Offence::Stale, describe(page, sight, &why));
            }
        }
    }
}

fn describe(page: Page, sight: &Sight, why: &str) -> String {
    let Sight { node, status, version, bytes, end, .. } = sight;
    let took = (sight.finished - sight.sent).as_millis();
    let status = status.map_or_else(|| "no answer".into(), |status| status.as_u16().to_string());
    let (host, path) = (page.host(), page.path());
    let seen = format!("{status}, version {version:?}, {bytes} bytes, {end:?}, {took} ms");
    format!("{node} {host}{path}: {seen}: {why}")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::chaos::catalogue::pages;

    fn sight(sent: Instant, version: u64) -> Sight {
        Sight {
            sent,
            finished: sent + Duration::from_millis(5),
            node: "edge".parse().unwrap(),
            path: "/a/1".into(),
            status: Some(StatusCode::OK),
            version: Some(version),
            bytes: 1,
            end: End::Whole,
        }
    }

    fn offences(judge: &Judge) -> Vec<Offence> {
        judge.violations.iter().map(|violation| violation.offence).collect()
    }

    #[test]
    fn old_content_is_an_offence_only_after_the_promise() {
        let page = pages().nth(1).unwrap();
        let mut judge = Judge::new();
        let before = Instant::now();
        judge.promise([(page, 2)].into_iter());
        let after = Instant::now() + Duration::from_millis(1);
        judge.hear(page, &sight(before, 1));
        judge.hear(page, &sight(after, 2));
        assert!(judge.violations.is_empty());
        judge.hear(page, &sight(after, 1));
        judge.hear(pages().next().unwrap(), &sight(after, 0));
        assert_eq!((offences(&judge), judge.bound), (vec![Offence::Stale], 2));
    }

    #[test]
    fn errors_need_a_window_and_broken_transfers_a_purge() {
        let page = pages().nth(1).unwrap();
        let mut judge = Judge::new();
        let now = Instant::now();
        let error = Sight { status: Some(StatusCode::BAD_GATEWAY), ..sight(now, 0) };
        let broken = Sight { end: End::BrokenOff, ..sight(now, 0) };
        judge.hear(page, &error);
        judge.hear(page, &broken);
        assert_eq!(offences(&judge), [Offence::Error, Offence::BrokenOff]);
        let cutting = judge.cuts(Scope::All);
        judge.cut(cutting, Duration::ZERO);
        judge.hear(page, &broken);
        let whom = Some(vec!["other".parse().unwrap()]);
        judge.windows.push(Window { begin: now, end: None, whom });
        judge.hear(page, &error);
        judge.windows.push(Window { begin: now, end: None, whom: None });
        judge.hear(page, &error);
        assert_eq!((judge.violations.len(), judge.excused), (3, 2));
    }
}
