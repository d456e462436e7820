//! The report as Markdown.

use super::Findings;
use super::table::{Table, tables};

/// All tables.
pub(super) fn page(findings: &Findings) -> String {
    let mut page = String::from("# Measurements\n");
    for table in tables(findings) {
        write(&mut page, &table);
    }
    page
}

fn write(page: &mut String, table: &Table) {
    let note = table.note.split_whitespace().collect::<Vec<&str>>().join(" ");
    let rule = "---|".repeat(table.head.len());
    let head = table.head.join(" | ");
    page.push_str(&format!("\n## {}\n\n{note}\n\n| {head} |\n|{rule}\n", table.title));
    for row in &table.rows {
        page.push_str(&format!("| {} |\n", row.join(" | ")));
    }
}
