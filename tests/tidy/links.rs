//! Links between documents: a path that a document points to is there.
//!
//! Only relative links are followed; the network is never asked. Code, fenced or inline, is not a
//! link. What a link says after `#` is not checked.

use std::path::Path;

use super::report::Report;
use super::tree::{self, File, documents, numbered};

/// What a target follows, and what ends it.
const OPENINGS: [(&str, char); 4] = [("](", ')'), ("]: ", ' '), ("href=\"", '"'), ("src=\"", '"')];

#[test]
fn every_link_leads_somewhere() {
    let mut report = Report::default();
    for file in documents() {
        dead_links(file, |path| tree::root().join(path).exists(), &mut report);
    }
    report.finish();
}

fn dead_links(file: &File, exists: impl Fn(&Path) -> bool, report: &mut Report) {
    let directory = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    for (number, line) in prose(&file.text) {
        for target in targets(&line) {
            let path = target.split(['#', '?', ' ']).next().unwrap_or(target);
            let path = path.trim_matches(['<', '>']);
            let from_root = path.strip_prefix('/').map(Path::new);
            let path = from_root.map_or_else(|| directory.join(path), Path::to_owned);
            if !is_elsewhere(target) && !exists(&path) {
                let what = format!("`{target}` leads nowhere: name a file that is there");
                report.add(&file.path, number, what);
            }
        }
    }
}

/// Whether a target is not a path: an address with a scheme, or a place in the same document.
fn is_elsewhere(target: &str) -> bool {
    target.starts_with('#') || target.contains("://") || target.starts_with("mailto:")
}

/// The lines outside of fences, without their inline code.
fn prose(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut in_code) = (Vec::new(), false);
    for (number, line) in numbered(text) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((number, line.split('`').step_by(2).collect()));
        }
    }
    lines
}

fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (opening, end) in OPENINGS {
        // A reference is defined at the start of its line only.
        if opening == "]: " && !line.starts_with('[') {
            continue;
        }
        let after = line.match_indices(opening).map(|(at, _)| &line[at + opening.len()..]);
        targets.extend(after.map(|rest| rest.split(end).next().unwrap_or(rest)));
    }
    targets
}

#[test]
fn a_link_to_nowhere_is_found() {
    let text = "[a](there.md) [b](gone.md#x \"title\") `[c](code.md)`\n\
        [d](https://a.b/c) [e](#here)\n\
        ```\n[f](fenced.md)\n```\n\
        [g]: gone.md\n\
        <img src=\"gone.png\"> [h](/top.md) [`i`](../top.md)\n";
    let file = File { path: "docs/a.md".to_owned(), text: text.to_owned() };
    let there = ["docs/there.md", "top.md", "docs/../top.md"];
    let mut report = Report::default();
    dead_links(&file, |path| there.iter().any(|known| Path::new(known) == path), &mut report);
    report.expect(&["1: `gone.md#x", "6: `gone.md`", "7: `gone.png`"]);
}
