//! The judge: what readers saw, against what was promised about purges.
//!
//! A promise is made when a purge is acknowledged, after the origin had moved on: whoever asks from
//! then on gets that version or a later one, or is refused. Requests sent before promise nothing.

use std::fmt;

use anyhow::{Result, ensure};
use model::{Level, NodeName};
use shoal::local::{End, Process, Sight};
use tokio::time::Instant;

use crate::cluster::stage::Stage;

/// How many offences a verdict shows.
const SHOWN: usize = 5;

/// From `since` on, `path` is `version` or later.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) path: String,
    pub(crate) version: u64,
    /// When the origin changed, before the purge was asked for.
    pub(crate) begun: Instant,
    /// After the acknowledgement was read.
    pub(crate) since: Instant,
}

/// What the judge found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Answers to requests for which something was promised.
    pub(crate) judged: usize,
    /// Answers that are errors.
    pub(crate) refused: usize,
    /// Requests without an answer.
    pub(crate) unanswered: usize,
    /// Answers that were cut, and say so.
    pub(crate) broken_off: usize,
    /// Those of them that no purge overtook: nothing allowed that.
    pub(crate) dropped: Vec<Sight>,
    /// Content older than was promised; parts of it count too.
    pub(crate) stale: Vec<Sight>,
    /// Content that no version of the origin ever was.
    pub(crate) wrong: Vec<Sight>,
}

impl Verdict {
    /// Of everything that was seen.
    pub(crate) fn of<'a>(
        sights: impl IntoIterator<Item = &'a Sight>,
        promises: &[Promise],
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for sight in sights {
            verdict.hear(sight, promises);
        }
        verdict
    }

    /// Of what these nodes answered.
    pub(crate) fn about(nodes: &[NodeName], sights: &[Sight], promises: &[Promise]) -> Verdict {
        Verdict::of(sights.iter().filter(|sight| nodes.contains(&sight.node)), promises)
    }

    fn hear(&mut self, sight: &Sight, promises: &[Promise]) {
        match &sight.end {
            End::Wrong(_) => self.wrong.push(sight.clone()),
            End::NoAnswer => self.unanswered += 1,
            End::BrokenOff => {
                self.broken_off += 1;
                if !promises.iter().any(|promise| promise.overtakes(sight)) {
                    self.dropped.push(sight.clone());
                }
            }
            End::Whole => {}
        }
        if sight.status.is_some_and(|status| !status.is_success()) {
            self.refused += 1;
            return;
        }
        let due = promises.iter().filter(|promise| promise.binds(sight));
        if let (Some(version), Some(least)) =
            (sight.version, due.map(|promise| promise.version).max())
        {
            self.judged += 1;
            if version < least {
                self.stale.push(sight.clone());
            }
        }
    }

    /// No old content, no wrong content, and at least `least` answers to judge by.
    pub(crate) fn is_clean(&self, least: usize) -> Result<()> {
        let offence = self.stale.first().or(self.wrong.first());
        ensure!(offence.is_none(), "{self}");
        ensure!(self.judged >= least, "too little was seen: {self}");
        Ok(())
    }
}

impl Promise {
    /// The origin changes what `target` names, and `through` acknowledges its purge at `level`.
    pub(crate) async fn by_purge(
        stage: &Stage,
        through: &Process,
        target: &str,
        level: Level,
    ) -> Result<Promise> {
        let path = target.split('?').next().unwrap_or(target);
        let begun = Instant::now();
        let version = stage.origin.raise(path);
        let key = format!("{path} {version}");
        stage.purge_until(through, target, &key, level).await?;
        Ok(Promise::kept(path, version, begun))
    }

    /// `path` is `version` or later from now on, by a purge `begun` then.
    pub(crate) fn kept(path: &str, version: u64, begun: Instant) -> Promise {
        Promise { path: path.to_owned(), version, begun, since: Instant::now() }
    }

    fn binds(&self, sight: &Sight) -> bool {
        sight.path == self.path && sight.sent > self.since
    }

    /// Whether the answer was on its way while the purge was: it may be cut (I2).
    fn overtakes(&self, sight: &Sight) -> bool {
        sight.path == self.path && sight.sent <= self.since && sight.finished >= self.begun
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { judged, refused, unanswered, broken_off, dropped, stale, wrong } = self;
        let (old, bad, cut) = (stale.len(), wrong.len(), dropped.len());
        write!(f, "{judged} judged, {old} stale, {bad} wrong, {refused} refused, ")?;
        write!(f, "{unanswered} unanswered, {broken_off} broken off, ")?;
        write!(f, "{cut} of them by no purge")?;
        for sight in stale.iter().chain(wrong).chain(dropped).take(SHOWN) {
            let Sight { node, path, version, bytes, end, .. } = sight;
            let took = (sight.finished - sight.sent).as_millis();
            write!(f, "\n  {node} {path} version {version:?}, {bytes} bytes {end:?}, {took} ms")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::slice;
    use std::time::Duration;

    use http::StatusCode;

    use super::*;

    fn sight(sent: Instant, version: u64) -> Sight {
        Sight {
            sent,
            finished: sent,
            node: "edge".parse().unwrap(),
            path: "/a".into(),
            status: Some(StatusCode::OK),
            version: Some(version),
            bytes: 1,
            end: End::Whole,
        }
    }

    #[test]
    fn only_what_was_asked_after_the_promise_is_held_to_it() {
        let since = Instant::now();
        let later = since + Duration::from_millis(1);
        let promises = [
            Promise { path: "/a".into(), version: 2, begun: since, since },
            Promise { path: "/a".into(), version: 1, begun: since, since },
            Promise { path: "/b".into(), version: 9, begun: since, since },
        ];
        let refused = Sight { status: Some(StatusCode::BAD_GATEWAY), ..sight(later, 0) };
        let cut = Sight { end: End::BrokenOff, ..sight(later, 1) };
        let wrong = Sight { end: End::Wrong("torn".into()), version: None, ..sight(since, 0) };
        for (seen, judged, stale, bad) in [
            (sight(since, 0), 0, 0, 0),
            (sight(later, 2), 1, 0, 0),
            (sight(later, 3), 1, 0, 0),
            (sight(later, 1), 1, 1, 0),
            (refused, 0, 0, 0),
            (cut, 1, 1, 0),
            (wrong, 0, 0, 1),
        ] {
            let verdict = Verdict::of([&seen], &promises);
            let found = (verdict.judged, verdict.stale.len(), verdict.wrong.len());
            assert_eq!(found, (judged, stale, bad), "{seen:?}");
            assert_eq!(verdict.is_clean(0).is_ok(), stale + bad == 0, "{seen:?}");
        }
    }

    #[test]
    fn only_an_answer_on_its_way_while_a_purge_is_may_be_cut() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let promise = Promise { path: "/a".into(), version: 1, begun: at(10), since: at(20) };
        for (sent, finished, path, dropped) in [
            (0, 9, "/a", 1),
            (0, 10, "/a", 0),
            (15, 30, "/a", 0),
            (20, 40, "/a", 0),
            (21, 40, "/a", 1),
            (15, 30, "/b", 1),
        ] {
            let path = path.into();
            let cut =
                Sight { finished: at(finished), path, end: End::BrokenOff, ..sight(at(sent), 1) };
            let verdict = Verdict::of([&cut], slice::from_ref(&promise));
            assert_eq!((verdict.broken_off, verdict.dropped.len()), (1, dropped), "{cut:?}");
        }
    }
}
