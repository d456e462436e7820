//! The high-water mark: what the log must still hold when it is opened again.
//!
//! sled answers a damaged segment by quietly dropping everything written after it, which for a
//! voter means a forgotten vote or entry, and so two leaders or a lost command. The mark lies in
//! a file of its own. It is rewritten after each sync, hence never claims too much; it is not
//! synced itself, so after a power failure it may claim too little, which only weakens the check.
//! Before entries are taken back it is lowered and synced.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use wire::codec;
use xxhash_rust::xxh3::xxh3_64;

use crate::raft::Vote;

/// Bytes of the file: a version, the content, a checksum. Less than a sector, so rarely torn.
const MARK_BYTES_MAX: usize = 256;

/// What was written: the vote, and the index after the last entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Height {
    pub(crate) vote: Vote,
    pub(crate) next: u64,
}

/// The mark of one log.
pub(crate) struct Mark {
    /// Nothing where the log is in memory, which loses nothing quietly.
    file: Option<Mutex<File>>,
    written: Mutex<Height>,
}

impl Mark {
    /// Opens the mark in `directory`. One that is missing or torn claims nothing.
    pub(crate) fn open(directory: &Path) -> io::Result<Mark> {
        let mut readable = File::options();
        readable.create(true).truncate(false).read(true).write(true);
        let file = readable.open(directory.join("mark"))?;
        let written = Mutex::new(read(&file)?.unwrap_or_default());
        Ok(Mark { file: Some(Mutex::new(file)), written })
    }

    /// A mark that claims nothing.
    pub(crate) fn none() -> Mark {
        Mark { file: None, written: Mutex::default() }
    }

    /// Compares the claim with what the log holds, and takes that as the present height.
    pub(crate) fn check(&self, found: Height) -> io::Result<()> {
        let claimed = std::mem::replace(&mut *self.written(), found);
        if found.next >= claimed.next && found.vote >= claimed.vote {
            return Ok(());
        }
        let what = format!(
            "the database lost what it had kept: entries before {} and {}, now {} and {}",
            claimed.next, claimed.vote, found.next, found.vote
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// Notes that `vote` is in the database.
    pub(crate) fn voted(&self, vote: Vote) {
        self.written().vote = vote;
    }

    /// Notes that the entry before `next` is in the database.
    pub(crate) fn appended(&self, next: u64) {
        self.written().next = next;
    }

    /// Runs `sync`, then claims what was written when it began. One at a time.
    pub(crate) fn claim_after(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let file = self.file();
        let height = *self.written();
        sync()?;
        file.map_or(Ok(()), |file| write(&file, height))
    }

    /// Lowers the claim to entries before `next`, durably, then runs `removal`. May block for as
    /// long as a sync.
    pub(crate) fn lower(
        &self,
        next: u64,
        removal: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let file = self.file();
        let height = {
            let mut written = self.written();
            written.next = written.next.min(next);
            *written
        };
        if let Some(file) = file {
            write(&file, height)?;
            file.sync_data()?;
        }
        removal()
    }

    fn file(&self) -> Option<MutexGuard<'_, File>> {
        let file = self.file.as_ref()?;
        Some(file.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn written(&self) -> MutexGuard<'_, Height> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(file: &File, height: Height) -> io::Result<()> {
    let mut bytes = codec::encode(&height).to_vec();
    bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
    file.write_all_at(&bytes, 0)
}

fn read(file: &File) -> io::Result<Option<Height>> {
    let mut bytes = [0; MARK_BYTES_MAX];
    let length = file.read_at(&mut bytes, 0)?;
    let whole = bytes[..length].split_last_chunk();
    let intact = whole.filter(|(content, sum)| xxh3_64(content) == u64::from_le_bytes(**sum));
    Ok(intact.and_then(|(content, _)| codec::decode(content, MARK_BYTES_MAX).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn height(term: u64, next: u64) -> Height {
        Height { vote: Vote::new(term, 1), next }
    }

    fn claim(home: &Path, height: Height) {
        let mark = Mark::open(home).unwrap();
        mark.voted(height.vote);
        mark.appended(height.next);
        mark.claim_after(|| Ok(())).unwrap();
    }

    #[test]
    fn a_log_below_its_mark_is_damaged() {
        let home = tempfile::tempdir().unwrap();
        Mark::open(home.path()).unwrap().check(height(0, 0)).unwrap();
        claim(home.path(), height(3, 10));
        for (found, fine) in [
            (height(3, 10), true),
            (height(4, 12), true),
            (height(3, 9), false),
            (height(2, 10), false),
            (Height::default(), false),
        ] {
            let checked = Mark::open(home.path()).unwrap().check(found);
            assert_eq!(checked.is_ok(), fine, "{found:?}");
        }
    }

    #[test]
    fn a_failed_sync_claims_nothing_and_a_removal_lowers_the_claim_first() {
        let home = tempfile::tempdir().unwrap();
        claim(home.path(), height(1, 10));
        let mark = Mark::open(home.path()).unwrap();
        mark.check(height(1, 10)).unwrap();
        mark.appended(20);
        assert!(mark.claim_after(|| Err(io::ErrorKind::StorageFull.into())).is_err());
        Mark::open(home.path()).unwrap().check(height(1, 10)).unwrap();
        let seen = || Mark::open(home.path()).unwrap().check(height(1, 5));
        mark.lower(5, seen).unwrap();
    }

    #[test]
    fn a_torn_mark_claims_nothing() {
        let home = tempfile::tempdir().unwrap();
        claim(home.path(), height(1, 10));
        let path = home.path().join("mark");
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[..2], [1, 1], "version, then the term");
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        Mark::open(home.path()).unwrap().check(Height::default()).unwrap();
    }
}
