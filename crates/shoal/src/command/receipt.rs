//! How a receipt looks to people: how far a purge has come, when, and who holds it up.

use admin::view::{Plan, Receipt, Summary};
use model::Level;

use crate::output::{BAD, BOLD, DIM, GOOD, paint};

/// Characters of a line of nodes, at most.
const WIDTH: usize = 100;
/// Characters of a scope, at most.
const SCOPE_CHARS_MAX: usize = 60;

/// A receipt as text that ends its own lines. `wanted` colours the level.
pub(crate) fn text(receipt: &Receipt) -> String {
    let reached = receipt.level >= receipt.wanted;
    let level = paint(if reached { GOOD } else { BAD }, receipt.level);
    let id = paint(DIM, format!("id {}", receipt.id));
    let what = receipt.invalidation.as_ref().map(|summary| format!("  ({})", said(summary)));
    let [purge, index, what] =
        [paint(BOLD, "purge"), receipt.log_index.to_string(), what.unwrap_or_default()];
    format!(
        "{purge} {level} at log index {index}  {id}{what}\n  {}\n{}",
        times(receipt),
        nodes(receipt)
    )
}

/// `hard, 2 scopes of shop: /a.css, …`
pub(crate) fn said(summary: &Summary) -> String {
    let Summary { distribution, effect, scopes, first_scope } = summary;
    let mut first: String = first_scope.chars().take(SCOPE_CHARS_MAX).collect();
    if first.len() < first_scope.len() {
        first.push('…');
    }
    let more = if *scopes == 1 { "" } else { ", …" };
    format!("{effect}, {} of {distribution}: {first}{more}", count(*scopes, "scope", "scopes"))
}

/// A receipt that was asked for afterwards does not know how long the commit took.
fn times(receipt: &Receipt) -> String {
    let mut times = Vec::new();
    match receipt.committed_ms {
        0 => times.push("committed".to_owned()),
        ms => times.push(format!("committed {ms} ms")),
    }
    if let (Some(half), Some(last)) = (receipt.applied_p50_ms, receipt.applied_last_ms) {
        times.push(format!("applied p50 {half} ms, last {last} ms"));
    }
    match receipt.fenced_ms {
        Some(ms) => times.push(format!("fenced {ms} ms")),
        None if receipt.level == Level::Fenced => times.push("fenced".to_owned()),
        None => {}
    }
    times.push(match receipt.responses_cut {
        1 => "1 response cut".to_owned(),
        count => format!("{count} responses cut"),
    });
    times.join(" · ")
}

/// A line per node, or several nodes in one where they fit.
fn nodes(receipt: &Receipt) -> String {
    let name = |node: &str, rest: &str| format!("{node} {rest}");
    let mut cells = Vec::new();
    let mut applied: Vec<_> = receipt.applied.iter().collect();
    applied.sort_by(|one, other| one.node.cmp(&other.node));
    for node in applied {
        cells.push((name(&node.node, &format!("applied in {} ms", node.ms)), None));
    }
    for node in &receipt.expired {
        cells.push((name(node, "lease expired"), Some(DIM)));
    }
    for node in &receipt.pending {
        cells.push((name(node, "not yet applied"), Some(BAD)));
    }
    let width = cells.iter().map(|(cell, _)| cell.chars().count() + 2).max().unwrap_or(WIDTH);
    let columns = (WIDTH / width).max(1);
    let mut text = String::new();
    for row in cells.chunks(columns) {
        for (at, (cell, style)) in row.iter().enumerate() {
            let gap = if at + 1 < row.len() { width - 2 - cell.chars().count() } else { 0 };
            let cell = style.map_or_else(|| cell.clone(), |style| paint(style, cell));
            text.push_str(&format!("  {cell}{:gap$}", ""));
        }
        text.push('\n');
    }
    text
}

