//! What the origin knows: when what changed, how it is to answer, who asked, and who waits.
//!
//! The version of a path is the number of changes that concern it, so it also has one for every
//! moment that is past.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use tokio::sync::watch;
use tokio::time::Instant;

use super::manner::Manner;

/// Requests that are remembered, the latest; all are counted.
const ASKED_MAX: usize = 65_536;
/// Changes in the life of an origin.
const CHANGES_MAX: usize = 100_000;

/// A request as the origin got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When its head had come.
    pub at: Instant,
    /// Path without query.
    pub path: String,
    /// The method.
    pub method: Method,
    /// `If-None-Match`, as sent.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`, as sent.
    pub if_modified_since: Option<String>,
    /// `Range`, as sent.
    pub range: Option<String>,
    /// `Cache-Control`, as sent.
    pub cache_control: Option<String>,
    /// The version with which it is answered.
    pub version: u64,
}

struct Change {
    at: Instant,
    /// All paths, if not said.
    path: Option<String>,
}

#[derive(Default)]
struct Facts {
    changes: Vec<Change>,
    manners: BTreeMap<String, Manner>,
    counts: BTreeMap<String, u64>,
    asked: VecDeque<Asked>,
    gates: BTreeMap<String, watch::Sender<u64>>,
    delay: Duration,
    ailment: Option<StatusCode>,
}

/// What the origin knows.
#[derive(Default)]
pub(super) struct Scene {
    facts: Mutex<Facts>,
    released: watch::Sender<bool>,
}

impl Facts {
    fn version(&self, path: Option<&str>, at: Instant) -> u64 {
        let concerns = |change: &&Change| {
            change.at <= at && (change.path.is_none() || change.path.as_deref() == path)
        };
        self.changes.iter().filter(concerns).count() as u64
    }

    fn change(&mut self, path: Option<&str>) -> u64 {
        assert!(self.changes.len() < CHANGES_MAX, "an origin changes at most {CHANGES_MAX} times");
        let at = Instant::now();
        self.changes.push(Change { at, path: path.map(str::to_owned) });
        self.version(path, at)
    }
}

impl Scene {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of one path, or of what no path changed by itself.
    pub(super) fn version(&self, path: Option<&str>) -> u64 {
        self.facts().version(path, Instant::now())
    }

    pub(super) fn change(&self, path: Option<&str>) -> u64 {
        self.facts().change(path)
    }

    pub(super) fn count(&self, path: &str) -> u64 {
        self.facts().counts.get(path).copied().unwrap_or(0)
    }

    pub(super) fn count_all(&self) -> u64 {
        self.facts().counts.values().sum()
    }

    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        self.facts().asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    pub(super) fn behave(&self, path: &str, manner: Manner) {
        self.facts().manners.insert(path.to_owned(), manner);
    }

    pub(super) fn manner(&self, path: &str) -> Manner {
        self.facts().manners.get(path).cloned().unwrap_or_default()
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.facts().delay = delay;
    }

    pub(super) fn delay(&self) -> Duration {
        self.facts().delay
    }

    pub(super) fn set_ailment(&self, error: Option<StatusCode>) {
        self.facts().ailment = error;
    }

    pub(super) fn ailment(&self) -> Option<StatusCode> {
        self.facts().ailment
    }

    /// Notes a request; its version is that of now, or of as long ago as the origin admits.
    pub(super) fn note(
        &self,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
        age: Option<Duration>,
    ) -> u64 {
        let mut facts = self.facts();
        let at = Instant::now();
        let then = age.map_or(Some(at), |age| at.checked_sub(age));
        let version = then.map_or(0, |then| facts.version(Some(path), then));
        *facts.counts.entry(path.to_owned()).or_default() += 1;
        if facts.asked.len() >= ASKED_MAX {
            facts.asked.pop_front();
        }
        let field = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
        facts.asked.push_back(Asked {
            at,
            path: path.to_owned(),
            method: method.clone(),
            if_none_match: field(header::IF_NONE_MATCH),
            if_modified_since: field(header::IF_MODIFIED_SINCE),
            range: field(header::RANGE),
            cache_control: field(header::CACHE_CONTROL),
            version,
        });
        version
    }

    /// The gate of a path: it counts how often what waits there was let go.
    pub(super) fn gate(&self, path: &str) -> watch::Receiver<u64> {
        self.facts().gates.entry(path.to_owned()).or_default().subscribe()
    }

    pub(super) fn let_go(&self, path: &str) {
        self.facts().gates.entry(path.to_owned()).or_default().send_modify(|times| *times += 1);
    }

    pub(super) fn release(&self) {
        self.released.send_replace(true);
    }

    pub(super) async fn released(&self) {
        // Fails only if the sender is gone, which is ours.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_changes_by_itself_and_with_all_and_has_had_every_version() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let change =
            |seconds, path: Option<&str>| Change { at: at(seconds), path: path.map(str::to_owned) };
        let changes = vec![change(1, Some("/a")), change(2, None), change(3, Some("/b"))];
        let facts = Facts { changes, ..Facts::default() };
        for (path, seconds, version) in [
            (Some("/a"), 0, 0),
            (Some("/a"), 1, 1),
            (Some("/a"), 9, 2),
            (Some("/b"), 2, 1),
            (Some("/b"), 3, 2),
            (None, 9, 1),
        ] {
            assert_eq!(facts.version(path, at(seconds)), version, "{path:?} after {seconds} s");
        }
    }

    #[test]
    fn an_origin_that_admits_an_age_answers_with_what_it_had_then() {
        let scene = Scene::default();
        scene.change(Some("/a"));
        let note = |age| scene.note("/a", &Method::GET, &HeaderMap::new(), age);
        assert_eq!(note(None), 1);
        assert_eq!(note(Some(Duration::from_secs(60))), 0);
        let versions: Vec<u64> = scene.asked("/a").iter().map(|asked| asked.version).collect();
        assert_eq!((versions, scene.count("/a")), (vec![1, 0], 2));
    }
}
