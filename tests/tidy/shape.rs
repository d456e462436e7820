//! The shape of a source file: a header that says what it is, and a size one can read.
//!
//! What stands behind `#[cfg(test)]` does not count toward the size, and a file that is all tests
//! may be longer. A crate's own test modules need no header: the file they test has one.

use super::report::Report;
use super::tree::{File, numbered, sources};

/// Lines of a header, at most.
const HEADER_LINES_MAX: usize = 14;
/// Lines of a file without its tests, at most: two or three screens.
const FILE_LINES_MAX: usize = 400;
/// Lines of a file that holds nothing but tests, at most.
const TEST_FILE_LINES_MAX: usize = 700;
/// What hides an item from everything but tests.
const TEST_ONLY: &str = "#[cfg(test)]";

#[test]
fn every_file_says_what_it_is() {
    let (mut report, modules) = (Report::default(), TestModules::of(sources()));
    sources().filter(|file| !modules.are_tests(&file.path)).for_each(|f| header(f, &mut report));
    report.finish();
}

#[test]
fn no_file_outgrows_a_reader() {
    let (mut report, modules) = (Report::default(), TestModules::of(sources()));
    sources().for_each(|file| size(file, &modules, &mut report));
    report.finish();
}

#[test]
fn a_module_is_named_after_its_noun() {
    let mut report = Report::default();
    for file in sources().filter(|file| file.path.ends_with("/mod.rs")) {
        report.add(&file.path, 1, "move it to `foo.rs` beside its directory `foo/`");
    }
    report.finish();
}

/// The modules that are compiled for tests only, by the paths of their files.
struct TestModules(Vec<String>);

impl TestModules {
    fn of<'a>(files: impl Iterator<Item = &'a File>) -> Self {
        let mut stems = Vec::new();
        for file in files {
            let (lines, stem) = (file.text.lines().collect::<Vec<_>>(), module_stem(&file.path));
            for pair in lines.windows(2).filter(|pair| pair[0] == TEST_ONLY) {
                let name = pair[1].strip_suffix(';').and_then(|item| item.split_once("mod "));
                stems.extend(name.map(|(_, name)| format!("{stem}/{name}")));
            }
        }
        Self(stems)
    }

    /// Whether a file holds nothing but tests and what they need.
    fn cover(&self, path: &str) -> bool {
        let within = |stem: &String| {
            path.strip_prefix(&**stem).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        !path.contains("/src/") || self.0.iter().any(within)
    }

    /// Whether a file is a crate's own `tests.rs`, or one of the files below it.
    fn are_tests(&self, path: &str) -> bool {
        let named = path.ends_with("/tests.rs") || path.contains("/tests/");
        path.contains("/src/") && named && self.cover(path)
    }
}

/// The path that the file's own modules are below.
fn module_stem(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let root = stem.strip_suffix("/lib").or_else(|| stem.strip_suffix("/main"));
    root.unwrap_or(stem)
}

fn header(file: &File, report: &mut Report) {
    let lines = file.text.lines().take_while(|line| line.starts_with("//!")).count();
    if lines == 0 {
        report.add(&file.path, 1, "no header: say in `//!` what it is, why so, what it never does");
    } else if lines > HEADER_LINES_MAX {
        let what = format!("a header of {lines} lines: say it in {HEADER_LINES_MAX}");
        report.add(&file.path, 1, what);
    }
}

fn size(file: &File, modules: &TestModules, report: &mut Report) {
    let (lines, limit) = match modules.cover(&file.path) {
        true => (file.text.lines().count(), TEST_FILE_LINES_MAX),
        false => (lines_without_tests(&file.text), FILE_LINES_MAX),
    };
    if lines > limit {
        let what = format!("{lines} lines, where {limit} are the limit: split it along meaning");
        report.add(&file.path, limit + 1, what);
    }
}

/// Counts lines, leaving out top-level items for tests only. Relies on the code being formatted:
/// an item ends with the first unindented line that ends in `;` or `}`.
fn lines_without_tests(text: &str) -> usize {
    let (mut count, mut in_test) = (0, false);
    for (_, line) in numbered(text) {
        if line == TEST_ONLY {
            in_test = true;
        } else if !in_test {
            count += 1;
        } else if !line.starts_with([' ', '/']) && line.ends_with([';', '}']) {
            in_test = false;
        }
    }
    count
}

#[test]
fn a_misshapen_file_is_found() {
    let file = |path: &str, text: String| File { path: format!("crates/a/src/{path}"), text };
    let long = |lines| "x\n".repeat(lines);
    let files = [
        file("lib.rs", "//! A.\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod kit;\n".to_owned()),
        file("b.rs", long(401)),
        file(
            "c.rs",
            format!("{}{}#[cfg(test)]\nmod t {{\n x\n}}\n", "//!\n".repeat(15), long(385)),
        ),
        file("kit.rs", format!("//! Kit.\n{}", long(699))),
        file("tests/d.rs", long(701)),
    ];
    let (mut report, modules) = (Report::default(), TestModules::of(files.iter()));
    for file in &files {
        size(file, &modules, &mut report);
        if !modules.are_tests(&file.path) {
            header(file, &mut report);
        }
    }
    report.expect(&[
        "b.rs:1: no header",
        "b.rs:401: 401 lines",
        "c.rs:1: a header of 15 lines",
        "tests/d.rs:701: 701 lines",
    ]);
}
