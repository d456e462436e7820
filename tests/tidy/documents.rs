//! The front door: how `README.md` opens, and the form of `CHANGELOG.md`.
//!
//! A stranger reads a title, a sentence and two commands, and can already run something. Changes
//! are kept as Keep a Changelog 1.1 says, with a place for what is not yet released.

use super::report::Report;
use super::tree::{self, numbered};

/// The kinds of changes there are.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
/// The heading of what no version has yet.
const UNRELEASED: &str = "[Unreleased]";

#[test]
fn the_readme_opens_with_two_commands() {
    check("README.md", opening);
}

#[test]
fn the_changelog_has_its_form() {
    check("CHANGELOG.md", changelog);
}

#[track_caller]
fn check(path: &str, rule: fn(&str, &str, &mut Report)) {
    let mut report = Report::default();
    match tree::file(path) {
        Some(file) => rule(path, &file.text, &mut report),
        None => report.add(path, 1, "missing: write it"),
    }
    report.finish();
}

fn opening(path: &str, text: &str, report: &mut Report) {
    let mut lines = numbered(text).filter(|(_, line)| !line.is_empty()).peekable();
    let (number, title) = lines.next().unwrap_or((1, ""));
    if !title.starts_with("# ") {
        report.add(path, number, "open with the title, `# Name`");
    }
    let mut sentence = Vec::new();
    while let Some(line) = lines.next_if(|(_, line)| !line.starts_with("```")) {
        sentence.push(line);
    }
    let (number, end) = sentence.last().copied().unwrap_or((number, ""));
    if !end.ends_with('.') || sentence.iter().any(|(_, line)| line.starts_with('#')) {
        report.add(path, number, "say what it is in one sentence, between title and first code");
    }
    let number = lines.next().map_or(number, |(number, _)| number);
    let block = lines.map(|(_, line)| line).take_while(|line| !line.starts_with("```"));
    if block.filter(|line| !line.starts_with('#')).count() != 2 {
        report.add(path, number, "show two commands in the first code: one runs it, one tests it");
    }
}

fn changelog(path: &str, text: &str, report: &mut Report) {
    if !text.starts_with("# Changelog\n") {
        report.add(path, 1, "open with the title, `# Changelog`");
    }
    let versions: Vec<_> = headings(text, "## ").collect();
    if versions.first().is_none_or(|(_, name)| *name != UNRELEASED) {
        report.add(path, 1, format!("begin the list with `## {UNRELEASED}`"));
    }
    for (number, name) in versions.into_iter().filter(|(_, name)| *name != UNRELEASED) {
        if !is_release(name) {
            report.add(path, number, format!("`{name}`: write `[1.2.3] - 2026-11-23`"));
        }
    }
    for (number, kind) in headings(text, "### ").filter(|(_, kind)| !KINDS.contains(kind)) {
        report.add(path, number, format!("`{kind}`: write one of {}", KINDS.join(", ")));
    }
}

fn headings<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    numbered(text).filter_map(move |(number, line)| Some((number, line.strip_prefix(mark)?)))
}

/// Whether a heading is a version in brackets and a date.
fn is_release(name: &str) -> bool {
    let parts = name.strip_prefix('[').and_then(|rest| rest.split_once("] - "));
    let numbers = |text: &str, mark| text.split(mark).filter(|n| n.parse::<u32>().is_ok()).count();
    parts.is_some_and(|(version, date)| {
        numbers(version, '.') == 3 && numbers(date, '-') == 3 && date.len() == "2026-11-23".len()
    })
}

#[test]
fn a_closed_front_door_is_found() {
    let cases: [(&str, &[&str]); 4] = [
        ("# A\n\nIt is\na thing.\n\n```sh\n# Two:\nrun\ntest\n```\n", &[]),
        ("A\n\nA thing.\n\n```sh\nrun\n```\n", &["1: open with", "5: show two"]),
        ("# A\n\n## B\n\nThing.\n\n```sh\nrun\ntest\n```\n", &["5: say what"]),
        ("# A\n", &["1: say what", "1: show two"]),
    ];
    for (text, wanted) in cases {
        let mut report = Report::default();
        opening("README.md", text, &mut report);
        report.expect(wanted);
    }
}

#[test]
fn a_changelog_without_its_form_is_found() {
    let good =
        "# Changelog\n\n## [Unreleased]\n### Added\n- A.\n## [0.1.0] - 2026-11-23\n### Fixed\n";
    let bad = "# Changes\n## [0.1.0]\n### News\n";
    let cases = [(good, &[][..]), (bad, &["1: begin", "1: open", "2: `[0.1.0]`", "3: `News`"])];
    for (text, wanted) in cases {
        let mut report = Report::default();
        changelog("CHANGELOG.md", text, &mut report);
        report.expect(wanted);
    }
}
