//! The data directory: one sled database behind one lock, made durable by our own fdatasync.
//!
//! sled's `flush` ends in `sync_file_range`, which writes neither metadata nor the drive's cache,
//! so a vote could be lost with the power. Here everything that must last waits for `flush` and
//! then `fdatasync` of the log file, and whoever asks while a sync runs shares the next one.
//!
//! It never answers "durable" again after a failed sync: the kernel may have dropped the dirty
//! pages, so a later success proves nothing. It never wipes or repairs what does not open.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::ConsensusError;
use crate::mark::Mark;
use crate::medium::{Medium, MemoryDisk};
use crate::tree::Tree;

/// sled's page cache; its own default is 1 GB.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Callers waiting for one sync: every proposal in flight, the vote and the journal, and room.
const SYNC_WAITERS_MAX: usize = 4_096;
/// How long the last task may take to let go of the directory.
const RELEASE: Duration = Duration::from_secs(1);

/// Told once whether everything written before the request is durable.
type Report = Box<dyn FnOnce(io::Result<()>) + Send>;

/// An open data directory.
pub(crate) struct Disk {
    medium: Medium,
    /// Single facts: the vote, how far is committed, how far is purged. sled's own first tree.
    pub(crate) facts: Tree,
    /// The Raft log.
    pub(crate) entries: Tree,
    /// The entries of a node that only follows.
    pub(crate) journal: Tree,
    syncs: mpsc::Sender<Report>,
    files: Arc<Files>,
}

/// What is released when the last user of the directory is gone.
pub(crate) struct Files {
    /// Nothing where everything is in memory.
    open: Option<Open>,
    mark: Mark,
    #[cfg(test)]
    broken: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    syncs: std::sync::atomic::AtomicUsize,
    // Goes last: whoever sees it gone may open the directory, the lock of which is released.
    occupied: Arc<()>,
}

struct Open {
    db: sled::Db,
    log: File,
    _lock: File,
}

impl Disk {
    /// Takes over a disk in memory, under the name of a directory.
    pub(crate) fn in_memory(name: &Path, memory: &MemoryDisk) -> Arc<Disk> {
        let medium = Medium::memory(name, memory);
        let tree = |name| match &medium {
            Medium::Memory(_, memory) => Tree::Memory(memory.clone(), name),
            Medium::Directory(_) => unreachable!("it was just made of memory"),
        };
        let trees = [tree("facts"), tree("log"), tree("journal")];
        Disk::serve(medium, trees, None, Mark::none())
    }

    fn serve(
        medium: Medium,
        [facts, entries, journal]: [Tree; 3],
        open: Option<Open>,
        mark: Mark,
    ) -> Arc<Disk> {
        let files = Files {
            open,
            mark,
            #[cfg(test)]
            broken: false.into(),
            #[cfg(test)]
            syncs: 0.into(),
            occupied: Arc::default(),
        };
        let (syncs, requests) = mpsc::channel(SYNC_WAITERS_MAX);
        let files = Arc::new(files);
        tokio::spawn(keep_durable(medium.clone(), files.clone(), requests));
        Arc::new(Disk { medium, facts, entries, journal, syncs, files })
    }

    /// Opens or creates `directory` for this process alone.
    pub(crate) async fn open(directory: &Path) -> Result<Arc<Disk>, ConsensusError> {
        let wanted = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(wanted)).await;
        // sled panics on some damage instead of saying so.
        opened.unwrap_or_else(|panic| {
            let source = io::Error::new(io::ErrorKind::InvalidData, panic);
            Err(ConsensusError::Damaged { directory: directory.to_owned(), source })
        })
    }

    /// What it rests on, for messages and for the files beside the database.
    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Calls `report` once everything written so far is durable, or is known never to be.
    pub(crate) async fn report_durable(
        &self,
        report: impl FnOnce(io::Result<()>) + Send + 'static,
    ) {
        if let Err(refused) = self.syncs.send(Box::new(report)).await {
            (refused.0)(Err(gone()));
        }
    }

    /// Returns once everything written so far is durable.
    pub(crate) async fn durable(&self) -> io::Result<()> {
        let (told, answer) = oneshot::channel();
        self.report_durable(|outcome| {
            // A caller that gave up does not need the answer.
            let _ = told.send(outcome);
        })
        .await;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// What the log must still hold when it is opened again.
    pub(crate) fn mark(&self) -> &Mark {
        &self.files.mark
    }

    /// Lets a caller see when the directory is free again.
    pub(crate) fn occupancy(&self) -> Weak<()> {
        Arc::downgrade(&self.files.occupied)
    }

    /// Makes every later sync fail as on a full disk.
    #[cfg(test)]
    pub(crate) fn break_now(&self) {
        self.files.broken.store(true, std::sync::atomic::Ordering::Release);
    }
}

/// Returns once the last task has let go of a directory, or does not within [`RELEASE`].
pub(crate) async fn released(in_use: &Weak<()>) {
    let released = async {
        while in_use.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if timeout(RELEASE, released).await.is_err() {
        tracing::debug!("the data directory is still in use after its last user should be gone");
    }
}

/// Makes the names in `directory` durable: a new or renamed file is safe only after this.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Files {
    fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.broken.load(std::sync::atomic::Ordering::Acquire) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        #[cfg(test)]
        self.syncs.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        self.mark.claim_after(|| {
            let Some(open) = &self.open else { return Ok(()) };
            open.db.flush()?;
            open.log.sync_data()
        })
    }
}

