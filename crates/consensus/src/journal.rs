//! The journal of a node that only follows: the last snapshot it was given, and what came after.
//!
//! Such a node is no member of the Raft group, so its log lives here; the two share a database and
//! its syncs. What was appended is durable only after [`Journal::flush`]; a crash before it loses
//! an end of the journal, never its middle, and the node asks for that end again.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::ConsensusError;
use crate::records;
use crate::snapshot_file::SnapshotFile;

/// The journal of one data directory. Clones share it.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<Disk>,
    file: SnapshotFile,
    ends: Mutex<Ends>,
}

/// The index of the snapshot, and of the last entry in it or after it.
#[derive(Default)]
struct Ends {
    snapshot: Option<u64>,
    last: Option<u64>,
}

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The last snapshot and the index it contains.
    pub snapshot: Option<(u64, Bytes)>,
    /// The entries after it, without a gap.
    pub entries: Vec<(u64, Bytes)>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    index: u64,
    state: Bytes,
}

impl Journal {
    /// The journal in `disk`, rid of what a crash left half done.
    pub(crate) async fn open(disk: Arc<Disk>) -> Result<Journal, ConsensusError> {
        let file = disk.medium().file("journal.snapshot");
        let journal = Journal { inner: Arc::new(Inner { disk, file, ends: Mutex::default() }) };
        journal.blocking(Inner::recover).await?;
        Ok(journal)
    }

    /// Everything kept.
    pub async fn load(&self) -> Result<Kept, ConsensusError> {
        self.blocking(Inner::load).await
    }

    /// Adds entries in order; those already kept are skipped, a gap is refused. Not yet durable.
    pub fn append(&self, entries: &[(u64, Bytes)]) -> Result<(), ConsensusError> {
        let mut ends = self.inner.ends();
        for (index, entry) in entries {
            match ends.last {
                Some(last) if *index <= last => continue,
                Some(last) if *index > last + 1 => {
                    return Err(ConsensusError::Gap { last, given: *index });
                }
                Some(_) | None => {}
            }
            records::put(&self.inner.disk.journal, *index, entry)
                .map_err(|error| self.inner.met(error))?;
            ends.last = Some(*index);
        }
        Ok(())
    }

    /// Replaces the snapshot by one that contains `index`, and drops the entries in it. Durable on
    /// return. One no newer than the present snapshot changes nothing.
    pub async fn replace(&self, index: u64, snapshot: Bytes) -> Result<(), ConsensusError> {
        self.blocking(move |inner| inner.replace(Saved { index, state: snapshot })).await
    }

    /// Returns once everything appended is durable.
    pub async fn flush(&self) -> Result<(), ConsensusError> {
        self.inner.disk.durable().await.map_err(|error| self.inner.met(error))
    }

    /// Whether nothing was ever kept here.
    pub fn is_empty(&self) -> bool {
        self.inner.ends().last.is_none()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ConsensusError> {
        let inner = self.inner.clone();
        let medium = self.inner.disk.medium();
        let outcome = medium.blocking(move || work(&inner)).await;
        outcome.map_err(|error| self.inner.met(error))
    }
}

impl Inner {
    fn recover(&self) -> io::Result<()> {
        if let Some(index) = records::drop_torn_end(&self.disk.journal)? {
            tracing::warn!(index, "dropped a journal entry that a crash cut short");
        }
        let mut ends = self.ends();
        ends.snapshot = self.file.read::<Saved>()?.map(|saved| saved.index);
        if let Some(index) = ends.snapshot {
            self.trim(index)?;
        }
        ends.last = records::last(&self.disk.journal)?.or(ends.snapshot);
        Ok(())
    }

