//! What `cluster/` ships for real use: what it names is there. No engine and no Prometheus is
//! asked; Helm is, in `chart.rs`, and `promtool` sees more where it is at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn cluster() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster")
}

fn read(path: &str) -> String {
    let file = cluster().join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Words that begin so.
fn words<'a>(text: &'a str, begins: &str) -> BTreeSet<&'a str> {
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let split = text.split(move |c: char| !joins(c));
    split.filter(|word| word.starts_with(begins)).collect()
}

#[test]
fn alerts_and_dashboard_name_metrics_that_nodes_have() {
    let metrics = admin::Metrics::new().encode();
    let known = words(&metrics, "shoal_");
    for file in ["prometheus/alerts.yml", "grafana/shoal.json"] {
        let text = read(file);
        let named = words(&text, "shoal_");
        assert!(named.len() > 4, "{file} names {named:?}");
        for name in named {
            assert!(known.contains(name), "{file}: no node has {name}");
        }
    }
}

#[test]
fn the_dashboard_has_panels_that_do_not_overlap() {
    let dashboard: Value =
        serde_json::from_str(&read("grafana/shoal.json")).expect("a test has what it needs");
    let panels = dashboard["panels"].as_array().expect("a test has what it needs");
    let places: BTreeSet<(u64, u64)> = panels
        .iter()
        .map(|panel| {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a test has what it needs");
            assert!(
                !panel["targets"].as_array().expect("a test has what it needs").is_empty(),
                "{}",
                panel["title"]
            );
            (at("x"), at("y"))
        })
        .collect();
    assert_eq!(places.len(), panels.len());
}

/// Every `.Values.…` that templates name, and whether `values.yaml` has its path.
#[test]
fn the_chart_names_values_that_it_has_and_closes_what_it_opens() {
    let known = paths(&read("helm/shoal/values.yaml"));
    let mut kinds = BTreeSet::new();
    for entry in
        std::fs::read_dir(cluster().join("helm/shoal/templates")).expect("a test has what it needs")
    {
        let path = entry.expect("a test has what it needs").path();
        let text = std::fs::read_to_string(&path).expect("a test has what it needs");
        let place = path.display();
        for action in text.split("{{").skip(1) {
            let (action, _) =
                action.split_once("}}").unwrap_or_else(|| panic!("{place}: {action}"));
            for name in action.split(['(', ')', ' ']).filter_map(|w| w.strip_prefix(".Values.")) {
                assert!(known.contains(name), "{place}: values.yaml has no {name}");
            }
        }
        let count = |words: [&str; 2]| words.map(|word| text.matches(word).count()).iter().sum();
        let (opened, closed): (usize, usize) =
            (count(["{{- if", "{{ if"]), count(["{{- end", "{{ end"]));
        assert_eq!(opened, closed, "{place}");
        assert!(!text.contains('\t'), "{place}: a tab");
        kinds.extend(text.lines().filter_map(|l| l.strip_prefix("kind: ")).map(str::to_owned));
    }
    for kind in ["StatefulSet", "Service", "PodDisruptionBudget"] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    let chart = read("helm/shoal/Chart.yaml");
    for key in ["apiVersion: v2", "name: shoal", "version: "] {
        assert!(chart.contains(key), "Chart.yaml has no {key}");
    }
}

/// The paths of a file of nested maps: `storage.size` and the like.
fn paths(yaml: &str) -> BTreeSet<String> {
    let (mut all, mut above): (BTreeSet<String>, Vec<(usize, String)>) = Default::default();
    for line in yaml.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, _)) = line.split_once(':') else { continue };
        let indent = key.len() - key.trim_start().len();
        above.retain(|(other, _)| *other < indent);
        above.push((indent, key.trim().to_owned()));
        let path: Vec<&str> = above.iter().map(|(_, key)| key.as_str()).collect();
        all.insert(path.join("."));
    }
    all
}

#[test]
fn the_service_runs_what_there_is_and_may_do_little() {
    let unit = read("systemd/shoal.service");
    for line in [
        "ExecStart=/usr/local/bin/shoal node --config /etc/shoal/node.toml",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
    ] {
        assert!(unit.lines().any(|own| own == line), "no {line}");
    }
}
