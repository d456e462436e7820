//! The chart in `cluster/helm`, as Helm itself sees it: linted, installed into a pretend cluster,
//! and held against the schemas of Kubernetes. `tests/packages` installs the tools; without them
//! this is left out with a word about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The chart as it ships.
fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/helm/shoal")
}

/// What comes of installing `chart` with each of `values`; nothing without the tools.
fn install(chart: &Path, values: &[Value]) -> Option<Vec<Value>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = own.join("../target/chart-tools/bin/python");
    if !python.exists() {
        eprintln!("skipped: no Helm in target/chart-tools (tests/packages installs it)");
        return None;
    }
    let mut command = Command::new(python);
    command.arg(own.join("tests/chart/install.py")).arg(chart);
    command.args(values.iter().map(Value::to_string));
    let output = command.output().expect("a program that is there starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), values.len(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(lines)
}

#[test]
fn helm_installs_the_chart_and_kubernetes_has_nothing_against_it() {
    let values = [
        json!({}),
        json!({
            "bootstrap": false,
            "seeds": ["eu-0.example:7400", "eu-1.example:7400"],
            "raftDistance": "wan",
            "image": {"tag": "1.2.3"},
            "storage": {"className": "fast"},
        }),
    ];
    let kinds = json!(["PodDisruptionBudget", "Service", "Service", "StatefulSet"]);
    for (installed, values) in install(&chart(), &values).iter().flatten().zip(&values) {
        assert_eq!(*installed, json!({"kinds": kinds, "problems": []}), "with {values}");
    }
}

#[test]
fn a_misspelled_field_and_a_broken_template_are_noticed() {
    let broken = tempfile::tempdir().expect("a test has what it needs");
    let templates = broken.path().join("templates");
    std::fs::create_dir(&templates).expect("a test has what it needs");
    for file in ["Chart.yaml", "values.yaml", "templates/services.yaml"] {
        std::fs::copy(chart().join(file), broken.path().join(file))
            .expect("a test has what it needs");
    }
    let services = templates.join("services.yaml");
    let right = std::fs::read_to_string(&services).expect("a test has what it needs");
    for (wrong, named) in [
        (right.replace("clusterIP:", "clusterIp:"), "clusterIp"),
        (right.replace("{{ .Release.Name }}-mesh", "{{ .Release.Name"), "services.yaml"),
    ] {
        std::fs::write(&services, wrong).expect("a test has what it needs");
        for installed in install(broken.path(), &[json!({})]).iter().flatten() {
            assert!(installed["problems"].to_string().contains(named), "{installed}");
        }
    }
}
