//! What nodes say to each other while no viewer asks: gossip, the log, leases.

use std::collections::BTreeMap;
use std::time::Duration;

use model::NodeName;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Bench;
use crate::control::{Ask, Usage};

/// Bytes and processor time of an idle mesh.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// Bytes per second that each node sends to its peers.
    pub(crate) sent: Vec<(String, f64)>,
    /// Share of one processor that each node uses, in percent.
    pub(crate) processor_percent: Vec<(String, f64)>,
    /// Resident memory of each node.
    pub(crate) memory_mib: Vec<(String, f64)>,
}

/// Processor time is counted in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Watches for so long.
pub(super) async fn watch(bench: &Bench, last: Duration) -> anyhow::Result<Traffic> {
    let seconds = last.as_secs_f64();
    let (sent_before, used_before) = look(bench).await?;
    sleep(last).await;
    let (sent_after, used_after) = look(bench).await?;
    let sent = sent_after.iter().map(|(name, bytes)| {
        let before = sent_before.get(name).copied().unwrap_or(0);
        (name.to_string(), bytes.saturating_sub(before) as f64 / seconds)
    });
    let processor_percent = used_after.iter().map(|(name, usage)| {
        let before = used_before.get(name).map_or(usage.ticks, |before| before.ticks);
        let spent = usage.ticks.saturating_sub(before) as f64 / TICKS_PER_SECOND;
        (name.to_string(), 100.0 * spent / seconds)
    });
    let memory_mib = used_after
        .iter()
        .map(|(name, usage)| (name.to_string(), usage.memory_kib as f64 / 1_024.0));
    Ok(Traffic {
        sent: sent.collect(),
        processor_percent: processor_percent.collect(),
        memory_mib: memory_mib.collect(),
    })
}

async fn look(
    bench: &Bench,
) -> anyhow::Result<(BTreeMap<NodeName, u64>, BTreeMap<NodeName, Usage>)> {
    let pairs: Vec<(NodeName, NodeName, u64)> = bench.control.ask(&Ask::Traffic).await?;
    let mut sent = BTreeMap::new();
    let is_node = |name: &NodeName| bench.scene.nodes.iter().any(|place| place.name == *name);
    for (from, to, bytes) in pairs {
        if is_node(&from) && is_node(&to) {
            *sent.entry(from).or_insert(0) += bytes;
        }
    }
    let used: Vec<(NodeName, Usage)> = bench.control.ask(&Ask::Resources).await?;
    Ok((sent, used.into_iter().collect()))
}