    fn load(&self) -> io::Result<Kept> {
        let _unchanged_meanwhile = self.ends();
        let saved = self.file.read::<Saved>()?;
        let mut expected = saved.as_ref().map(|saved| saved.index + 1);
        let mut entries = Vec::new();
        for record in records::scan(&self.disk.journal, expected.unwrap_or(0)) {
            let (index, entry) = record?;
            if expected.is_some_and(|expected| expected != index) {
                let what = format!("the journal has no entry before {index}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            expected = Some(index + 1);
            entries.push((index, entry));
        }
        Ok(Kept { snapshot: saved.map(|saved| (saved.index, saved.state)), entries })
    }

    /// The snapshot is durable before any entry goes, so a crash in between loses nothing.
    fn replace(&self, saved: Saved) -> io::Result<()> {
        let mut ends = self.ends();
        if ends.snapshot.is_some_and(|present| present >= saved.index) {
            return Ok(());
        }
        self.file.replace(&saved)?;
        self.trim(saved.index)?;
        ends.snapshot = Some(saved.index);
        ends.last = records::last(&self.disk.journal)?.or(ends.snapshot);
        Ok(())
    }

    /// Drops what a snapshot at `index` contains, and whatever does not follow it.
    fn trim(&self, index: u64) -> io::Result<()> {
        records::remove_through(&self.disk.journal, index)?;
        match records::scan(&self.disk.journal, 0).next().transpose()? {
            Some((first, _)) if first > index + 1 => records::remove_from(&self.disk.journal, 0),
            Some(_) | None => Ok(()),
        }
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn met(&self, error: io::Error) -> ConsensusError {
        ConsensusError::met(self.disk.medium().directory(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(indexes: std::ops::RangeInclusive<u64>) -> Vec<(u64, Bytes)> {
        indexes.map(|index| (index, Bytes::from(format!("entry {index}")))).collect()
    }

    async fn open(home: &tempfile::TempDir) -> Journal {
        Journal::open(Disk::open(home.path()).await.unwrap()).await.unwrap()
    }

    async fn reopen(home: &tempfile::TempDir, journal: Journal) -> Journal {
        let occupancy = journal.inner.disk.occupancy();
        drop(journal);
        crate::disk::released(&occupancy).await;
        open(home).await
    }

    #[tokio::test]
    async fn snapshot_and_entries_survive_reopening() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(&home).await;
        assert_eq!(journal.load().await.unwrap(), Kept::default());
        journal.append(&entries(1..=9)).unwrap();
        journal.replace(5, Bytes::from_static(b"five")).await.unwrap();
        journal.append(&entries(8..=12)).unwrap();
        journal.replace(3, Bytes::from_static(b"old news")).await.unwrap();
        journal.flush().await.unwrap();
        let snapshot = Some((5, Bytes::from_static(b"five")));
        let kept = Kept { snapshot, entries: entries(6..=12) };
        assert_eq!(journal.load().await.unwrap(), kept);
        let journal = reopen(&home, journal).await;
        assert_eq!(journal.load().await.unwrap(), kept);

        journal.replace(20, Bytes::from(vec![1; 20 * 1024 * 1024])).await.unwrap();
        journal.append(&entries(21..=21)).unwrap();
        let journal = reopen(&home, journal).await;
        let kept = journal.load().await.unwrap();
        assert_eq!(kept.snapshot.map(|(index, state)| (index, state.len())), Some((20, 20 << 20)));
        assert_eq!(kept.entries, entries(21..=21));
    }

    #[tokio::test]
    async fn an_entry_that_does_not_follow_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(&home).await;
        journal.append(&entries(4..=5)).unwrap();
        let refusal = journal.append(&entries(7..=7)).unwrap_err();
        assert!(matches!(refusal, ConsensusError::Gap { last: 5, given: 7 }), "{refusal}");
        journal.replace(2, Bytes::new()).await.unwrap();
        let kept = journal.load().await.unwrap();
        assert!(kept.entries.is_empty(), "what does not follow the snapshot is asked for again");
        journal.append(&entries(3..=3)).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_record_names_the_directory_and_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(&home).await;
        journal.append(&entries(1..=3)).unwrap();
        let tree = &journal.inner.disk.journal;
        let (key, _) = tree.range::<[u8; 10]>(..).nth(1).unwrap().unwrap();
        tree.insert(&key, b"garbage that is no record").unwrap();
        let error = journal.load().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&*home.path().to_string_lossy()), "{text}");
        assert!(text.contains("move the directory away"), "{text}");
    }
}
