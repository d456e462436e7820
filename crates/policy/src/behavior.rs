//! Which behavior covers a path: the first whose pattern matches, else the default one.
//!
//! Patterns are compared with the canonical path, without its query, so that no spelling of a URL
//! slips past a behavior.

use model::behavior::PathPattern;
use model::{CacheBehavior, Distribution, Path};

/// Where the behavior stands that covers `path`: see [`Distribution::behavior_at`].
pub fn place(distribution: &Distribution, path: &Path) -> Option<usize> {
    let path = path.without_query();
    let covers = |one: &CacheBehavior| {
        one.path_pattern.as_ref().is_some_and(|pattern| matches(pattern, path))
    };
    distribution.cache_behaviors.iter().position(covers)
}

/// Whether `pattern` covers `path`. Takes pattern × path steps at most: only the last star is ever
/// tried again.
pub fn matches(pattern: &PathPattern, path: &str) -> bool {
    let pattern = pattern.as_str().strip_prefix('/').unwrap_or(pattern.as_str()).as_bytes();
    let path = path.strip_prefix('/').unwrap_or(path).as_bytes();
    let (mut at, mut read) = (0, 0);
    let mut last_star = None;
    while read < path.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == path[read] => {
                at += 1;
                read += 1;
            }
            Some(_) | None => match &mut last_star {
                Some((star, from)) => {
                    *from += 1;
                    (at, read) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{covering, distribution};

    fn check(pattern: &str, path: &str) -> bool {
        matches(&PathPattern::parse(pattern).unwrap(), path)
    }

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_one() {
        for (pattern, path, expect) in [
            ("*", "/", true),
            ("/*", "/a/b", true),
            ("/images/*.jpg", "/images/a/b.jpg", true),
            ("/images/*.jpg", "/images/.jpg", true),
            ("/images/*.jpg", "/images/a.jpg/b", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", true),
            ("/a?c", "/ac", false),
            ("/a??", "/abcd", false),
            ("a*b*c", "/aXbXbXc", true),
            ("a*b*c", "/aXcXb", false),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/ab", "/a", false),
            ("/a**", "/a", true),
            ("*?", "/", false),
        ] {
            assert_eq!(check(pattern, path), expect, "{pattern} {path}");
        }
    }

    #[test]
    fn case_matters_and_a_leading_slash_does_not() {
        assert!(check("images/*", "/images/a") && check("/images/*", "/images/a"));
        assert!(!check("/Images/*", "/images/a"));
    }

    #[test]
    fn the_first_pattern_that_matches_wins_and_the_default_is_last() {
        let shop = distribution(vec![covering("/a/*", "one"), covering("/a/b", "two")]);
        for (path, origin) in [
            ("/a/b", "one"),
            ("/a/x?b", "one"),
            ("/b", "main"),
            ("/b?/a/b", "main"),
            ("/x/../a/%62", "one"),
        ] {
            let found = shop.behavior_at(place(&shop, &Path::parse(path).unwrap()));
            assert_eq!(found.target_origin_id, origin, "{path}");
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(pattern in "[ab*?]{1,8}", path in "[ab/]{0,8}") {
            prop_assert_eq!(check(&pattern, &path), defined(pattern.as_bytes(), path.as_bytes()));
        }
    }

    /// The definition, without any cleverness.
    fn defined(pattern: &[u8], path: &[u8]) -> bool {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        fn rest(pattern: &[u8], path: &[u8]) -> bool {
            match (pattern.split_first(), path.split_first()) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some((b'*', after)), None) => rest(after, path),
                (Some((b'*', after)), Some((_, left))) => rest(after, path) || rest(pattern, left),
                (Some(_), None) => false,
                (Some((letter, after)), Some((read, left))) => {
                    (*letter == b'?' || letter == read) && rest(after, left)
                }
            }
        }
        rest(pattern, path)
    }
}
