//! What each node's process uses, as the kernel tells.

use std::path::PathBuf;

use model::NodeName;

use super::Keeper;
use crate::control::Usage;

impl Keeper {
    /// Of every node that runs.
    pub(super) async fn usage(&self) -> Vec<(NodeName, Usage)> {
        let crew = self.crew.lock().await;
        let names = self.scene.nodes.iter().map(|place| &place.name);
        names.filter_map(|name| Some((name.clone(), usage(crew.id(name)?)?))).collect()
    }
}

fn usage(id: u32) -> Option<Usage> {
    let process = PathBuf::from(format!("/proc/{id}"));
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let number = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (mut descriptors, mut sockets) = (0, 0);
    for entry in std::fs::read_dir(process.join("fd")).ok()?.flatten() {
        descriptors += 1;
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
    }
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // Fields 14 and 15 of stat, counted behind the name.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0);
    Some(Usage {
        memory_kib: number("VmRSS:")?,
        descriptors,
        sockets,
        threads: number("Threads:").unwrap_or(0),
        ticks: ticks(11) + ticks(12),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_measured() {
        let ours = usage(std::process::id()).unwrap();
        assert!(ours.memory_kib > 100 && ours.descriptors >= 3 && ours.threads >= 1, "{ours:?}");
        assert!(usage(u32::MAX).is_none());
    }
}
