//! The report: one HTML page that needs nothing else, and the same tables as Markdown.
//!
//! Everything on the page is drawn from measurements and chaos outcomes that were kept as JSON
//! beside it, so a page can be drawn again without measuring again.

mod markdown;
mod page;
mod plot;
mod table;

use std::path::Path;

use anyhow::Context;

use crate::chaos::Outcome;
use crate::measure::Measurements;

/// What a report tells.
pub(crate) struct Findings {
    /// One for each mesh that was measured.
    pub(crate) meshes: Vec<Measurements>,
    pub(crate) chaos: Vec<Outcome>,
}

/// Reads what is kept in `out`, and writes both forms.
pub(crate) fn write(out: &Path) -> anyhow::Result<()> {
    let findings = Findings::read(out)?;
    std::fs::write(out.join("index.html"), page::page(&findings))?;
    std::fs::write(out.join("report.md"), markdown::page(&findings))?;
    Ok(())
}

impl Findings {
    fn read(out: &Path) -> anyhow::Result<Findings> {
        let (mut meshes, mut chaos): (Vec<Measurements>, Vec<Outcome>) = (vec![], vec![]);
        let listed = std::fs::read_dir(out).with_context(|| out.display().to_string())?;
        let mut files: Vec<_> = listed.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let text = || std::fs::read_to_string(&file);
            let place = || file.display().to_string();
            if name.starts_with("measured-") && name.ends_with(".json") {
                meshes.push(serde_json::from_str(&text()?).with_context(place)?);
            } else if name.starts_with("chaos-") && name.ends_with(".json") {
                chaos.push(serde_json::from_str(&text()?).with_context(place)?);
            }
        }
        meshes.sort_by_key(|mesh| mesh.nodes);
        Ok(Findings { meshes, chaos })
    }
}
