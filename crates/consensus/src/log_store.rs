//! The Raft log and vote on disk, as openraft wants them kept.
//!
//! A vote is durable on return. An append returns once the entries can be read and reports when
//! they are durable, so that it shares its sync with whatever else waits. How far is committed is
//! written but not synced: after a crash an older value only means that entries are applied again.
//!
//! It never repairs a hole: an entry that cannot be read stops the node, and so does a log that
//! holds less than its `mark` says.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogIdOptionExt, LogState, OptionalSend, RaftLogReader, StorageIOError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::codec;

use crate::disk::Disk;
use crate::mark::Height;
use crate::raft::{Entry, LogId, StorageError, TypeConfig, Vote};
use crate::records::{self, RECORD_BYTES_MAX};

/// Entry bytes in one append message: far below a frame, and soon over on a slow link.
const APPEND_BYTES: usize = 1024 * 1024;
/// Bytes of one fact.
const FACT_BYTES_MAX: usize = 1024;

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// The log of one data directory. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    disk: Arc<Disk>,
    committed: Arc<AtomicU64>,
}

impl LogStore {
    /// The log in `disk`, rid of what a crash left half done.
    pub(crate) fn open(disk: Arc<Disk>) -> io::Result<LogStore> {
        let log = LogStore { disk, committed: Arc::default() };
        if let Some(index) = records::drop_torn_end(&log.disk.entries)? {
            tracing::warn!(index, "dropped a log entry that a crash cut short");
        }
        if let Some(purged) = log.fact::<LogId>(PURGED)? {
            records::remove_through(&log.disk.entries, purged.index)?;
        }
        let vote = log.fact(VOTE)?.unwrap_or_default();
        let next = log.log_state()?.last_log_id.next_index();
        log.disk.mark().check(Height { vote, next })?;
        let committed = log.fact::<LogId>(COMMITTED)?;
        log.committed.store(committed.map_or(0, |id| id.index), Ordering::Release);
        Ok(log)
    }

    /// The index up to which this node knows the log to be agreed.
    pub(crate) fn committed(&self) -> Arc<AtomicU64> {
        self.committed.clone()
    }

    /// Entries from `start` on, without a gap, no more than about `bytes` of them; none at the end.
    pub(crate) fn read_from(&self, start: u64, bytes: usize) -> io::Result<Vec<Entry>> {
        let entries = self.read(start, u64::MAX, bytes)?;
        let odd = (start..).zip(&entries).find(|(index, entry)| entry.log_id.index != *index);
        match odd {
            None => Ok(entries),
            Some((index, _)) => Err(hole(index)),
        }
    }

    fn fact<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let Some(bytes) = self.disk.facts.get(name.as_bytes())? else { return Ok(None) };
        let decoded = codec::decode(&bytes, FACT_BYTES_MAX);
        decoded.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn state(&self, fact: &str, value: &impl Serialize) -> io::Result<()> {
        self.disk.facts.insert(fact.as_bytes(), &codec::encode(value))
    }

    /// Entries of `from..end`, at least one if there is any, then no more than `bytes` of them.
    fn read(&self, from: u64, end: u64, bytes: usize) -> io::Result<Vec<Entry>> {
        let (mut entries, mut total) = (Vec::new(), 0);
        for record in records::scan(&self.disk.entries, from) {
            let (index, record) = record?;
            total += record.len();
            if index >= end || (total > bytes && !entries.is_empty()) {
                break;
            }
            entries.push(entry(&record)?);
        }
        Ok(entries)
    }

    /// What to send next to a peer that has everything before `start`. Nothing if that was purged
    /// a moment ago: openraft then sends a heartbeat and looks again.
    fn read_to_send(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let entries = self.read(start, end, APPEND_BYTES)?;
        let odd = (start..).zip(&entries).find(|(index, entry)| entry.log_id.index != *index);
        let missing = match odd {
            None if !entries.is_empty() => return Ok(entries),
            None => start,
            Some((index, _)) => index,
        };
        match self.fact::<LogId>(PURGED)? {
            _ if start >= end => Ok(Vec::new()),
            Some(purged) if purged.index >= start => Ok(Vec::new()),
            Some(_) | None => Err(hole(missing)),
        }
    }

