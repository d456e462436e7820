//! What becomes of a node that voted in an epoch which a forced recovery has ended: it votes no
//! more, says why, and is started again only with an empty log.
//!
//! A node without a log of its own in the Raft group follows the new epoch and has nothing to do.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use consensus::Group;
use follow::Replica;
use model::LogPosition;

/// What the operator has to do, as `/readyz` has it.
pub(crate) const ADVICE: &str = "the mesh was recovered by force without this node's vote: \
     stop it, move `raft` and `instance` out of its data directory, and start it again";

/// Whether the log of the group here is of an epoch that has ended.
pub(crate) fn has_ended(group: &Group, replica: &Replica) -> bool {
    let end = group.log_end().map(LogPosition::from_packed);
    end.is_some_and(|end| end.epoch() < replica.epoch())
}

/// Refuses to start on the disk of a voter whose epoch has ended.
pub(super) fn check(data_dir: &Path, group: &Group, replica: &Replica) -> anyhow::Result<()> {
    if has_ended(group, replica) {
        bail!(
            "{}: the log here ends in mesh epoch {}, which a forced recovery has ended \
             (now {}): move `raft` and `instance` away from there and start again, \
             so that this node joins anew",
            data_dir.display(),
            group.log_end().map_or(0, |end| LogPosition::from_packed(end).epoch()),
            replica.epoch()
        );
    }
    Ok(())
}

/// Takes this node's vote away as soon as a later epoch is heard of.
pub(super) async fn watch(group: Group, replica: Arc<Replica>) {
    loop {
        let known = replica.epoch();
        let ended = || (replica.epoch() > known || has_ended(&group, &replica)).then_some(());
        replica.changed().until(ended).await;
        if has_ended(&group, &replica) {
            tracing::error!(epoch = replica.epoch(), "{ADVICE}");
            group.retire().await;
            return;
        }
    }
}
