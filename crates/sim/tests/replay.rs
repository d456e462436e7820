//! Replay: one seed takes the same steps in two processes, whatever the machine is doing.
//!
//! A second process has other addresses, and would have other hash keys and election timeouts if
//! the system were asked: if any of them could be felt, the hashes of the two traces would differ.

use std::process::{Command, Output};

/// Seeds that are run twice. A quick build looks at more of them.
const SEEDS: u64 = if cfg!(debug_assertions) { 4 } else { 50 };

fn run(line: &str) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(line.split_whitespace()).output();
    output.expect("cargo built the program for this test")
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let mut traces = Vec::new();
    for seed in 0..SEEDS {
        for profile in ["calm", "heavy"] {
            let line = format!("{seed} --profile {profile} --trace");
            let [one, two] = [&line, &line].map(|line| run(line).stdout);
            assert!(one.len() > 10_000, "the events are in it");
            assert!(one == two, "two traces differ: cargo run -p sim -- {line}");
            traces.push(one);
        }
    }
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len() as u64, SEEDS * 2, "another seed is another run");
}

#[test]
fn a_word_that_is_not_known_fails_and_help_does_not() {
    assert_eq!(run("--sead").status.code(), Some(2));
    assert_eq!(run("--help").status.code(), Some(0));
}
