//! The testbed as people use it, on every backend that this machine offers: up, load, faults, a
//! short chaos run, down, and nothing left. What is skipped is said.
//!
//! `TESTBED_CHAOS=5m cargo test -p testbed` makes chaos last longer, and `TESTBED_BACKENDS` names
//! the backends on which it is run (`process` unless set; `process,netns,docker` for all).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

/// Two regions, one node that may vote, two edges.
const THREE: &str = r#"
name = "three-nodes"
[mesh]
lease_seconds = 3
[regions.eu]
[regions.us]
[within]
delay_ms = 0.5
[[link]]
between = ["eu", "us"]
delay_ms = 20
jitter_ms = 2
[[node]]
name = "mid-eu-1"
region = "eu"
tiers = ["regional", "shield"]
[[node]]
name = "edge-eu-1"
region = "eu"
tiers = ["edge"]
[[node]]
name = "edge-us-1"
region = "us"
tiers = ["edge"]
[[origin]]
name = "origin"
region = "eu"
"#;

/// One mesh at a time: machines that run tests are small.
static TURN: Mutex<()> = Mutex::new(());

struct Testbed {
    directory: TempDir,
    backend: &'static str,
}

impl Testbed {
    fn new(backend: &'static str) -> Testbed {
        let directory = tempfile::Builder::new()
            .prefix("shoal-testbed-")
            .tempdir()
            .expect("a test has what it needs");
        std::fs::write(directory.path().join("three.toml"), THREE)
            .expect("a test has what it needs");
        Testbed { directory, backend }
    }

    fn state(&self) -> std::path::PathBuf {
        self.directory.path().join("state")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
        command.arg("--state").arg(self.state()).args(arguments).stdin(Stdio::null());
        command.current_dir(self.directory.path());
        command.output().expect("a test has what it needs")
    }

    /// Its standard output as JSON, if all went well.
    fn well(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{} {arguments:?}: {out}{err}", self.backend);
        serde_json::from_str(&out).unwrap_or(Value::Null)
    }

    fn up(&self) {
        let scene = self.well(&["up", "--topology", "three.toml", "--backend", self.backend]);
        assert_eq!(scene["nodes"].as_array().expect("a test has what it needs").len(), 3);
    }

    fn down(&self) {
        self.well(&["down"]);
        assert!(!self.state().exists(), "the state directory is left");
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if self.state().exists() {
            drop(self.run(&["down"]));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Up, load, a death that viewers do not notice, chaos, down.
fn story(backend: &'static str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let testbed = Testbed::new(backend);
    testbed.up();
    let load = ["load", "--rate", "40", "--for", "2s", "--viewers", "4"];
    let seen = testbed.well(&load);
    assert!(
        seen["requests"].as_u64().expect("a test has what it needs") > 20 && seen["failed"] == 0,
        "{seen}"
    );
    testbed.well(&["fault", "kill", "mid-eu-1"]);
    let status = testbed.well(&["status"]);
    assert_eq!(status["faults"][0]["fault"]["kind"], "kill", "{status}");
    assert_eq!(testbed.well(&load)["failed"], 0, "a death above the edges was noticed");
    testbed.well(&["fault", "heal"]);
    let inside = testbed.run(&["exec", "edge-us-1", "shoal", "status", "--json"]);
    assert!(inside.status.success(), "{}", text(&inside.stderr));
    if is_for_chaos(backend) {
        let last = std::env::var("TESTBED_CHAOS").unwrap_or_else(|_| "8s".into());
        let chaos = ["chaos", "--seed", "3", "--for", &last, "--replays", "0", "--out", "out"];
        let outcome = testbed.well(&chaos);
        assert!(
            outcome["bound"].as_u64().expect("a test has what it needs") > 0,
            "nothing was promised: {outcome}"
        );
    }
    testbed.down();
}

fn is_for_chaos(backend: &str) -> bool {
    let chosen = std::env::var("TESTBED_BACKENDS").unwrap_or_else(|_| "process".into());
    chosen.split(',').any(|own| own == backend)
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0"))
}

/// Why a backend that needs the link emulator is not offered here.
fn lacks_emulator() -> Option<&'static str> {
    let has_tun = Path::new("/dev/net/tun").exists();
    match (is_root(), has_tun) {
        (false, _) => Some("not root"),
        (true, false) => Some("no /dev/net/tun"),
        (true, true) => None,
    }
}

fn lacks_engine() -> Option<&'static str> {
    let docker = |words: &[&str]| {
        let mut command = Command::new("docker");
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let has_base = ["debian:bookworm-slim", "shoal-base"]
        .into_iter()
        .any(|base| docker(&["image", "inspect", base]));
    match (docker(&["info"]), has_base) {
        (false, _) => Some("no Docker engine answers"),
        (true, false) => Some("no base image is at hand (testbed/base-image makes one)"),
        (true, true) => None,
    }
}

/// Said past the test harness, which would keep it to itself.
fn skipped(backend: &str, why: &str) {
    let said = writeln!(std::io::stderr(), "SKIPPED: the testbed's {backend} backend: {why}");
    said.expect("standard error is open");
}

#[test]
fn a_mesh_of_processes_is_set_up_broken_judged_and_taken_away() {
    story("process");
}

#[test]
fn a_mesh_of_namespaces_is_set_up_broken_and_taken_away() {
    match lacks_emulator() {
        None => story("netns"),
        Some(why) => skipped("netns", why),
    }
}

#[test]
fn a_mesh_of_containers_is_set_up_broken_and_taken_away() {
    match lacks_emulator().or_else(lacks_engine) {
        None => story("docker"),
        Some(why) => skipped("docker", why),
    }
}

#[test]
fn mistakes_are_said_in_words() {
    let testbed = Testbed::new("process");
    for (arguments, words) in [
        (&["status"][..], "nothing stands"),
        (&["up", "--topology", "nowhere"][..], "no topology nowhere"),
        (&["fault", "kill", "a", "--for", "soon"][..], "expected 20s"),
    ] {
        let output = testbed.run(arguments);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
}
