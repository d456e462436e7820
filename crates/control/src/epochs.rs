//! The invalidation map of one distribution: what was purged → the last position at which.
//!
//! It is state, not a log (rule R15): a look-up costs the same however many purges were ever made,
//! and memory is bounded by raising the floor, below which every copy is a miss. Over-invalidation
//! is always safe. Hard and soft purges are two maps of one kind. Keys are 64-bit marks, so that a
//! purge of an 8 KiB URL costs as much as one of `/`; two scopes with one mark are purged together.

mod marks;

use imbl::Vector;
use model::limits::{EPOCHS_MAX, GLOBS_MAX};
use model::{Attributes, Effect, Glob, Host, LogPosition, Scope, Tags};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use marks::Marks;

/// What the purges known of say about one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// None covers it.
    Good,
    /// A soft purge covers it: it has to be revalidated.
    Softened,
    /// A hard purge covers it: it is gone.
    Old,
}

/// When which content of one distribution was last purged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epochs {
    hard: Purged<LogPosition>,
    soft: Purged<LogPosition>,
}

impl Epochs {
    /// Records that `scope` was purged at `position`.
    pub fn purge(&mut self, scope: &Scope, effect: Effect, position: LogPosition) {
        match effect {
            Effect::Hard => self.hard.purge(scope, position),
            Effect::Soft => self.soft.purge(scope, position),
        }
    }

    /// Makes every copy older than `position` a miss; entries it covers are dropped.
    pub fn raise_floor(&mut self, position: LogPosition) {
        self.hard.raise_floor(position);
        self.soft = Purged::default();
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// Whether nothing but a floor is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When something that covers the copy was last purged for good.
    pub fn last_hard_purge(&self, attributes: &Attributes, tags: &Tags) -> LogPosition {
        self.hard.last_purge_of(attributes, tags)
    }

    /// How a copy fetched `as_of` that position stands.
    pub fn standing(&self, attributes: &Attributes, tags: &Tags, as_of: LogPosition) -> Standing {
        if self.hard.covers(attributes, tags, as_of) {
            Standing::Old
        } else if self.soft.covers(attributes, tags, as_of) {
            Standing::Softened
        } else {
            Standing::Good
        }
    }
}

/// What was purged when. `P` is a position of the log, or any other order of events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Purged<P: Clone> {
    floor: P,
    newest: P,
    scopes: Marks<P>,
    globs: Vector<Pattern<P>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pattern<P> {
    host: Option<Host>,
    glob: Glob,
    last: P,
}

const URL: u64 = 1;
const PREFIX: u64 = 2;
const TAG: u64 = 3;
const HOST: u64 = 4;

/// Scopes of one kind under one host, or under any.
#[derive(Clone, Copy)]
struct Under(u64);

impl Under {
    /// The same path under another host or as another kind of scope has another mark.
    fn of(kind: u64, host: Option<&Host>) -> Under {
        let seed = host.map_or(0, |host| xxh3_64_with_seed(host.as_str().as_bytes(), kind));
        Under(seed ^ kind)
    }

    fn mark(self, path: &str) -> u64 {
        xxh3_64_with_seed(path.as_bytes(), self.0)
    }
}

fn mark(kind: u64, host: Option<&Host>, path: &str) -> u64 {
    Under::of(kind, host).mark(path)
}

fn mark_of_tag(tag: u64) -> u64 {
    xxh3_64_with_seed(&tag.to_le_bytes(), TAG)
}

impl<P: Copy + Ord + Default> Purged<P> {
    /// Records that `scope` was purged at `position`.
    pub fn purge(&mut self, scope: &Scope, position: P) {
        self.newest = self.newest.max(position);
        let key = match scope {
            Scope::All => return self.raise_floor(position),
            Scope::Url { host, path } => mark(URL, host.as_ref(), path.as_str()),
            Scope::Prefix { host, directory } => mark(PREFIX, host.as_ref(), directory.as_str()),
            Scope::Tag(tag) => mark_of_tag(tag.mark()),
            Scope::Host(host) => mark(HOST, Some(host), ""),
            Scope::Glob { host, pattern } => return self.match_glob(host, pattern, position),
        };
        self.insert(key, position);
    }

    fn insert(&mut self, key: u64, position: P) {
        self.scopes.insert(key, position);
        if self.scopes.len() > EPOCHS_MAX {
            self.raise_floor(position);
        }
    }

    /// Keeps the newest patterns apart; the oldest of too many is widened to its directory.
    fn match_glob(&mut self, host: &Option<Host>, glob: &Glob, last: P) {
        self.globs.retain(|known| known.host != *host || known.glob != *glob);
        self.globs.push_back(Pattern { host: host.clone(), glob: glob.clone(), last });
        if self.globs.len() > GLOBS_MAX
            && let Some(oldest) = self.globs.pop_front()
        {
            let directory = oldest.glob.widened();
            let key = mark(PREFIX, oldest.host.as_ref(), directory.as_str());
            let last = self.scopes.get(key).map_or(oldest.last, |p| p.max(oldest.last));
            self.insert(key, last);
        }
    }

    /// Makes everything older than `position` covered; entries below it are dropped.
    pub fn raise_floor(&mut self, position: P) {
        self.floor = self.floor.max(position);
        self.newest = self.newest.max(position);
        self.scopes = Marks::default();
        self.globs = Vector::new();
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.scopes.len() + self.globs.len()
    }

    /// Whether nothing but a floor is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a purge after `as_of` covers a copy.
    pub fn covers(&self, attributes: &Attributes, tags: &Tags, as_of: P) -> bool {
        as_of < self.newest && as_of < self.last_purge_of(attributes, tags)
    }

    /// When something that covers the copy was last purged: 2 × (1 + depth) + 1 + tags look-ups,
    /// and [`GLOBS_MAX`] patterns at most.
    pub fn last_purge_of(&self, attributes: &Attributes, tags: &Tags) -> P {
        let globs = self.globs.iter().filter(|pattern| pattern.matches(attributes));
        let last = globs.map(|pattern| pattern.last).fold(self.floor, P::max);
        if self.scopes.is_empty() {
            return last;
        }
        let (host, path) = (&attributes.host, &attributes.path);
        let urls = [None, Some(host)].into_iter().flat_map(|host| {
            let (urls, prefixes) = (Under::of(URL, host), Under::of(PREFIX, host));
            let prefixes = path.directories().map(move |prefix| prefixes.mark(prefix));
            std::iter::once(urls.mark(path.as_str())).chain(prefixes)
        });
        let tags = tags.marks().iter().map(|tag| mark_of_tag(*tag));
        let keys = urls.chain(tags).chain([mark(HOST, Some(host), "")]);
        self.scopes.latest(keys).map_or(last, |purged| purged.max(last))
    }
}

impl<P> Pattern<P> {
    fn matches(&self, attributes: &Attributes) -> bool {
        let same_host = self.host.as_ref().is_none_or(|host| *host == attributes.host);
        same_host && self.glob.matches(&attributes.path)
    }
}

#[cfg(test)]
mod tests;
