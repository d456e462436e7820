//! Where commands stand in the log, as each mesh epoch has it.
//!
//! A forced recovery begins an epoch with the log of one voter: what only others had is gone, and
//! what only that one had is there, agreed or not. So an epoch has a log of its own from the first
//! entry on; entries keep the positions that they had.

use std::collections::BTreeMap;

use bytes::Bytes;
use control::{CommandId, Envelope};
use model::LogPosition;
use model::limits::COMMAND_BYTES_MAX;
use wire::codec;
use wire::log::Entry;

use crate::history::{Records, Recovery};

type First = BTreeMap<CommandId, LogPosition>;

/// Where each command first stands in the log.
pub(crate) struct Places {
    /// In what groups applied.
    agreed: First,
    /// By epoch: in its log, what it began with included.
    known: Vec<First>,
}

impl Places {
    /// Reads the logs of all epochs.
    pub(crate) fn of(records: &Records) -> Places {
        let epochs = records.recoveries.iter().map(|recovery| recovery.at.epoch());
        let (mut agreed, mut known) = (First::new(), Vec::new());
        for epoch in 0..=epochs.max().unwrap_or(0) {
            let all = LogPosition::new(epoch, 0)..LogPosition::new(epoch + 1, 0);
            let applied = records.log.range(all).map(|(position, entry)| (*position, entry));
            let applied = first_of(applied);
            let mut log = first_of(began_with(&records.recoveries, epoch));
            for (id, position) in &applied {
                agreed.entry(*id).or_insert(*position);
                log.entry(*id).or_insert(*position);
            }
            known.push(log);
        }
        Places { agreed, known }
    }

    /// Where a command was first agreed upon.
    pub(crate) fn agreed(&self, id: CommandId) -> Option<LogPosition> {
        self.agreed.get(&id).copied()
    }

    /// Where it stands in the log of `epoch`.
    pub(crate) fn in_log_of(&self, epoch: u16, id: CommandId) -> Option<LogPosition> {
        self.known.get(usize::from(epoch))?.get(&id).copied()
    }

    /// Whether it stands at `position` in the log of any epoch.
    pub(crate) fn hold(&self, id: CommandId, position: LogPosition) -> bool {
        self.known.iter().any(|log| log.get(&id) == Some(&position))
    }

    /// Where it first stood in a log of `epoch` or one before.
    pub(crate) fn first(&self, epoch: u16, id: CommandId) -> Option<LogPosition> {
        (0..=epoch).filter_map(|epoch| self.in_log_of(epoch, id)).min()
    }
}

/// The log with which an epoch began, if by a recovery.
fn began_with(recoveries: &[Recovery], epoch: u16) -> impl Iterator<Item = (LogPosition, &Bytes)> {
    let recovery = recoveries.iter().find(|recovery| recovery.at.epoch() == epoch);
    let kept = recovery.map_or(&[][..], |recovery| &recovery.kept);
    let begun = move |index: u64| {
        let earlier = recoveries.iter().filter(|one| one.at.epoch() < epoch);
        let begun = earlier.filter(|one| one.at.index() <= index).map(|one| one.at.epoch());
        begun.max().unwrap_or(0)
    };
    (1..).zip(kept).map(move |(index, entry)| (LogPosition::new(begun(index), index), entry))
}

fn first_of<'a>(entries: impl Iterator<Item = (LogPosition, &'a Bytes)>) -> First {
    let mut first = First::new();
    for (position, entry) in entries {
        let commands = Entry::decode(entry).map_or(Vec::new(), |entry| entry.0);
        for command in commands {
            if let Ok(envelope) = codec::decode::<Envelope>(&command, COMMAND_BYTES_MAX) {
                first.entry(envelope.id).or_insert(position);
            }
        }
    }
    first
}
