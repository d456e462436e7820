//! The invalidation map of one distribution: scope → the last position at which it was purged.
//!
//! It is state, not a log (rule R15): look-ups are flat in the number of purges ever made, and
//! memory is bounded by raising the floor, below which every copy is a miss. Over-invalidation is
//! always safe. Keys are 128-bit fingerprints, so that a purge of an 8 KiB URL costs as much as one
//! of `/`.

use imbl::OrdMap;
use model::limits::EPOCHS_MAX;
use model::{Attributes, Host, LogPosition, Scope};
use serde::{Deserialize, Serialize};

type Fingerprint = u128;

/// When which content of one distribution was last purged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epochs {
    floor: LogPosition,
    newest: LogPosition,
    scopes: OrdMap<Fingerprint, LogPosition>,
}

const URL: &[u8] = b"url";
const PREFIX: &[u8] = b"prefix";

fn fingerprint(kind: &[u8], host: Option<&Host>, path: &str) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    let host = host.map_or("", Host::as_str).as_bytes();
    for part in [kind, host] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.update(path.as_bytes());
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    u128::from_le_bytes(short)
}

impl Epochs {
    /// Records that `scope` was purged at `position`.
    pub fn purge(&mut self, scope: &Scope, position: LogPosition) {
        self.newest = self.newest.max(position);
        let key = match scope {
            Scope::All => return self.raise_floor(position),
            Scope::Url { host, path } => fingerprint(URL, host.as_ref(), path.as_str()),
            Scope::Prefix { host, directory } => {
                fingerprint(PREFIX, host.as_ref(), directory.as_str())
            }
        };
        self.scopes.insert(key, position);
        if self.scopes.len() > EPOCHS_MAX {
            self.raise_floor(position);
        }
    }

    /// Makes every copy older than `position` a miss; entries it covers are dropped.
    pub fn raise_floor(&mut self, position: LogPosition) {
        self.floor = self.floor.max(position);
        self.newest = self.newest.max(position);
        self.scopes = OrdMap::new();
    }

    /// The position of the last purge of any kind: a copy checked there needs no look-up.
    pub fn newest(&self) -> LogPosition {
        self.newest
    }

    /// The last position at which something covering `attributes` was purged.
    pub fn last_purge_of(&self, attributes: &Attributes) -> LogPosition {
        if self.scopes.is_empty() {
            return self.floor;
        }
        let path = &attributes.path;
        let hosts = [None, Some(&attributes.host)];
        let last = hosts.into_iter().flat_map(|host| {
            let url = fingerprint(URL, host, path.as_str());
            let directories = path.directories();
            let prefixes = directories.map(move |prefix| fingerprint(PREFIX, host, prefix));
            std::iter::once(url).chain(prefixes)
        });
        let found = last.filter_map(|key| self.scopes.get(&key).copied());
        found.fold(self.floor, LogPosition::max)
    }

    /// Whether a copy fetched `as_of` that position must not be served: rule words, *old*.
    pub fn is_old(&self, attributes: &Attributes, as_of: LogPosition) -> bool {
        as_of < self.newest && as_of < self.last_purge_of(attributes)
    }
}

#[cfg(test)]
mod tests {
    use model::Path;

    use super::*;

    fn at(index: u64) -> LogPosition {
        LogPosition::new(0, index)
    }

    fn object(host: &str, path: &str) -> Attributes {
        Attributes {
            distribution: "shop".parse().unwrap(),
            host: Host::parse(host).unwrap(),
            path: Path::parse(path).unwrap(),
        }
    }

    #[test]
    fn a_purge_covers_what_its_scope_says_and_nothing_else() {
        for (scope, covered, spared) in [
            ("/a", vec!["x/a", "y/a"], vec!["x/a?q", "x/a/", "x/b"]),
            ("https://x/a", vec!["x/a"], vec!["y/a"]),
            ("/d/*", vec!["x/d/", "y/d/e/f?q", "x/d/e"], vec!["x/d", "x/de/f", "x/?/d/"]),
            ("https://x/d/*", vec!["x/d/e"], vec!["y/d/e"]),
            ("/*", vec!["x/", "y/a/b?c"], vec![]),
            ("https://x/*", vec!["x/", "x/a"], vec!["y/"]),
        ] {
            let mut epochs = Epochs::default();
            epochs.purge(&Scope::parse(scope).unwrap(), at(5));
            let is_old = |given: &str, index| {
                let (host, path) = given.split_once('/').unwrap();
                epochs.is_old(&object(host, &format!("/{path}")), at(index))
            };
            for given in covered {
                assert!(is_old(given, 4), "{scope} must cover {given}");
                assert!(!is_old(given, 5), "{scope} must not cover {given} fetched after it");
            }
            for given in spared {
                assert!(!is_old(given, 4), "{scope} must not cover {given}");
            }
        }
    }

    #[test]
    fn the_latest_purge_of_a_scope_counts() {
        let mut epochs = Epochs::default();
        epochs.purge(&Scope::parse("/a").unwrap(), at(3));
        epochs.purge(&Scope::parse("/*").unwrap(), at(6));
        epochs.purge(&Scope::parse("/a").unwrap(), at(9));
        assert_eq!(epochs.last_purge_of(&object("x", "/a")), at(9));
        assert_eq!(epochs.last_purge_of(&object("x", "/b")), at(6));
    }

    #[test]
    fn a_full_map_becomes_a_floor_and_forgets_nothing() {
        let mut epochs = Epochs::default();
        for index in 0..=EPOCHS_MAX as u64 {
            let scope = Scope::Url { host: None, path: Path::parse(&format!("/{index}")).unwrap() };
            epochs.purge(&scope, at(index + 1));
        }
        assert!(epochs.scopes.is_empty());
        assert!(epochs.is_old(&object("x", "/0"), at(0)));
        assert!(epochs.is_old(&object("x", "/never-purged"), at(0)));
    }
}
