//! The testbed as people use it, on every backend that this machine offers: up, load, faults,
//! chaos, down, and nothing left. What is run and what is skipped is said.
//!
//! Chaos lasts eight seconds on plain processes; under `CI`, five minutes on every backend that is
//! offered, side by side. `TESTBED_CHAOS=5m` and `TESTBED_BACKENDS=process,netns,docker` ask for
//! that, or for something else.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
        let out = self.directory.path().join("out");
        if std::thread::panicking() && out.exists() {
            self.directory.disable_cleanup(true);
            say(&format!("schedule, outcome and logs of the failed run: {}", out.display()));
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
    a_slow_disk_is_waited_for(&testbed);
    testbed.down();
}

/// The only voter writes every command to its disk before it counts.
fn a_slow_disk_is_waited_for(testbed: &Testbed) {
    let usual = commit(testbed);
    let slow = testbed.run(&["fault", "slow-disk", "mid-eu-1", "--delay", "200ms"]);
    if !slow.status.success() {
        let why = text(&slow.stderr);
        assert!(why.contains("cannot be slow here"), "{why}");
        return say(&format!("SKIPPED: slow disks on the {} backend: {why}", testbed.backend));
    }
    let slow = commit(testbed);
    testbed.well(&["fault", "heal"]);
    let healed = commit(testbed);
    let (backend, seen) = (testbed.backend, format!("{usual:?}, {slow:?} slow, {healed:?} healed"));
    say(&format!("a purge is committed on {backend} within {seen}"));
    let more = Duration::from_millis(100);
    assert!(slow > usual + more && slow > healed + more, "{backend}: {seen}");
}

/// How long a purge took to be committed, the middle of five times.
#[expect(clippy::disallowed_methods, reason = "what is measured is how long people wait")]
fn commit(testbed: &Testbed) -> Duration {
    let purge = ["shoal", "purge", "/never", "--distribution", "testbed", "--wait", "committed"];
    let once = |_| {
        let began = Instant::now();
        testbed.well(&[&["exec", "mid-eu-1"], &purge[..]].concat());
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..5).map(once).collect();
    times.sort();
    times[2]
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

/// Why this backend is not offered here.
fn lacks(backend: &str) -> Option<&'static str> {
    match backend {
        "netns" => lacks_emulator(),
        "docker" => lacks_emulator().or_else(lacks_engine),
        _process => None,
    }
}

/// Said past the test harness, which would keep it to itself.
fn say(words: &str) {
    writeln!(std::io::stderr(), "{words}").expect("standard error is open");
}

fn story_if_offered(backend: &'static str) {
    match lacks(backend) {
        None => story(backend),
        Some(why) => say(&format!("SKIPPED: the testbed's {backend} backend: {why}")),
    }
}

#[test]
fn a_mesh_of_processes_is_set_up_broken_and_taken_away() {
    story_if_offered("process");
}

#[test]
fn a_mesh_of_namespaces_is_set_up_broken_and_taken_away() {
    story_if_offered("netns");
}

#[test]
fn a_mesh_of_containers_is_set_up_broken_and_taken_away() {
    story_if_offered("docker");
}

/// What the environment asks for, or what is usual here, or what is usual under CI.
fn asked(variable: &str, here: &str, under_ci: &str) -> String {
    let is_ci = std::env::var("CI").is_ok_and(|value| !matches!(&*value, "" | "0" | "false"));
    let usual = if is_ci { under_ci } else { here };
    std::env::var(variable).unwrap_or_else(|_| usual.to_owned())
}

/// What the judge says of one backend; each has faults of its own.
fn trial(testbed: &Testbed, last: &str) -> Value {
    let seed = match testbed.backend {
        "netns" => "4",
        "docker" => "5",
        _process => "3",
    };
    let chaos = ["chaos", "--seed", seed, "--for", last, "--rate", "30", "--replays", "0"];
    let outcome = testbed.well(&[&chaos[..], &["--out", "out"]].concat());
    testbed.down();
    outcome
}

#[test]
fn chaos_finds_nothing_on_any_backend() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let last = asked("TESTBED_CHAOS", "8s", "5m");
    let chosen = asked("TESTBED_BACKENDS", "process", "process,netns,docker");
    let (offered, skipped): (Vec<_>, Vec<_>) = ["process", "netns", "docker"]
        .into_iter()
        .filter(|backend| chosen.split(',').any(|own| own == *backend))
        .partition(|backend| lacks(backend).is_none());
    for backend in skipped {
        let why = lacks(backend).unwrap_or("");
        say(&format!("SKIPPED: chaos on the testbed's {backend} backend: {why}"));
    }
    say(&format!("chaos for {last} on {}", offered.join(", ")));
    // They are set up one after the other, so that each is ready in time.
    let testbeds: Vec<Testbed> = offered.into_iter().map(Testbed::new).collect();
    testbeds.iter().for_each(Testbed::up);
    std::thread::scope(|scope| {
        let trials: Vec<_> = testbeds
            .iter()
            .map(|testbed| (testbed.backend, scope.spawn(|| trial(testbed, &last))))
            .collect();
        for (backend, trial) in trials {
            let outcome = trial.join().expect("chaos finds nothing");
            let promised = outcome["bound"].as_u64().expect("a test has what it needs");
            assert!(promised > 0, "nothing was promised: {outcome}");
            say(&format!("chaos on {backend} found nothing: {outcome}"));
        }
    });
}

/// Three faults, of which one matters.
const FAULTS: &str = r#"{ "seed": 5, "for_ms": 9000, "steps": [
  { "at_ms": 500, "last_ms": 2500, "whom": ["origin"],
    "fault": { "kind": "origin-slow", "delay_ms": 5 } },
  { "at_ms": 800, "last_ms": 2500, "whom": ["edge-us-1"],
    "fault": { "kind": "slow", "delay_ms": 20 } },
  { "at_ms": 1000, "last_ms": 2500, "whom": ["edge-eu-1"],
    "fault": { "kind": "loss", "percent": 1.0 } } ] }"#;

/// Purges are held back while the node is slow, and the judge is told otherwise.
#[test]
fn a_failing_run_leaves_the_one_fault_that_matters() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let testbed = Testbed::new("process");
    let file = |name: &str| testbed.directory.path().join(name);
    let json = |name: &str| -> Value {
        let text = std::fs::read_to_string(file(name)).expect(name);
        serde_json::from_str(&text).expect(name)
    };
    std::fs::write(file("faults.json"), FAULTS).expect("a test has what it needs");
    let chaos = ["chaos", "--topology", "three.toml", "--schedule", "faults.json", "--out", "out"];
    let output = testbed.run(&[&chaos[..], &["--mutant", "slow"]].concat());
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!output.status.success(), "the judge did not notice: {said}");
    assert_eq!(json("out/outcome.json")["violations"][0]["offence"], "stale", "{said}");
    assert_eq!(json("out/schedule.json")["steps"].as_array().map(Vec::len), Some(3), "{said}");
    assert!(file("out/logs/edge-us-1.txt").exists(), "no logs: {said}");
    let shortest = json("out/shortest.json");
    assert_eq!(shortest["steps"].as_array().map(Vec::len), Some(1), "{shortest} {said}");
    assert_eq!(shortest["steps"][0]["fault"]["kind"], "slow", "{shortest}");
    assert!(!testbed.state().exists(), "the state directory is left");
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
