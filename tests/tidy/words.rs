//! The text of sources: what must not be written, and where some words may be.
//!
//! Tables of words, each with what to do instead. The words are put together from halves, so that
//! this file keeps its own rules.

use super::floors::{HIGHEST_PURE, TOP, crate_of, floor_of};
use super::report::Report;
use super::tree::{File, files, numbered, sources};

/// Characters of a line, at most.
const LINE_CHARS_MAX: usize = 100;
/// What never reaches main, and what to do instead.
const UNFINISHED: [(&str, &str); 8] = [
    (concat!("TO", "DO"), "do it, or keep it where work is planned"),
    (concat!("FIX", "ME"), "mend it, or keep it where work is planned"),
    (concat!("XX", "X"), "say in a sentence what is special"),
    (concat!("todo", "!("), "write it, or leave the item out"),
    (concat!("unimplemented", "!("), "write it, or leave the item out"),
    (concat!("dbg", "!("), "take it out, or log it with tracing"),
    (concat!("#[", "ignore"), "make it pass, or delete it"),
    (concat!("[", "allow("), "write `expect` on the one item, with its reason"),
];
/// What opens a door to the network.
const SOCKETS: [&str; 3] = ["TcpListener", "TcpStream", "UdpSocket"];
/// What reads the clock.
const CLOCKS: [&str; 2] = [concat!("SystemTime", "::now"), concat!("Instant", "::now")];
/// What admits to reading the real clock.
const ADMITTED: &str = "expect(clippy::disallowed_methods";
/// Directories of the machines we happen to work on.
const MACHINES: [&str; 2] = [concat!("/", "work/"), concat!("/", "root/")];

/// Looks at one file.
type Rule = fn(&File, &mut Report);

#[test]
fn lines_are_short_and_clean() {
    check(text);
}

#[test]
fn nothing_unfinished_reaches_main() {
    check(unfinished);
}

#[test]
fn only_shells_open_sockets() {
    check(sockets);
}

#[test]
fn only_shells_read_the_clock_and_say_so() {
    check(clocks);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let mut report = Report::default();
    files().iter().for_each(|file| machines(file, &mut report));
    report.finish();
}

#[track_caller]
fn check(rule: Rule) {
    let mut report = Report::default();
    sources().for_each(|file| rule(file, &mut report));
    report.finish();
}

fn text(file: &File, report: &mut Report) {
    for (number, line) in numbered(&file.text) {
        let length = line.chars().count();
        if length > LINE_CHARS_MAX {
            let what = format!("{length} characters: break the line at {LINE_CHARS_MAX}");
            report.add(&file.path, number, what);
        }
        if line.contains('\t') {
            report.add(&file.path, number, "a tab: indent with spaces, write `\\t` in strings");
        }
        if line.trim_end() != line {
            report.add(&file.path, number, "spaces at the end of the line: take them out");
        }
    }
    if !file.text.ends_with('\n') {
        report.add(&file.path, file.text.lines().count(), "end the last line with a newline");
    }
}

fn unfinished(file: &File, report: &mut Report) {
    for (number, line) in numbered(&file.text) {
        for (word, instead) in UNFINISHED.iter().filter(|(word, _)| has_word(line, word)) {
            report.add(&file.path, number, format!("`{word}`: {instead}"));
        }
    }
}

fn sockets(file: &File, report: &mut Report) {
    if floor(file) > HIGHEST_PURE && crate_of(&file.path) != Some("sim") {
        return;
    }
    for (number, word) in code_words(file, &SOCKETS) {
        let what = "only shells and the program open sockets, so go through a port";
        report.add(&file.path, number, format!("`{word}`: {what}"));
    }
}

