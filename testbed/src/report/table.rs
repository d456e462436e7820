//! The tables of a report, before they have a form.

use serde_json::Value;

use super::Findings;
use crate::measure::{Measurements, Propagation};

/// A table.
pub(super) struct Table {
    pub(super) title: String,
    /// What the figures mean.
    pub(super) note: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Whether this column is words, not figures.
    pub(super) fn is_words(&self, column: usize) -> bool {
        let begins = |row: &Vec<String>| row.get(column).and_then(|cell| cell.chars().next());
        self.rows.iter().filter_map(begins).all(char::is_alphabetic)
    }
}

/// A share of sorted values lies at or below this one.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

fn ms(value: f64) -> String {
    format!("{value:.0}")
}

/// All of them, in reading order.
pub(super) fn tables(findings: &Findings) -> Vec<Table> {
    let mut tables = Vec::new();
    for mesh in &findings.meshes {
        let of = format!("{} ({} nodes, {})", mesh.topology, mesh.nodes, mesh.backend);
        tables.push(propagation(mesh, &of));
        if !mesh.failover.is_empty() {
            tables.push(failover(mesh, &of));
        }
        tables.push(tiers(mesh, &of));
        tables.push(traffic(mesh, &of));
    }
    if !findings.chaos.is_empty() {
        tables.push(chaos(findings));
    }
    tables
}

fn propagation(mesh: &Measurements, of: &str) -> Table {
    let row = |found: &Propagation| {
        let mut row = vec![found.kind.clone(), found.everywhere_ms.len().to_string()];
        for times in [&found.each_edge_ms, &found.everywhere_ms, &found.acknowledged_ms] {
            row.extend([0.5, 0.9, 0.99].map(|share| ms(quantile(times, share))));
        }
        row
    };
    Table {
        title: format!("Commands in effect: {of}"),
        note: "Milliseconds from the moment a command is sent. An edge: until a viewer who polls \
            it every 8 ms sent the first request that got the new answer. Last edge: the slowest \
            of all edges. Acknowledged: until `fenced` came back (for configurations: applied).",
        head: vec![
            "scope",
            "n",
            "edge p50",
            "p90",
            "p99",
            "last edge p50",
            "p90",
            "p99",
            "acknowledged p50",
            "p90",
            "p99",
        ],
        rows: mesh.propagation.iter().map(row).collect(),
    }
}

fn failover(mesh: &Measurements, of: &str) -> Table {
    let row = |death: &crate::measure::Failover| {
        vec![
            death.what.clone(),
            death.whom.clone(),
            death.requests.to_string(),
            death.errors.to_string(),
            ms(death.slow_until_ms),
            ms(death.slowest_ms),
            death.purge_committed_ms.map_or_else(|| "never".into(), ms),
        ]
    };
    Table {
        title: format!("Deaths: {of}"),
        note: "SIGKILL while living edges are asked for cold objects. Slow until: after so many \
            milliseconds the last request was sent that took three times the usual. Purge: until \
            one that was sent at once stood in the log.",
        head: vec![
            "what died",
            "whom",
            "requests",
            "errors",
            "slow until ms",
            "slowest ms",
            "purge ms",
        ],
        rows: mesh.failover.iter().map(row).collect(),
    }
}

fn tiers(mesh: &Measurements, of: &str) -> Table {
    let load = &mesh.load;
    let all = load["requests"].as_f64().unwrap_or(0.0).max(1.0);
    let row = |source: &Value| {
        let cell = |key: &str| format!("{:.1}", source[key].as_f64().unwrap_or(0.0));
        let answers = source["answers"].as_f64().unwrap_or(0.0);
        vec![
            source["source"].as_str().unwrap_or("").to_owned(),
            format!("{answers:.0}"),
            format!("{:.1} %", 100.0 * answers / all),
            cell("p50_ms"),
            cell("p90_ms"),
            cell("p99_ms"),
        ]
    };
    let mut rows: Vec<Vec<String>> =
        load["by_source"].as_array().into_iter().flatten().map(row).collect();
    let asked = mesh.origin_requests as f64;
    rows.push(vec![
        "origin requests".into(),
        format!("{asked:.0}"),
        format!("{:.1} %", 100.0 * asked / all),
        "".into(),
        "".into(),
        "".into(),
    ]);
    Table {
        title: format!("Who has the answer: {of}"),
        note: "A cold mesh under Zipf's law (2,000 objects, exponent 0.9); milliseconds until the \
            last byte, as viewers next to the edge see them. The last row is what the origin saw.",
        head: vec!["answered by", "answers", "share", "p50", "p90", "p99"],
        rows,
    }
}

fn traffic(mesh: &Measurements, of: &str) -> Table {
    let row = |(name, bytes): &(String, f64)| {
        let find = |list: &[(String, f64)]| {
            let found = list.iter().find(|(other, _)| other == name);
            found.map_or_else(String::new, |(_, value)| format!("{value:.1}"))
        };
        vec![
            name.clone(),
            format!("{:.1}", bytes * 8.0 / 1_000.0),
            find(&mesh.traffic.processor_percent),
            find(&mesh.traffic.memory_mib),
        ]
    };
    Table {
        title: format!("At rest: {of}"),
        note: "Gossip, log and leases while no viewer asks: kilobits per second that a node sends \
            to its peers, percent of one processor, MiB of resident memory.",
        head: vec!["node", "kbit/s", "processor %", "memory MiB"],
        rows: mesh.traffic.sent.iter().map(row).collect(),
    }
}

fn chaos(findings: &Findings) -> Table {
    let row = |run: &crate::chaos::Outcome| {
        vec![
            run.seed.to_string(),
            run.topology.clone(),
            run.backend.clone(),
            (run.for_ms / 1_000).to_string(),
            run.faults.to_string(),
            run.answers.to_string(),
            run.bound.to_string(),
            run.purges_fenced.to_string(),
            run.violations.len().to_string(),
            ms(run.settled_ms as f64),
            ms(run.agreed_ms as f64),
        ]
    };
    Table {
        title: "Chaos".into(),
        note: "Bound: answers to which a fenced purge had promised something. Together: \
            milliseconds from the end of the last fault until every node lived, held a lease and \
            kept up. Agreed: from the last command until all had applied the same.",
        head: vec![
            "seed",
            "topology",
            "backend",
            "seconds",
            "faults",
            "answers",
            "bound",
            "fenced purges",
            "violations",
            "together ms",
            "agreed ms",
        ],
        rows: findings.chaos.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_seen() {
        assert!((quantile(&[1.0, 2.0, 9.0], 0.5) - 2.0).abs() < f64::EPSILON);
        assert!((quantile(&[1.0, 2.0, 9.0], 0.99) - 9.0).abs() < f64::EPSILON);
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
    }
}
