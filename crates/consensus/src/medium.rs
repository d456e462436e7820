//! What a group rests on: a directory, or memory that outlives the process which uses it.
//!
//! Memory is for a pretend world, where a killed node is started again on what it had kept. One
//! process uses it at a time: whoever opens it takes it away from whoever had it before, and what
//! the loser still writes fails. Nothing is done on another thread there, so that the world stays
//! the same from run to run.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::snapshot_file::SnapshotFile;

/// A disk in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    content: Arc<Mutex<Content>>,
}

/// What a disk in memory holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// Rises with every process that opens it, and when one is killed.
    user: u64,
    pub(crate) trees: BTreeMap<&'static str, BTreeMap<Vec<u8>, Bytes>>,
    pub(crate) files: BTreeMap<&'static str, Bytes>,
}

impl MemoryDisk {
    /// Takes the disk away from the process that uses it: what that one still tries fails.
    pub fn detach(&self) {
        self.lock().user += 1;
    }

    /// A disk of its own with the same content.
    pub fn copy(&self) -> MemoryDisk {
        let content = self.lock().clone();
        MemoryDisk { content: Arc::new(Mutex::new(content)) }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk in memory as one process uses it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    disk: MemoryDisk,
    user: u64,
}

impl Memory {
    /// The content, unless another process has taken it over.
    pub(crate) fn access<T>(&self, work: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut content = self.disk.lock();
        match content.user == self.user {
            true => Ok(work(&mut content)),
            false => Err(io::Error::other("another process has taken over the disk")),
        }
    }
}

/// What a group rests on.
#[derive(Clone, Debug)]
pub(crate) enum Medium {
    /// Files and sled.
    Directory(PathBuf),
    /// Memory, under the name of a directory.
    Memory(PathBuf, Memory),
}

impl Medium {
    /// Takes `disk` over, and calls it `name`.
    pub(crate) fn memory(name: &Path, disk: &MemoryDisk) -> Medium {
        disk.detach();
        let user = disk.lock().user;
        Medium::Memory(name.to_owned(), Memory { disk: disk.clone(), user })
    }

    /// The directory, for messages.
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Medium::Directory(directory) | Medium::Memory(directory, _) => directory,
        }
    }

    /// The place of a file that is replaced as a whole.
    pub(crate) fn file(&self, name: &'static str) -> SnapshotFile {
        match self {
            Medium::Directory(directory) => SnapshotFile::at(directory, name),
            Medium::Memory(_, memory) => SnapshotFile::in_memory(memory.clone(), name),
        }
    }

    /// Runs long work off the threads that answer heartbeats.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Medium::Directory(_) => {
                let done = tokio::task::spawn_blocking(work).await;
                done.unwrap_or_else(|panic| Err(io::Error::other(panic)))
            }
            Medium::Memory(..) => work(),
        }
    }
}

impl From<&Path> for Medium {
    fn from(directory: &Path) -> Medium {
        Medium::Directory(directory.to_owned())
    }
}