/// A plan as text that ends its own lines.
pub(crate) fn plan(plan: &Plan) -> String {
    let Plan { invalidation, copies, bytes, nodes, unreachable } = plan;
    let mut text = format!(
        "{} {}, {} on {} would go  ({})\n",
        paint(BOLD, "plan:"),
        count(*copies, "copy", "copies"),
        size(*bytes),
        count(nodes.len() as u64, "node", "nodes"),
        said(invalidation)
    );
    for node in nodes {
        let copies = count(node.copies, "copy", "copies");
        text.push_str(&format!("  {} {copies}, {}\n", node.node, size(node.bytes)));
    }
    for node in unreachable {
        text.push_str(&format!("  {node} {}\n", paint(BAD, "did not answer")));
    }
    text.push_str(&paint(DIM, "nothing was purged\n"));
    text
}

/// `1 copy`, `12,345 copies`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the unit that leaves few digits.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    if value < 1.0 {
        return format!("{bytes} bytes");
    }
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
pub(crate) mod tests {
    use admin::view::{Applied, PlannedNode};
    use model::Effect;

    use super::*;

    pub(crate) fn receipt() -> Receipt {
        Receipt {
            id: "3f".repeat(16),
            idempotency_key: "3f".repeat(16),
            epoch: 0,
            log_index: 42,
            level: Level::Fenced,
            wanted: Level::Fenced,
            committed_ms: 2,
            applied_p50_ms: Some(4),
            applied_last_ms: Some(8),
            fenced_ms: Some(9),
            applied: vec![
                Applied { node: "edge-2".into(), ms: 8 },
                Applied { node: "edge-1".into(), ms: 4 },
            ],
            pending: Vec::new(),
            expired: vec!["edge-3".into()],
            responses_cut: 0,
            invalidation: Some(Summary {
                distribution: "shop".into(),
                effect: Effect::Hard,
                scopes: 1,
                first_scope: "/a.css".into(),
            }),
        }
    }

    /// As it looks where there are no colours.
    pub(crate) fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_receipt_says_level_times_and_nodes() {
        let id = "3f".repeat(16);
        let expected = format!(
            "purge fenced at log index 42  id {id}  (hard, 1 scope of shop: /a.css)\n\
             \x20 committed 2 ms · applied p50 4 ms, last 8 ms · fenced 9 ms · 0 responses cut\n\
             \x20 edge-1 applied in 4 ms  edge-2 applied in 8 ms  edge-3 lease expired\n"
        );
        assert_eq!(plain(&text(&receipt())), expected);
    }

    #[test]
    fn a_receipt_names_those_who_hold_it_up_and_claims_no_time_it_does_not_know() {
        let mut receipt = receipt();
        receipt.level = Level::Committed;
        receipt.fenced_ms = None;
        receipt.committed_ms = 0;
        receipt.applied.clear();
        (receipt.applied_p50_ms, receipt.applied_last_ms) = (None, None);
        receipt.expired.clear();
        receipt.pending = vec!["edge-3".into()];
        receipt.responses_cut = 1;
        receipt.invalidation = None;
        let text = plain(&text(&receipt));
        assert!(text.starts_with("purge committed at log index 42  id 3f"), "{text}");
        assert!(text.ends_with("\n  committed · 1 response cut\n  edge-3 not yet applied\n"));
    }

    #[test]
    fn many_nodes_share_lines_that_stay_short() {
        let mut receipt = receipt();
        receipt.applied =
            (0..9).map(|at| Applied { node: format!("edge-frankfurt-{at}"), ms: 1000 }).collect();
        for line in plain(&nodes(&receipt)).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert_eq!(nodes(&receipt).lines().count(), 5);
    }

    #[test]
    fn a_plan_counts_and_says_that_nothing_happened() {
        let summary = Summary { scopes: 2, ..receipt().invalidation.unwrap() };
        let node = |name: &str, copies, bytes| PlannedNode { node: name.into(), copies, bytes };
        let plan = Plan {
            invalidation: summary,
            copies: 12_346,
            bytes: 3 * 1024 * 1024 + 1,
            nodes: vec![node("a", 12_345, 3 * 1024 * 1024), node("b", 1, 1)],
            unreachable: vec!["c".into()],
        };
        let expected = "plan: 12,346 copies, 3.0 MiB on 2 nodes would go  \
            (hard, 2 scopes of shop: /a.css, …)\n  \
            a 12,345 copies, 3.0 MiB\n  b 1 copy, 1 bytes\n  c did not answer\n\
            nothing was purged\n";
        assert_eq!(plain(&super::plan(&plan)), expected);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