fn clocks(file: &File, report: &mut Report) {
    let is_shell = floor(file) > HIGHEST_PURE;
    if is_shell && file.text.contains(ADMITTED) {
        return;
    }
    // The runtime has an `Instant` too, which tests can pause: clippy does not mind, nor do we.
    let is_steady = !is_shell || imports_std_instant(&file.text);
    let words = if is_steady { &CLOCKS[..] } else { &CLOCKS[..1] };
    for (number, word) in code_words(file, words) {
        let what = match is_shell {
            true => "take `now` from the Host, or say why not in `#[expect(…, reason = …)]`",
            false => "take `now` as an argument, or from the Host port",
        };
        report.add(&file.path, number, format!("`{word}`: {what}"));
    }
}

fn imports_std_instant(text: &str) -> bool {
    let mut imports = text.split(';').filter_map(|statement| statement.rsplit_once("use std::"));
    text.contains(concat!("std::time::", "Instant::now"))
        || imports.any(|(_, path)| path.contains("time") && has_word(path, "Instant"))
}

fn machines(file: &File, report: &mut Report) {
    for (number, line) in numbered(&file.text) {
        for path in MACHINES.iter().filter(|path| line.contains(**path)) {
            let what = "is a directory of one machine: write a path from the root, or an example";
            report.add(&file.path, number, format!("`{path}` {what}"));
        }
    }
}

/// The floor of a file: its crate's, or the program's for what stands outside the crates.
fn floor(file: &File) -> usize {
    crate_of(&file.path).map_or(TOP, |name| floor_of(name).unwrap_or(TOP))
}

/// The words of a list that stand in code; a comment may talk about them.
fn code_words<'a>(file: &'a File, words: &'a [&str]) -> impl Iterator<Item = (usize, &'a str)> {
    let code = numbered(&file.text).filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.flat_map(move |(number, line)| {
        let found = words.iter().filter(move |word| has_word(line, word));
        found.map(move |word| (number, *word))
    })
}

/// Whether a line has a word that is not a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + word.len()..]);
        !(word.starts_with(joins) && before.ends_with(joins)
            || word.ends_with(joins) && after.starts_with(joins))
    })
}

#[test]
fn a_word_out_of_place_is_found() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let [wall, steady] = CLOCKS;
    let [late, ..] = UNFINISHED;
    let shell = |clock| {
        let text = format!("use {clock}::time::{{Duration, Instant}};\n{steady}()\n{wall}()\n");
        file("crates/admin/src/a.rs", &text)
    };
    let cases: [(Rule, File, &[&str]); 13] = [
        (text, file("a", &format!("{}\n\ta\na \na", "é".repeat(101))), &["1:", "2:", "3:", "4:"]),
        (unfinished, file("a", &format!("// {0}: b\n// {0}S\n", late.0)), &["a:1:"]),
        (sockets, file("crates/serve/src/a.rs", "x\nTcpStream\n"), &["a.rs:2:"]),
        (sockets, file("crates/sim/src/a.rs", "UdpSocket\n"), &["a.rs:1:"]),
        (sockets, file("crates/gateway/src/a.rs", "TcpStream\n"), &[]),
        (sockets, file("crates/model/src/a.rs", "// TcpStream\nMyTcpStream\n"), &[]),
        (clocks, file("crates/model/src/a.rs", &format!("// {ADMITTED}\n{wall}\n")), &["a.rs:2:"]),
        (clocks, file("crates/serve/src/a.rs", &format!("{steady}()\n")), &["a.rs:1:"]),
        (clocks, file("crates/admin/src/a.rs", &format!("std::time::{steady}()")), &["a.rs:1:"]),
        (clocks, shell("std"), &["a.rs:2:", "a.rs:3:"]),
        (clocks, shell("tokio"), &["a.rs:3:"]),
        (clocks, file("tests/a.rs", &format!("#[{ADMITTED})]\n{wall}()\n")), &[]),
        (machines, file("a.md", &format!("in {}x", MACHINES[0])), &["a.md:1:"]),
    ];
    for (rule, file, wanted) in cases {
        let mut report = Report::default();
        rule(&file, &mut report);
        report.expect(wanted);
    }
}
