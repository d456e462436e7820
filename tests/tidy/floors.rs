//! The floors of the house: imports between our own crates point strictly down.
//!
//! The table below is the one place that knows where a crate stands. Crates of one floor never see
//! each other, so no shell leans on another shell. The simulator sees two: `consensus` and
//! `membership` are pure computation once their network and disk are values, and agreement and
//! gossip are where time and chance bite. The others would bring sockets, threads or clocks.

use super::report::Report;
use super::workspace::{Crate, For, crates, is_ours, pretend};

/// Who stands on which floor. Some rooms are planned and not yet built.
const FLOORS: [&[&str]; 5] = [
    &["model"],
    &["caching", "policy", "placement", "flow", "control", "wire"],
    &["serve", "follow"],
    &["membership", "transport", "consensus", "storage", "encoding", "gateway", "admin"],
    &["shoal", "sim", "testbed"],
];
/// The one import within a floor: the testbed drives the program, and shares its pretend origin,
/// viewers and wires with the program's own tests.
const DRIVES: (&str, &str) = ("testbed", "shoal");
/// The shells that the simulator runs for real.
const SIMULATED: [&str; 2] = ["consensus", "membership"];
/// The highest floor without clock, dice, sockets or tasks of its own.
pub(super) const HIGHEST_PURE: usize = 2;
/// The floor of the program, of integration tests and of benches.
pub(super) const TOP: usize = FLOORS.len() - 1;

/// The floor a crate stands on.
pub(super) fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// The crate a file belongs to, if it lies in one's directory.
pub(super) fn crate_of(path: &str) -> Option<&str> {
    match path.strip_prefix("crates/") {
        Some(inside) => inside.split_once('/').map(|(name, _)| name),
        None => path.starts_with("testbed/").then_some("testbed"),
    }
}

#[test]
fn every_crate_stands_on_a_floor() {
    unplaced(crates()).finish();
}

#[test]
fn imports_point_strictly_down() {
    not_down(crates()).finish();
}

#[test]
fn the_simulator_sees_no_shell_but_two() {
    shells_in_sim(crates()).finish();
}

fn unplaced(crates: &[Crate]) -> Report {
    let mut report = Report::default();
    for ours in crates.iter().filter(|ours| floor_of(&ours.name).is_none()) {
        let what = "stands on no floor: give it one in FLOORS of tests/tidy/floors.rs";
        report.add(&ours.manifest, 1, format!("`{}` {what}", ours.name));
    }
    report
}

fn not_down(crates: &[Crate]) -> Report {
    let mut report = Report::default();
    for Import { user, user_floor, used, used_floor, line } in imports(crates) {
        if used_floor >= user_floor && (&*user.name, used) != DRIVES {
            let user_name = &user.name;
            let edge = format!("`{user_name}` ({user_floor}) uses `{used}` ({used_floor})");
            let what = "imports point strictly down, so move what they share to a lower floor";
            report.add(&user.manifest, line, format!("{edge}: {what}"));
        }
    }
    report
}

fn shells_in_sim(crates: &[Crate]) -> Report {
    let mut report = Report::default();
    let imports = imports(crates).filter(|import| import.user.name == "sim");
    let shells = imports.filter(|it| it.used_floor > HIGHEST_PURE);
    for Import { user, used, line, .. } in shells.filter(|it| !SIMULATED.contains(&it.used)) {
        let what = "the simulator swaps shells for values, so use a port of floor 2";
        report.add(&user.manifest, line, format!("`sim` uses `{used}`: {what}"));
    }
    report
}

/// One of our crates using another; both stand on a floor.
struct Import<'a> {
    user: &'a Crate,
    user_floor: usize,
    used: &'a str,
    used_floor: usize,
    line: usize,
}

fn imports(crates: &[Crate]) -> impl Iterator<Item = Import<'_>> {
    crates.iter().flat_map(|user| {
        let needs = user.needs.iter().filter(|need| need.for_what == For::Use);
        needs.filter(|need| is_ours(&need.name, crates)).filter_map(|need| {
            let (user_floor, used_floor) = (floor_of(&user.name)?, floor_of(&need.name)?);
            Some(Import { user, user_floor, used: &need.name, used_floor, line: need.line })
        })
    })
}

#[test]
fn an_import_that_does_not_point_down_is_found() {
    let house = [
        pretend("model", &["serve"], &[]),
        pretend("consensus", &[], &[]),
        pretend("membership", &[], &[]),
        pretend("serve", &["model"], &["gateway"]),
        pretend("gateway", &["serve", "storage"], &[]),
        pretend("storage", &[], &[]),
        pretend("sim", &["serve", "storage", "consensus", "membership"], &[]),
        pretend("attic", &[], &[]),
    ];
    unplaced(&house).expect(&["`attic` stands on no floor"]);
    not_down(&house).expect(&["`gateway` (3) uses `storage` (3)", "`model` (0) uses `serve` (2)"]);
    shells_in_sim(&house).expect(&["`sim` uses `storage`"]);
}
