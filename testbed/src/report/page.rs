//! The report as one HTML page: no scripts, no fonts, nothing that is fetched.

use super::Findings;
use super::plot::{self, escape};
use super::table::{Table, quantile, tables};
use crate::measure::Measurements;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --back: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --back: #0d1117; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; }
p { color: var(--soft); max-width: 52rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th { font-weight: 600; } th:first-child, td:first-child, .words { text-align: left; }
svg { width: 100%; height: auto; max-width: 760px; }
svg text { font-size: 12px; fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
.facts { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
.fact { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; min-width: 9rem; }
.fact b { display: block; font-size: 1.3rem; }
.fact span { color: var(--soft); font-size: .8rem; }";

/// The whole page.
pub(super) fn page(findings: &Findings) -> String {
    let mut body = String::from("<h1>Shoal: measurements of a mesh</h1>");
    let setting: Vec<String> = findings
        .meshes
        .iter()
        .map(|mesh| {
            let Measurements { topology, nodes, backend, processors, build, .. } = mesh;
            format!("{topology}: {nodes} nodes ({backend}, {build} build, {processors} processors)")
        })
        .collect();
    body.push_str(&format!("<p>{}</p>", escape(&setting.join(" · "))));
    facts(&mut body, findings);
    for mesh in &findings.meshes {
        let title = format!("Purges: {} ({} nodes)", mesh.topology, mesh.nodes);
        body.push_str(&format!("<h2>{}</h2>", escape(&title)));
        body.push_str(
            "<p>The share of purges, and of changes of configuration, that every edge honours \
             after so long.</p>",
        );
        let series: Vec<(&str, &[f64])> = mesh
            .propagation
            .iter()
            .map(|found| (found.kind.as_str(), found.everywhere_ms.as_slice()))
            .collect();
        body.push_str(&plot::shares(&series));
        let kilobits: Vec<(String, f64)> = mesh
            .traffic
            .sent
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes * 8.0 / 1_000.0))
            .collect();
        body.push_str("<h2>What nodes say at rest</h2><p>Kilobits per second to peers.</p>");
        body.push_str(&plot::bars("What nodes say at rest", "kbit/s", &kilobits));
    }
    for table in tables(findings) {
        write_table(&mut body, &table);
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Shoal: measurements</title>\
         <style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
}

/// The figures to know.
fn facts(body: &mut String, findings: &Findings) {
    body.push_str("<div class=\"facts\">");
    let mut fact = |figure: String, what: &str| {
        let (figure, what) = (escape(&figure), escape(what));
        body.push_str(&format!("<div class=\"fact\"><b>{figure}</b><span>{what}</span></div>"));
    };
    for mesh in &findings.meshes {
        let is_purge = |found: &&crate::measure::Propagation| found.kind != "configuration";
        let purges = mesh.propagation.iter().filter(is_purge);
        let mut times: Vec<f64> = purges.flat_map(|found| found.everywhere_ms.clone()).collect();
        times.sort_by(f64::total_cmp);
        let nodes = mesh.nodes;
        fact(
            format!("{:.0} ms", quantile(&times, 0.5)),
            &format!("purge everywhere p50, {nodes} nodes"),
        );
        fact(
            format!("{:.0} ms", quantile(&times, 0.99)),
            &format!("purge everywhere p99, {nodes} nodes"),
        );
        let errors: usize = mesh.failover.iter().map(|death| death.errors).sum();
        if !mesh.failover.is_empty() {
            fact(
                errors.to_string(),
                &format!("errors at living edges in {} deaths", mesh.failover.len()),
            );
        }
    }
    if !findings.chaos.is_empty() {
        let violations: usize = findings.chaos.iter().map(|run| run.violations.len()).sum();
        let seconds: u64 = findings.chaos.iter().map(|run| run.for_ms).sum::<u64>() / 1_000;
        let time = match seconds {
            0..120 => format!("{seconds} seconds"),
            _ => format!("{} minutes", seconds / 60),
        };
        fact(violations.to_string(), &format!("violations in {time} of chaos"));
    }
    body.push_str("</div>");
}

fn write_table(body: &mut String, table: &Table) {
    let note = table.note.split_whitespace().collect::<Vec<&str>>().join(" ");
    // What Markdown shows as code is plain words here.
    let (title, note) = (escape(&table.title), escape(&note.replace('`', "")));
    body.push_str(&format!("<h2>{title}</h2><p>{note}</p><div class=\"scroll\"><table><tr>"));
    let class = |column| if table.is_words(column) { " class=\"words\"" } else { "" };
    for (column, cell) in table.head.iter().enumerate() {
        body.push_str(&format!("<th{}>{}</th>", class(column), escape(cell)));
    }
    body.push_str("</tr>");
    for row in &table.rows {
        body.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            body.push_str(&format!("<td{}>{}</td>", class(column), escape(cell)));
        }
        body.push_str("</tr>");
    }
    body.push_str("</table></div>");
}
