//! Which foreign libraries may stand where, each with its reason.
//!
//! Floors 0 to 2 decide; what they link is a short list of plain values, never a runtime, not even
//! in their tests. A shell is a shell around its library, so that library has one home.

use super::floors::{HIGHEST_PURE, floor_of};
use super::report::Report;
use super::workspace::{Crate, For, crates, is_ours, pretend};

/// Where a library may be used among the pure floors.
enum Home {
    /// All of floors 0 to 2.
    Pure,
    /// The stories of floor 2.
    Stories,
    /// One crate.
    Only(&'static str),
}

/// The libraries of floors 0 to 2. A new one is a commit of its own, with its reason.
const PURE: [(&str, Home, &str); 14] = [
    ("bytes", Home::Pure, "bodies are shared, never copied"),
    ("http", Home::Pure, "the field's own nouns for methods, fields and statuses"),
    ("serde", Home::Pure, "configuration nouns and logged commands are derived, not written"),
    ("thiserror", Home::Pure, "one error enum per crate, without boilerplate"),
    ("httpdate", Home::Pure, "dates as RFC 9110 §5.6.7 wants them, in all three forms"),
    ("idna", Home::Only("model"), "host names in any script become what browsers send (UTS 46)"),
    ("blake3", Home::Pure, "keys and digests that nobody can aim collisions at"),
    (
        "sha2",
        Home::Only("serve"),
        "an operator's token is kept as a digest that any shell can make",
    ),
    ("xxhash-rust", Home::Pure, "checksums and ring tokens that are the same on every build"),
    ("hashring", Home::Only("placement"), "the ring itself"),
    ("bincode", Home::Only("wire"), "the one codec; bytes go in and out there only"),
    ("imbl", Home::Only("control"), "a reader keeps one version while the writer makes the next"),
    ("futures-util", Home::Stories, "streams and joins without a runtime"),
    ("arc-swap", Home::Stories, "one atomic pointer, so that a reader never waits"),
];

/// The libraries that one shell is built around, and who may use each.
const SHELLED: [(&str, &[&str]); 19] = [
    ("chitchat", &["membership"]),
    ("quinn", &["transport"]),
    ("rustls", &["transport"]),
    ("rcgen", &["transport"]),
    ("x509-parser", &["transport"]),
    ("openraft", &["consensus"]),
    ("sled", &["consensus"]),
    ("foyer-common", &["storage"]),
    ("foyer-memory", &["storage"]),
    ("brotli", &["encoding"]),
    ("flate2", &["encoding"]),
    ("zstd", &["encoding"]),
    // The program has a small client for the admin API; the testbed has viewers by the thousand.
    ("hyper", &["gateway", "shoal", "testbed"]),
    // Viewers' HTTP/2 without hyper's server, which has no way to send interim responses.
    ("h2", &["gateway"]),
    ("axum", &["admin"]),
    ("utoipa", &["admin"]),
    ("utoipa-axum", &["admin"]),
    // The testbed talks to a Docker engine, and carries packets between hosts by itself.
    ("bollard", &["testbed"]),
    ("tokio-tun", &["testbed"]),
];

#[test]
fn the_pure_floors_use_only_libraries_with_a_reason() {
    unreasoned(crates()).finish();
}

#[test]
fn the_pure_floors_are_tested_without_a_runtime() {
    runtimes_in_tests(crates()).finish();
}

#[test]
fn a_shells_library_stays_in_its_shell() {
    escaped(crates()).finish();
}

fn unreasoned(crates: &[Crate]) -> Report {
    let mut report = Report::default();
    for (ours, floor) in pure(crates) {
        let used = ours.needs.iter().filter(|need| need.for_what == For::Use);
        for need in used.filter(|need| !is_ours(&need.name, crates)) {
            let listed = PURE.iter().find(|(name, ..)| *name == need.name);
            let what = match listed {
                None => "does not list: use a listed one, or add it there with its reason",
                Some((_, home, _)) if allows(home, &ours.name, floor) => continue,
                Some(_) => "gives another home: leave it to that one",
            };
            let what = format!("`{}` is a library that tests/tidy/libraries.rs {what}", need.name);
            report.add(&ours.manifest, need.line, what);
        }
    }
    report
}

fn allows(home: &Home, name: &str, floor: usize) -> bool {
    match home {
        Home::Pure => true,
        Home::Stories => floor == HIGHEST_PURE,
        Home::Only(one) => *one == name,
    }
}

fn runtimes_in_tests(crates: &[Crate]) -> Report {
    let mut report = Report::default();
    for (ours, _) in pure(crates) {
        let tests = ours.needs.iter().filter(|need| need.for_what == For::Tests);
        for need in tests.filter(|need| need.name.starts_with("tokio")) {
            let what = "is a runtime: test floors 0 to 2 with a pretend host, or from above";
            report.add(&ours.manifest, need.line, format!("`{}` {what}", need.name));
        }
    }
    report
}

fn escaped(crates: &[Crate]) -> Report {
    let mut report = Report::default();
    for ours in crates {
        for need in ours.needs.iter().filter(|need| need.for_what == For::Use) {
            let home = SHELLED.iter().find(|(name, _)| *name == need.name);
            if let Some((_, homes)) = home.filter(|(_, homes)| !homes.contains(&&*ours.name)) {
                let homes = homes.join(" and ");
                let what = format!("`{}` stays in {homes}: ask there, by a port", need.name);
                report.add(&ours.manifest, need.line, what);
            }
        }
    }
    report
}

fn pure(crates: &[Crate]) -> impl Iterator<Item = (&Crate, usize)> {
    let placed = crates.iter().filter_map(|ours| Some((ours, floor_of(&ours.name)?)));
    placed.filter(|(_, floor)| *floor <= HIGHEST_PURE)
}

#[test]
fn a_library_out_of_place_is_found() {
    let house = [
        pretend("model", &["bytes", "rand"], &["rand"]),
        pretend("control", &["model", "arc-swap"], &[]),
        pretend("serve", &["arc-swap", "bincode"], &["tokio"]),
        pretend("gateway", &["hyper", "quinn", "tokio"], &["axum", "tokio"]),
    ];
    unreasoned(&house).expect(&["`arc-swap` is a library", "`rand` is a", "`bincode` is a"]);
    runtimes_in_tests(&house).expect(&["`tokio` is a runtime"]);
    escaped(&house).expect(&["`quinn` stays in transport"]);
}
