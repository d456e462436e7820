//! Replay: one seed takes the same steps in two processes, whatever the machine is doing.
//!
//! A second process has other addresses and other hash keys: if either could be felt, the hashes
//! of the two traces would differ.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output();
    output.expect("cargo built the program for this test")
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    for seed in ["1", "2"] {
        let arguments = [seed, "--profile", "heavy", "--trace"];
        let (one, two) = (run(&arguments).stdout, run(&arguments).stdout);
        assert!(one.len() > 10_000, "the events are in it");
        assert!(one == two, "two traces differ: cargo run -p sim -- {}", arguments.join(" "));
    }
}

#[test]
fn a_word_that_is_not_known_fails_and_help_does_not() {
    assert_eq!(run(&["--sead"]).status.code(), Some(2));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}
