//! A file that is replaced as a whole: the new one is complete and durable before the old one goes.
//!
//! Snapshots rest in files beside sled, not in it: sled would put anything beyond 128 KiB into a
//! blob file that it never syncs, and pull it through its page cache on every read.
//!
//! The bytes are one message of `wire::codec` (version byte first) and a checksum of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use model::limits::SNAPSHOT_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::codec;
use xxhash_rust::xxh3::xxh3_64;

use crate::disk;
use crate::medium::Memory;

/// Room beside the state itself: the membership of a snapshot.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// The place of one such file. All calls block.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    place: Place,
    name: &'static str,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Memory(Memory),
}

impl SnapshotFile {
    /// The file `name` in `directory`, which exists.
    pub(crate) fn at(directory: &Path, name: &'static str) -> SnapshotFile {
        SnapshotFile { place: Place::Directory(directory.to_owned()), name }
    }

    /// The file `name` in memory.
    pub(crate) fn in_memory(memory: Memory, name: &'static str) -> SnapshotFile {
        SnapshotFile { place: Place::Memory(memory), name }
    }

    /// What was replaced last, if anything ever was.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        let whole = bytes
            .split_last_chunk()
            .filter(|(message, checksum)| xxh3_64(message) == u64::from_le_bytes(**checksum));
        let (message, _) = whole.ok_or_else(|| self.damaged("its checksum is wrong"))?;
        let decoded = codec::decode(message, SNAPSHOT_BYTES_MAX + ENVELOPE_BYTES_MAX);
        decoded.map(Some).map_err(|malformed| self.damaged(malformed))
    }

    /// Replaces the content; on return it is durable.
    pub(crate) fn replace<T: Serialize>(&self, content: &T) -> io::Result<()> {
        let message = codec::encode(content);
        let checksum = xxh3_64(&message).to_le_bytes();
        let directory = match &self.place {
            Place::Directory(directory) => directory,
            Place::Memory(memory) => {
                let bytes = [&*message, &checksum].concat().into();
                return memory.access(|content| drop(content.files.insert(self.name, bytes)));
            }
        };
        let next = directory.join(format!("{}.new", self.name));
        let mut file = File::create(&next)?;
        file.write_all(&message)?;
        file.write_all(&checksum)?;
        file.sync_all()?;
        fs::rename(&next, directory.join(self.name))?;
        disk::sync_directory(directory)
    }

    fn bytes(&self) -> io::Result<Option<Bytes>> {
        match &self.place {
            Place::Memory(memory) => memory.access(|content| content.files.get(self.name).cloned()),
            Place::Directory(directory) => match fs::read(directory.join(self.name)) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    fn damaged(&self, why: impl std::fmt::Display) -> io::Error {
        let what = format!("the file {} cannot be read: {why}", self.name);
        io::Error::new(io::ErrorKind::InvalidData, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_content_comes_back_and_an_unfinished_one_does_not_count() {
        let home = tempfile::tempdir().unwrap();
        let file = SnapshotFile::at(home.path(), "state");
        assert_eq!(file.read::<String>().unwrap(), None);
        for content in ["one", "two"] {
            file.replace(&content).unwrap();
            assert_eq!(file.read::<String>().unwrap().as_deref(), Some(content));
        }
        fs::write(home.path().join("state.new"), "half").unwrap();
        assert_eq!(file.read::<String>().unwrap().as_deref(), Some("two"));
    }

    #[test]
    fn a_flipped_bit_or_a_lost_end_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let file = SnapshotFile::at(home.path(), "state");
        file.replace(&"content").unwrap();
        let good = fs::read(home.path().join("state")).unwrap();
        let mut flipped = good.clone();
        flipped[10] ^= 1;
        for bad in [&flipped[..], &good[..good.len() - 1], &good[..3], &[]] {
            fs::write(home.path().join("state"), bad).unwrap();
            let error = file.read::<String>().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn the_file_is_a_message_and_its_checksum() {
        let home = tempfile::tempdir().unwrap();
        SnapshotFile::at(home.path(), "state").replace(&7u16).unwrap();
        let checksum = xxh3_64(&[1, 7, 0]).to_le_bytes();
        let expect = [&[1, 7, 0][..], &checksum].concat();
        assert_eq!(fs::read(home.path().join("state")).unwrap(), expect);
    }
}
