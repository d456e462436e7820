//! The map of the house, `crates/README.md`, against the crates and files that are there.
//!
//! Its table of rooms is the table with the columns `crate` and `floor`; a file it lists by a
//! single word must be one of the crate's. Both READMEs show one and the same picture.

use super::floors::floor_of;
use super::report::Report;
use super::tree::{self, File, numbered};
use super::workspace::crates;

/// The path of the map.
const MAP: &str = "crates/README.md";

/// One row of the table of rooms.
struct Room<'a> {
    line: usize,
    name: &'a str,
    floor: &'a str,
    files: &'a str,
}

#[test]
fn the_map_names_every_crate_once_with_its_floor() {
    let mut report = Report::default();
    let names: Vec<&str> = crates().iter().map(|ours| &*ours.name).collect();
    match tree::file(MAP) {
        Some(map) => misplaced(&map.text, &names, &mut report),
        None => report.add(MAP, 1, "missing: write the map of the crates"),
    }
    report.finish();
}

#[test]
fn the_map_lists_files_that_are_there() {
    let mut report = Report::default();
    let map = tree::file(MAP).map_or("", |map| &map.text);
    absent(map, |path| tree::file(path).is_some(), &mut report);
    report.finish();
}

#[test]
fn both_pictures_are_one() {
    let mut report = Report::default();
    match (tree::file("README.md"), tree::file(MAP)) {
        (Some(front), Some(map)) => unlike(front, map, &mut report),
        (None, _) => report.add("README.md", 1, "missing: write it"),
        (_, None) => report.add(MAP, 1, "missing: write the map of the crates"),
    }
    report.finish();
}

fn misplaced(map: &str, names: &[&str], report: &mut Report) {
    let rooms = rooms(map);
    for name in names {
        if !rooms.iter().any(|room| room.name == *name) {
            report.add(MAP, 1, format!("`{name}` has no row in the table of rooms: add it"));
        }
    }
    for (index, room) in rooms.iter().enumerate() {
        let Room { line, name, floor, .. } = room;
        if rooms[..index].iter().any(|before| before.name == *name) {
            report.add(MAP, *line, format!("`{name}` has two rows: keep one"));
        }
        if !names.contains(name) {
            report.add(MAP, *line, format!("`{name}` is no crate of ours: take the row out"));
        } else if floor_of(name).is_some_and(|right| right.to_string() != *floor) {
            let what = "is not where tests/tidy/floors.rs puts it: make them agree";
            report.add(MAP, *line, format!("`{name}` on floor `{floor}` {what}"));
        }
    }
}

fn absent(map: &str, exists: impl Fn(&str) -> bool, report: &mut Report) {
    for Room { line, name, files, .. } in rooms(map) {
        let files = files.split(',').map(|file| file.split('(').next().unwrap_or(file).trim());
        for file in files.filter(|file| !file.is_empty() && !file.contains(' ')) {
            let stem = file.trim_end_matches('/');
            let path = match name {
                "testbed" => format!("testbed/src/{stem}.rs"),
                name => format!("crates/{name}/src/{stem}.rs"),
            };
            if !exists(&path) {
                let what = "is listed and not there: name the files as they are, or none";
                report.add(MAP, line, format!("{path} {what}"));
            }
        }
    }
}

fn unlike(front: &File, map: &File, report: &mut Report) {
    let (ours, theirs) = (picture(&front.text), picture(&map.text));
    for (file, picture) in [(front, &ours), (map, &theirs)] {
        if picture.is_none() {
            report.add(&file.path, 1, "no picture: show it in the first ```text block");
        }
    }
    if let (Some((line, ours)), Some((_, theirs))) = (ours, theirs) {
        let same = ours.iter().zip(&theirs).take_while(|(one, other)| one == other).count();
        if same < ours.len().max(theirs.len()) {
            let what = format!("the picture differs from {} here: make them one", map.path);
            report.add(&front.path, line + 1 + same, what);
        }
    }
}

/// The first block of text: the line it opens on, and its lines.
fn picture(text: &str) -> Option<(usize, Vec<&str>)> {
    let (opens, _) = numbered(text).find(|(_, line)| *line == "```text")?;
    let lines = text.lines().skip(opens).take_while(|line| *line != "```");
    Some((opens, lines.collect()))
}

fn rooms(map: &str) -> Vec<Room<'_>> {
    let mut rooms = Vec::new();
    let mut columns = None;
    for (line, row) in numbered(map) {
        let Some(row) = row.strip_prefix('|') else {
            columns = None;
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let find = |name| cells.iter().position(|cell| *cell == name);
        if let (Some(name), Some(floor)) = (find("crate"), find("floor")) {
            columns = Some((name, floor, cells.len() - 1));
        } else if let Some((name, floor, files)) = columns
            && cells.len() > files
            && !cells[name].starts_with('-')
        {
            let name = cells[name].trim_matches('`');
            rooms.push(Room { line, name, floor: cells[floor], files: cells[files] });
        }
    }
    rooms
}

#[test]
fn a_map_that_is_not_true_is_found() {
    let map = "| floor | must never |\n|---|---|\n| 0 | x |\n\n\
        | crate | floor | its files |\n|---|---|---|\n\
        | `model` | 0 | lib (all), gone, one per noun |\n\
        | `serve` | 3 | |\n| `serve` | 2 | |\n| `attic` | 4 | |\n";
    let mut report = Report::default();
    misplaced(map, &["model", "serve", "wire"], &mut report);
    report.expect(&[
        "1: `wire` has no row",
        "8: `serve` on floor `3`",
        "9: `serve` has two",
        "10:",
    ]);
    let mut report = Report::default();
    absent(map, |path| path.ends_with("/lib.rs"), &mut report);
    report.expect(&["7: crates/model/src/gone.rs"]);
}

#[test]
fn two_pictures_are_found() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let mut report = Report::default();
    let front = file("README.md", "# A\n```sh\nx\n```\n```text\na\nb\n```\n");
    unlike(&front, &file(MAP, "```text\na\nc\n```\n"), &mut report);
    unlike(&front, &file(MAP, "```text\na\nb\n```\n"), &mut report);
    unlike(&front, &file(MAP, "```\na\nb\n```\n"), &mut report);
    report.expect(&["README.md:7: the picture differs", "crates/README.md:1: no picture"]);
}