    fn log_state(&self) -> io::Result<LogState<TypeConfig>> {
        let last_purged_log_id = self.fact::<LogId>(PURGED)?;
        let last_log_id = match records::last(&self.disk.entries)? {
            None => last_purged_log_id,
            Some(index) => self.read(index, u64::MAX, 0)?.first().map(|entry| entry.log_id),
        };
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    fn write(&self, entries: impl IntoIterator<Item = Entry>) -> io::Result<()> {
        for entry in entries {
            let index = entry.log_id.index;
            records::put(&self.disk.entries, index, &codec::encode(&entry))?;
            self.disk.mark().appended(index + 1);
        }
        Ok(())
    }

    fn forget_through(&self, log_id: LogId) -> io::Result<()> {
        self.state(PURGED, &log_id)?;
        records::remove_through(&self.disk.entries, log_id.index)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, end, usize::MAX).map_err(unread)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read_to_send(start, end).map_err(unread)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        self.log_state().map_err(unread)
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.state(VOTE, vote).map_err(unvoted)?;
        self.disk.mark().voted(*vote);
        self.disk.durable().await.map_err(unvoted)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.fact(VOTE).map_err(|error| StorageIOError::read_vote(AnyError::new(&error)).into())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let Some(committed) = committed else { return Ok(()) };
        self.state(COMMITTED, &committed).map_err(unwritten)?;
        self.committed.store(committed.index, Ordering::Release);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        self.fact(COMMITTED).map_err(unread)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.write(entries).map_err(unwritten)?;
        self.disk.report_durable(|outcome| callback.log_io_completed(outcome)).await;
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let disk = self.disk.clone();
        let remove = move || {
            disk.mark().lower(log_id.index, || records::remove_from(&disk.entries, log_id.index))
        };
        self.disk.medium().blocking(remove).await.map_err(unwritten)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.forget_through(log_id).map_err(unwritten)
    }
}

