//! The disk of a node: what survives its process, a snapshot and the entries after it.
//!
//! A stand-in for the shelf of a real node, which may lose its tail: that costs time, nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use follow::{ApplyError, Replica, Shelf};
use model::LogPosition;

/// One node's disk.
#[derive(Default)]
pub(crate) struct Disk(Mutex<Content>);

#[derive(Default)]
struct Content {
    snapshot: Option<(LogPosition, Bytes)>,
    entries: Vec<Bytes>,
}

impl Content {
    fn start(&self) -> LogPosition {
        self.snapshot.as_ref().map_or(LogPosition::ZERO, |(position, _)| *position)
    }

    fn last(&self) -> LogPosition {
        let start = self.start();
        LogPosition::new(start.epoch(), start.index() + self.entries.len() as u64)
    }
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a new process's replica to where the last one was.
    pub(crate) fn recover(&self, replica: &Replica) -> Result<(), ApplyError> {
        let content = self.lock();
        if let Some((_, snapshot)) = &content.snapshot {
            replica.install(snapshot)?;
        }
        let start = content.start();
        let first = LogPosition::new(start.epoch(), start.index() + 1);
        replica.apply(first, &content.entries).map(drop)
    }
}

impl Disk {
    /// Loses everything.
    pub(crate) fn wipe(&self) {
        *self.lock() = Content::default();
    }

    /// Loses the last entries: what is written is not on disk at once.
    pub(crate) fn tear(&self, entries: usize) {
        let mut content = self.lock();
        let kept = content.entries.len().saturating_sub(entries);
        content.entries.truncate(kept);
    }
}

impl Shelf for Disk {
    fn last(&self) -> LogPosition {
        self.lock().last()
    }

    fn entries(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    fn append(&self, first: LogPosition, commands: &[Bytes]) {
        let mut content = self.lock();
        assert_eq!(first.index(), content.last().index() + 1, "a shelf has no gaps");
        content.entries.extend_from_slice(commands);
    }

    fn replace(&self, position: LogPosition, snapshot: Bytes) {
        *self.lock() = Content { snapshot: Some((position, snapshot)), entries: Vec::new() };
    }
}

#[cfg(test)]
mod tests {
    use control::{Command, CommandId, Envelope};
    use wire::codec;
    use wire::log::Entry;

    use super::*;

    #[test]
    fn a_new_process_starts_where_the_old_one_was() {
        let at = |index| LogPosition::new(0, index);
        let purge = |id| {
            let command = Command::DeleteDistribution("shop".parse().unwrap());
            Entry(vec![codec::encode(&Envelope { id: CommandId(id), command })]).encode()
        };
        let (disk, old) = (Disk::default(), Replica::default());
        old.apply(at(1), &[purge(1)]).unwrap();
        let (position, snapshot) = old.snapshot();
        disk.replace(position, snapshot);
        old.apply(at(2), &[purge(2), purge(3)]).unwrap();
        disk.append(at(2), &[purge(2), purge(3)]);
        let new = Replica::default();
        disk.recover(&new).unwrap();
        assert_eq!(**new.state(), **old.state());
        assert_eq!((disk.last(), disk.entries()), (at(3), 2));
    }
}
