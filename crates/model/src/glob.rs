//! A pattern for paths: `*` stands for any characters, slashes and none included. No other
//! character is special.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::GLOB_STARS_MAX;
use crate::name::Invalid;
use crate::url::Path;

/// A path with at least one `*` in it, in canonical form like the paths it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Path", into = "Path")]
pub struct Glob(Path);

impl Glob {
    /// Parses a pattern. Neighbouring stars are one.
    pub fn parse(given: &str) -> Result<Glob, Invalid> {
        let mut single = String::with_capacity(given.len());
        for letter in given.chars() {
            if !(letter == '*' && single.ends_with('*')) {
                single.push(letter);
            }
        }
        Glob::try_from(Path::parse(&single)?)
    }

    /// The same with every run of slashes in its path as one.
    pub fn with_slashes_merged(&self) -> Glob {
        Glob(self.0.with_slashes_merged())
    }

    /// The directory whose content is all that it matches, if it is written that way: `/a/*`.
    pub fn directory(&self) -> Option<Path> {
        let directory = self.0.as_str().strip_suffix('*')?;
        let plain = directory.ends_with('/') && !directory.contains(['*', '?']);
        plain.then(|| Path::parse(directory).ok())?
    }

    /// The deepest directory that holds everything it matches: what it may be widened to.
    pub fn widened(&self) -> Path {
        let before = self.0.as_str().split(['*', '?']).next().unwrap_or("/");
        let end = before.rfind('/').map_or(0, |slash| slash + 1);
        Path::parse(&before[..end]).unwrap_or_else(|_| Path::root())
    }

    /// Whether `path`, query included, matches. Takes stars × length steps at most.
    pub fn matches(&self, path: &Path) -> bool {
        let mut parts = self.0.as_str().split('*');
        let (Some(first), Some(last)) = (parts.next(), parts.next_back()) else { return false };
        let Some(rest) = path.as_str().strip_prefix(first) else { return false };
        let Some(mut rest) = rest.strip_suffix(last) else { return false };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

impl TryFrom<Path> for Glob {
    type Error = Invalid;

    fn try_from(path: Path) -> Result<Glob, Invalid> {
        match path.as_str().matches('*').count() {
            1..=GLOB_STARS_MAX => Ok(Glob(path)),
            _ => Err(Invalid::new("pattern", path.as_str(), "1 to 8 stars")),
        }
    }
}

impl From<Glob> for Path {
    fn from(glob: Glob) -> Path {
        glob.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_is_special() {
        for (pattern, matched, spared) in [
            ("/*.jpg", vec!["/a.jpg", "/a/b.jpg", "/.jpg"], vec!["/a.jpg?v=1", "/a.jpeg"]),
            ("/a*", vec!["/a", "/ab/c?d"], vec!["/b/a"]),
            ("/a*b*c", vec!["/abc", "/aXbYc", "/abbc", "/a/b/bc"], vec!["/acb", "/abcd", "/ac"]),
            ("/*?lang=de*", vec!["/?lang=de", "/x?lang=de&y"], vec!["/x?lang=en", "/xlang=de"]),
            ("/aa*aa", vec!["/aaaa"], vec!["/aaa"]),
            ("/[a].*", vec!["/[a].x"], vec!["/a.x"]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for path in matched {
                assert!(glob.matches(&Path::parse(path).unwrap()), "{pattern} must match {path}");
            }
            for path in spared {
                assert!(!glob.matches(&Path::parse(path).unwrap()), "{pattern} spares {path}");
            }
        }
    }

    #[test]
    fn widening_covers_everything_that_matched() {
        for (pattern, widened) in
            [("/a/b*", "/a/"), ("/*.jpg", "/"), ("/a/b/*/c", "/a/b/"), ("/a?b/*", "/")]
        {
            assert_eq!(Glob::parse(pattern).unwrap().widened().as_str(), widened);
        }
    }

    #[test]
    fn stars_are_limited() {
        let stars = |count: usize| format!("/{}", "a*".repeat(count));
        assert!(Glob::parse(&stars(GLOB_STARS_MAX)).is_ok());
        assert!(Glob::parse(&stars(GLOB_STARS_MAX + 1)).is_err());
        assert_eq!(Glob::parse("/a***b").unwrap().to_string(), "/a*b");
        assert!(Glob::parse("/a").is_err());
    }
}
