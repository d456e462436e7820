//! The formatting of the code, by rustfmt itself.
//!
//! It only looks. Without rustfmt there is nothing to ask, so the rule says loudly that it was not
//! checked and lets the rest of the tests count.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use super::report::Report;
use super::tree;

#[test]
fn the_code_is_formatted() {
    if !cargo(&["fmt", "--version"]).0 {
        eprintln!(
            "FORMATTING WAS NOT CHECKED: there is no rustfmt; `rustup component add rustfmt`"
        );
        return;
    }
    let (passed, files, complaints) = cargo(&["fmt", "--all", "--", "--check", "-l"]);
    let mut report = Report::default();
    for file in files.lines().collect::<BTreeSet<_>>() {
        let path = file.strip_prefix(&*tree::root().to_string_lossy()).unwrap_or(file);
        report.add(path.trim_start_matches('/'), 1, "not formatted: run `cargo fmt --all`");
    }
    report.finish();
    assert!(passed, "rustfmt could not read the code:\n{complaints}");
}

/// Runs cargo in the root: whether it succeeded, what it printed, what it complained of.
fn cargo(arguments: &[&str]) -> (bool, String, String) {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    let Ok(output) = command.args(arguments).current_dir(tree::root()).output() else {
        return (false, String::new(), String::new());
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}