fn entry(record: &[u8]) -> io::Result<Entry> {
    let decoded = codec::decode(record, RECORD_BYTES_MAX);
    decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn hole(index: u64) -> io::Error {
    let what = format!("the log has a hole at entry {index}");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn unread(error: io::Error) -> StorageError {
    StorageIOError::read_logs(AnyError::new(&error)).into()
}

fn unwritten(error: io::Error) -> StorageError {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

fn unvoted(error: io::Error) -> StorageError {
    StorageIOError::write_vote(AnyError::new(&error)).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use openraft::storage::RaftLogStorageExt;
    use openraft::testing::{StoreBuilder, Suite};
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::*;
    use crate::machine::Replica;
    use crate::medium::MemoryDisk;
    use crate::mesh::Tape;

    struct Builder;

    impl StoreBuilder<TypeConfig, LogStore, Replica, tempfile::TempDir> for Builder {
        async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Replica), StorageError> {
            let home = tempfile::tempdir().unwrap();
            let disk = Disk::open(home.path()).await.unwrap();
            let replica = Replica::open(disk.medium(), Arc::new(Tape::default())).await.unwrap();
            Ok((home, LogStore::open(disk).unwrap(), replica))
        }
    }

    struct InMemory;

    impl StoreBuilder<TypeConfig, LogStore, Replica, ()> for InMemory {
        async fn build(&self) -> Result<((), LogStore, Replica), StorageError> {
            let disk = Disk::in_memory(Path::new("here"), &MemoryDisk::default());
            let replica = Replica::open(disk.medium(), Arc::new(Tape::default())).await.unwrap();
            Ok(((), LogStore::open(disk).unwrap(), replica))
        }
    }

    fn entry_at(index: u64, bytes: usize) -> Entry {
        let payload = EntryPayload::Normal(Bytes::from(vec![7; bytes]));
        Entry { log_id: LogId::new(CommittedLeaderId::new(1, 1), index), payload }
    }

    async fn reopened(home: &tempfile::TempDir, log: LogStore) -> LogStore {
        let occupancy = log.disk.occupancy();
        drop(log);
        crate::disk::released(&occupancy).await;
        LogStore::open(Disk::open(home.path()).await.unwrap()).unwrap()
    }

    #[test]
    fn it_keeps_what_openraft_asks_of_a_log() {
        Suite::test_all(Builder).unwrap();
        Suite::test_all(InMemory).unwrap();
    }

    #[tokio::test]
    async fn vote_log_and_marks_survive_reopening() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LogStore::open(Disk::open(home.path()).await.unwrap()).unwrap();
        let vote = Vote::new(3, 9);
        log.save_vote(&vote).await.unwrap();
        log.blocking_append((1..=9).map(|index| entry_at(index, 10))).await.unwrap();
        log.save_committed(Some(entry_at(7, 0).log_id)).await.unwrap();
        log.truncate(entry_at(9, 0).log_id).await.unwrap();
        log.purge(entry_at(2, 0).log_id).await.unwrap();

        let mut log = reopened(&home, log).await;
        assert_eq!(log.read_vote().await.unwrap(), Some(vote));
        assert_eq!(log.committed().load(Ordering::Acquire), 7);
        let state = log.get_log_state().await.unwrap();
        assert_eq!(state.last_purged_log_id, Some(entry_at(2, 0).log_id));
        assert_eq!(state.last_log_id, Some(entry_at(8, 0).log_id));
        assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 6);
    }

    #[tokio::test]
    async fn a_hole_is_never_sent_on() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LogStore::open(Disk::open(home.path()).await.unwrap()).unwrap();
        log.blocking_append((1..=9).map(|index| entry_at(index, 10))).await.unwrap();
        log.purge(entry_at(2, 0).log_id).await.unwrap();
        assert!(log.limited_get_log_entries(2, 6).await.unwrap().is_empty());
        let (five, _) = log.disk.entries.range(5u64.to_be_bytes()..).next().unwrap().unwrap();
        log.disk.entries.remove(&five).unwrap();
        assert_eq!(log.limited_get_log_entries(3, 5).await.unwrap().len(), 2);
        assert!(log.limited_get_log_entries(3, 9).await.is_err());
        assert!(log.limited_get_log_entries(5, 9).await.is_err());
    }

    #[tokio::test]
    async fn a_log_that_quietly_lost_its_end_is_damaged() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LogStore::open(Disk::open(home.path()).await.unwrap()).unwrap();
        log.blocking_append((1..=9).map(|index| entry_at(index, 10))).await.unwrap();
        log.truncate(entry_at(8, 0).log_id).await.unwrap();
        let mut log = reopened(&home, log).await;
        log.blocking_append([entry_at(8, 10)]).await.unwrap();
        records::remove_from(&log.disk.entries, 8).unwrap();
        let disk = log.disk.clone();
        drop(log);
        let error = LogStore::open(disk).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("entries before 9"), "{error}");
    }

    #[tokio::test]
    async fn an_append_message_stays_small_but_always_holds_an_entry() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LogStore::open(Disk::open(home.path()).await.unwrap()).unwrap();
        let large = model::limits::COMMAND_BYTES_MAX;
        let sizes = [10, large, 400_000, 400_000, 400_000, 10];
        let entries: Vec<Entry> = (0..).zip(sizes).map(|(at, size)| entry_at(at, size)).collect();
        log.blocking_append(entries.clone()).await.unwrap();
        for (from, count) in [(0, 1), (1, 1), (2, 2), (4, 2)] {
            let read = log.limited_get_log_entries(from, 6).await.unwrap();
            assert_eq!(read.len(), count, "from {from}");
        }
        assert!(log.try_get_log_entries(0..6).await.unwrap() == entries);
        let blobs = home.path().join("sled/blobs");
        assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0, "sled never syncs its blobs");
    }
}
