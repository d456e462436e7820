//! What of a node outlives its processes: what it has on disk, and what only mutants go by.
//!
//! A process that is killed leaves all of it where it was, torn where the run tears it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::MemoryDisk;

use crate::disk::Disk;
use crate::store;

/// What of a node outlives its processes.
pub(super) struct Disks {
    /// Of the Raft group.
    raft: Mutex<MemoryDisk>,
    /// What the mutant makes of that one when its process dies.
    relapse: Mutex<Option<MemoryDisk>>,
    /// Of a node that follows.
    pub(super) shelf: Arc<Disk>,
    /// For how long the lease of the last process was good, which nobody may go by.
    last_lease: Mutex<Option<Duration>>,
    /// The cache, as far as it outlives a process.
    pub(super) cache: Arc<store::Memory>,
}

impl Disks {
    /// Empty disks, and a cache of so many entries.
    pub(super) fn new(entries_max: usize) -> Disks {
        Disks {
            raft: Mutex::default(),
            relapse: Mutex::default(),
            shelf: Arc::default(),
            last_lease: Mutex::default(),
            cache: Arc::new(store::Memory::new(entries_max)),
        }
    }

    /// Everything is gone.
    pub(super) fn wipe(&self) {
        *self.raft() = MemoryDisk::default();
        *self.relapse() = None;
        self.shelf.wipe();
        *self.last_lease() = None;
        self.cache.wipe();
    }

    pub(super) fn last_lease(&self) -> MutexGuard<'_, Option<Duration>> {
        self.last_lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn raft(&self) -> MutexGuard<'_, MemoryDisk> {
        self.raft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn relapse(&self) -> MutexGuard<'_, Option<MemoryDisk>> {
        self.relapse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