fn open(directory: PathBuf) -> Result<Arc<Disk>, ConsensusError> {
    let unusable = |source| ConsensusError::Directory { directory: directory.clone(), source };
    fs::create_dir_all(&directory).map_err(unusable)?;
    let mut writable = File::options();
    writable.create(true).truncate(false).write(true);
    let lock = writable.open(directory.join("lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ConsensusError::InUse { directory }),
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let home = directory.join("sled");
    let db = sled::Config::new()
        .path(&home)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .mode(sled::Mode::LowSpace)
        .open()
        .map_err(|error| refused(&directory, error))?;
    let met = |source| ConsensusError::met(&directory, source);
    let mark = Mark::open(&directory).map_err(met)?;
    let log = settle(&directory, &home, &db).map_err(met)?;
    let tree = |name| db.open_tree(name).map_err(|error| refused(&directory, error));
    let trees = [(*db).clone(), tree("log")?, tree("journal")?].map(Tree::Sled);
    let open = Open { db, log, _lock: lock };
    Ok(Disk::serve(Medium::Directory(directory), trees, Some(open), mark))
}

/// Makes a newly created database findable after a crash, and opens our own handle of its log.
fn settle(directory: &Path, home: &Path, db: &sled::Db) -> io::Result<File> {
    db.flush()?;
    let log = File::options().read(true).write(true).open(home.join("db"))?;
    log.sync_all()?;
    File::open(home.join("conf"))?.sync_all()?;
    for parent in [home, directory, directory.parent().unwrap_or(directory)] {
        match parent.as_os_str().is_empty() {
            true => sync_directory(Path::new("."))?,
            false => sync_directory(parent)?,
        }
    }
    Ok(log)
}

fn refused(directory: &Path, error: sled::Error) -> ConsensusError {
    let directory = directory.to_owned();
    match error {
        sled::Error::Io(source) => ConsensusError::Directory { directory, source },
        other => {
            let source = io::Error::new(io::ErrorKind::InvalidData, other);
            ConsensusError::Damaged { directory, source }
        }
    }
}

/// Runs one sync at a time for everybody who asked before it began. Ends with the last [`Disk`].
async fn keep_durable(medium: Medium, files: Arc<Files>, mut requests: mpsc::Receiver<Report>) {
    let mut failure: Option<(io::ErrorKind, String)> = None;
    while let Some(first) = requests.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = requests.try_recv() {
            waiting.push(next);
        }
        if failure.is_none() {
            let files = files.clone();
            let outcome = medium.blocking(move || files.sync()).await;
            failure = outcome.err().map(|error| (error.kind(), error.to_string()));
            if let Some((_, reason)) = &failure {
                tracing::error!(reason, "the disk under the log failed, this node stops voting");
            }
        }
        for report in waiting {
            report(match &failure {
                None => Ok(()),
                Some((kind, reason)) => Err(io::Error::new(*kind, reason.clone())),
            });
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the data directory is closed")
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[tokio::test]
    async fn a_directory_serves_one_process_and_is_free_again_after_it() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::open(home.path()).await.unwrap();
        let refusal = Disk::open(home.path()).await.err().unwrap();
        let text = refusal.to_string();
        assert!(matches!(refusal, ConsensusError::InUse { .. }), "{text}");
        assert!(text.contains("another shoal process") && text.contains("--data-dir"), "{text}");
        let occupancy = disk.occupancy();
        drop(disk);
        while occupancy.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(Disk::open(home.path()).await.is_ok());
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_written_is_named() {
        let home = tempfile::tempdir().unwrap();
        let taken = home.path().join("file");
        fs::write(&taken, "not a directory").unwrap();
        let refusal = Disk::open(&taken.join("data")).await.err().unwrap();
        assert!(matches!(refusal, ConsensusError::Directory { .. }), "{refusal}");
        assert!(refusal.to_string().contains("file/data") && refusal.source().is_some());
    }

    #[tokio::test]
    async fn a_database_that_does_not_open_is_named_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let sled = home.path().join("sled");
        fs::create_dir(&sled).unwrap();
        fs::write(sled.join("conf"), "this is no configuration at all").unwrap();
        let refusal = Disk::open(home.path()).await.err().unwrap();
        assert!(matches!(refusal, ConsensusError::Damaged { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains("move the directory away"), "{refusal}");
        assert!(fs::read_to_string(sled.join("conf")).unwrap().contains("at all"));
    }

    #[tokio::test]
    async fn whoever_waits_shares_a_sync() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::open(home.path()).await.unwrap();
        let answers = futures_util::future::join_all((0..64).map(|_| disk.durable())).await;
        assert!(answers.iter().all(Result::is_ok));
        let syncs = disk.files.syncs.load(std::sync::atomic::Ordering::Acquire);
        assert!(syncs <= 2, "{syncs} syncs for 64 who waited");
    }

    #[tokio::test]
    async fn after_one_failed_sync_nothing_is_called_durable_again() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::open(home.path()).await.unwrap();
        disk.facts.insert(b"a", b"1").unwrap();
        disk.durable().await.unwrap();
        disk.break_now();
        assert_eq!(disk.durable().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.files.broken.store(false, std::sync::atomic::Ordering::Release);
        assert_eq!(disk.durable().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
