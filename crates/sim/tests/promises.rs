//! Promises: a share of the seeds keeps all of them, and mutants are caught. The full runs are
//! commands: see `sim --help`.
//!
//! Each run is a process, so that what fails here fails again with the command that is printed.

use std::process::Command;

/// Runs the simulator and expects that all went well.
fn good(line: &str) {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"));
    let output = sim.args(line.split_whitespace()).output();
    let output = output.expect("cargo built the program for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "sim {line}\n{said}");
}

#[test]
fn a_calm_mesh_keeps_every_promise() {
    good("--seeds 8 --profile calm");
}

#[test]
fn an_ordinary_mesh_keeps_every_promise() {
    good("--seeds 8 --profile ordinary");
}

#[test]
fn a_mesh_in_heavy_weather_keeps_every_promise() {
    good("--seeds 8 --profile heavy");
}

#[test]
fn a_long_run_of_many_nodes_keeps_every_promise() {
    good("--seeds 1 --level l0 --profile ordinary");
    good("--seeds 1 --level l0 --profile heavy");
}

#[test]
fn a_node_that_comes_back_cut_off_from_all_keeps_every_promise() {
    good("1 --level l0 --profile comeback");
}

#[test]
fn a_mesh_that_goes_on_with_what_one_voter_had_keeps_every_promise() {
    good("1 --level l0 --profile recovery");
}

#[test]
fn a_copy_known_by_its_date_alone_is_one_version_whatever_its_head_is_named() {
    // A regional's 304 about the same minute gives an edge's copy the fields of another version.
    good("3 --level l0 --profile correlated");
}

#[test]
fn a_node_that_was_cut_off_takes_no_date_for_a_proof() {
    // A regional that has heard of no purge confirms a copy by its date, and vouches for it anew.
    good("187 --level l0 --profile ordinary");
}

#[test]
fn a_mesh_just_formed_keeps_to_its_own_lease() {
    // A leader cut off as soon as it led had minted with another lease; a lost round held it up.
    good("1854 --level l0 --profile heavy");
}

#[test]
fn a_lease_little_longer_than_the_trips_it_takes_is_held_without_a_gap() {
    // Of which a quorum across an ocean takes a quarter, and so does the way back.
    good("1875 --level l0 --profile correlated");
}

#[test]
fn a_node_that_stood_still_while_its_origin_answered_asks_what_it_has_missed() {
    // It woke just before the purge of what it had waited for was fenced, and sent it out after.
    good("1846 --level l0 --profile heavy");
}

#[test]
fn every_mutant_of_the_short_runs_is_caught_by_the_checker_of_the_promise_it_breaks() {
    good("--mutants --level l1");
}
