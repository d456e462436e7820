//! Folding: many paths of one directory become the directory, so that the purge is smaller and says
//! what is meant.
//!
//! It covers more than was listed, which is why it only happens when asked for, and says so. The
//! root is never folded: that would be everything.

use std::collections::{BTreeMap, BTreeSet};

use model::{Host, Path, Scope};

/// Paths of one directory that are left as they are.
const PATHS_MAX: usize = 10;

/// A directory in place of its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    /// The directory.
    pub(super) into: Scope,
    /// How many of the paths given it stands for.
    pub(super) paths: usize,
}

type Directory = (Option<Host>, String);

/// Folds what `scopes` lists more than ten paths of, and drops repetitions. The order stays.
pub(super) fn fold(scopes: Vec<Scope>) -> (Vec<Scope>, Vec<Fold>) {
    let mut known = BTreeSet::new();
    let scopes: Vec<Scope> =
        scopes.into_iter().filter(|scope| known.insert(scope.clone())).collect();
    let crowded = crowded(&scopes);
    let (mut kept, mut folds) = (Vec::new(), BTreeMap::<Scope, usize>::new());
    for scope in scopes {
        match outermost(&scope, &crowded) {
            None => kept.push(scope),
            Some(into) => {
                let paths = folds.entry(into.clone()).or_default();
                if *paths == 0 {
                    kept.push(into);
                }
                *paths += 1;
            }
        }
    }
    (kept, folds.into_iter().map(|(into, paths)| Fold { into, paths }).collect())
}

/// Directories with more paths than may stay.
fn crowded(scopes: &[Scope]) -> BTreeSet<Directory> {
    let mut paths = BTreeMap::<Directory, usize>::new();
    for scope in scopes {
        if let Scope::Url { host, path } = scope
            && let Some(parent) = path.directories().last()
        {
            *paths.entry((host.clone(), parent.to_owned())).or_default() += 1;
        }
    }
    let crowded = paths.into_iter().filter(|((_, directory), _)| directory != "/");
    crowded.filter(|(_, count)| *count > PATHS_MAX).map(|(directory, _)| directory).collect()
}

/// The shortest crowded directory that holds the path.
fn outermost(scope: &Scope, crowded: &BTreeSet<Directory>) -> Option<Scope> {
    let Scope::Url { host, path } = scope else { return None };
    let mut directories = path.directories();
    let directory =
        directories.find(|directory| crowded.contains(&(host.clone(), (*directory).to_owned())))?;
    let directory = Path::parse(directory).ok()?;
    Some(Scope::Prefix { host: host.clone(), directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&str], kept: &[&str], folded: &[(&str, usize)]) {
        let scopes = given.iter().map(|text| Scope::parse(text).unwrap()).collect();
        let (scopes, folds) = fold(scopes);
        assert_eq!(scopes.iter().map(Scope::to_string).collect::<Vec<_>>(), kept);
        let folds: Vec<_> = folds.iter().map(|one| (one.into.to_string(), one.paths)).collect();
        let folds: Vec<_> = folds.iter().map(|(into, paths)| (into.as_str(), *paths)).collect();
        assert_eq!(folds, folded);
    }

    fn many(prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|at| format!("{prefix}{at}.jpg")).collect()
    }

    #[test]
    fn ten_paths_stay_and_eleven_become_their_directory() {
        let ten = many("/img/", 10);
        let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
        check(&ten, &ten, &[]);
        let eleven = many("/img/", 11);
        let mut given = vec!["/a.css"];
        given.extend(eleven.iter().map(String::as_str));
        given.push("/b.css");
        check(&given, &["/a.css", "/img/*", "/b.css"], &[("/img/*", 11)]);
    }

    #[test]
    fn what_lies_deeper_is_covered_too() {
        let (outer, inner) = (many("/img/", 11), many("/img/big/", 12));
        let mut given: Vec<&str> = inner.iter().map(String::as_str).collect();
        given.extend(outer.iter().map(String::as_str));
        check(&given, &["/img/*"], &[("/img/*", 23)]);
    }

    #[test]
    fn hosts_are_kept_apart_and_the_root_is_never_folded() {
        let (here, there) = (many("/img/", 6), many("https://a.example/img/", 6));
        let both: Vec<&str> = here.iter().chain(&there).map(String::as_str).collect();
        check(&both, &both, &[]);
        let there = many("https://a.example/img/", 11);
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        let folded = "https://a.example/img/*";
        check(&there, &[folded], &[(folded, 11)]);
        let root = many("/", 20);
        let root: Vec<&str> = root.iter().map(String::as_str).collect();
        check(&root, &root, &[]);
    }

    #[test]
    fn a_path_given_twice_counts_once() {
        let ten = many("/img/", 10);
        let twice: Vec<&str> = ten.iter().chain(&ten).map(String::as_str).collect();
        check(&twice, &twice[..10], &[]);
    }
}
