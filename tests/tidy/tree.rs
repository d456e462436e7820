//! The files of the repository: what git tracks, and what it would track.
//!
//! A new file is checked before it is committed, an ignored one never. Without git (a tarball) the
//! directories are walked instead. Only text is kept; each file is read once for all rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Where Rust sources live.
const SOURCE_ROOTS: [&str; 4] = ["crates/", "tests/", "benches/", "testbed/"];
/// What a walk without git leaves out, seen from the root: builds, and git itself.
const NOT_WALKED: [&str; 3] = [".git", "target", "out"];

/// One text file, by its path from the repository's root.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every text file of the repository, sorted by path.
pub(super) fn files() -> &'static [File] {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let paths = git_paths().unwrap_or_else(walked_paths);
        paths.into_iter().filter_map(read).collect()
    });
    &FILES
}

/// The file at this path, if it is there.
pub(super) fn file(path: &str) -> Option<&'static File> {
    files().iter().find(|file| file.path == path)
}

/// The Rust files of crates, tests and benches.
pub(super) fn sources() -> impl Iterator<Item = &'static File> {
    let rooted = |path: &str| SOURCE_ROOTS.iter().any(|root| path.starts_with(root));
    files().iter().filter(move |file| file.path.ends_with(".rs") && rooted(&file.path))
}

/// The Markdown files.
pub(super) fn documents() -> impl Iterator<Item = &'static File> {
    files().iter().filter(|file| file.path.ends_with(".md"))
}

/// The repository's root.
pub(super) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        ours.canonicalize().expect("the sources this test was built from are still there")
    });
    &ROOT
}

/// Numbers lines from 1, keeping a carriage return visible.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .zip(1..)
        .map(|(line, number)| (number, line))
}

fn read(path: String) -> Option<File> {
    let bytes = fs::read(root().join(&path)).ok()?;
    Some(File { text: String::from_utf8(bytes).ok()?, path })
}

fn git_paths() -> Option<BTreeSet<String>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listing = git.output().ok().filter(|output| output.status.success())?;
    let listing = String::from_utf8(listing.stdout).ok()?;
    let paths: BTreeSet<String> = listing.split_terminator('\0').map(str::to_owned).collect();
    paths.contains("Cargo.toml").then_some(paths)
}

fn walked_paths() -> BTreeSet<String> {
    let (mut paths, mut ahead) = (BTreeSet::new(), vec![root().to_owned()]);
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            let name = path.strip_prefix(root()).expect("the walk started at the root");
            let name = name.to_string_lossy().into_owned();
            if kind.is_dir() && !NOT_WALKED.contains(&&*name) {
                ahead.push(path);
            } else if kind.is_file() {
                paths.insert(name);
            }
        }
    }
    paths
}

#[test]
fn git_and_a_walk_find_the_same_sources() {
    let walked = walked_paths();
    for file in sources() {
        assert!(walked.contains(&file.path), "the walk missed {}", file.path);
    }
    assert!(walked.iter().all(|path| !path.starts_with("target/")), "the walk entered a build");
}
