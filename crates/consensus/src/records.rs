//! Records in a sled tree, keyed by log index, cut into parts of at most 4 KiB.
//!
//! sled writes a page beyond 128 KiB to a blob file that it never syncs, and a leaf holds about 16
//! values; small parts keep every page inline, where `disk` makes it durable. Since sled recovers
//! a prefix of what was written, an interrupted write can only tear the last record: parts are
//! written upwards, removed downwards from the end and upwards from the start.
//!
//! The first part opens with a version byte, the length and a checksum of the whole record.

use std::io;

use bytes::{Bytes, BytesMut};
use model::limits::FRAME_BYTES_MAX;
use xxhash_rust::xxh3::xxh3_64;

use crate::tree::{Pairs, Piece, Tree};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 13;
const PART_BYTES: usize = 4 * 1024;
/// Bytes of one record: whatever fits one frame between peers.
pub(crate) const RECORD_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// Writes `record` at `index`, which must hold none.
pub(crate) fn put(tree: &Tree, index: u64, record: &[u8]) -> io::Result<()> {
    assert!(record.len() <= RECORD_BYTES_MAX, "callers refuse larger commands");
    let mut whole = Vec::with_capacity(HEADER_BYTES + record.len());
    whole.push(VERSION);
    whole.extend_from_slice(&(record.len() as u32).to_le_bytes());
    whole.extend_from_slice(&xxh3_64(record).to_le_bytes());
    whole.extend_from_slice(record);
    for (number, part) in (0u16..).zip(whole.chunks(PART_BYTES)) {
        tree.insert(&key(index, number), part)?;
    }
    Ok(())
}

/// The records from `index` on, in order. A record that is not whole is an error: `UnexpectedEof`
/// when its end is missing, `InvalidData` otherwise.
pub(crate) fn scan(tree: &Tree, index: u64) -> impl Iterator<Item = io::Result<(u64, Bytes)>> {
    let mut parts = tree.range(key(index, 0)..);
    std::iter::from_fn(move || parts.next().map(|first| gather(first, &mut parts)))
}

/// The index of the last record.
pub(crate) fn last(tree: &Tree) -> io::Result<Option<u64>> {
    match tree.range::<Key>(..).next_back().transpose()? {
        None => Ok(None),
        Some((key, _)) => split(&key).map(|(index, _)| Some(index)),
    }
}

/// Removes every record from `index` on.
pub(crate) fn remove_from(tree: &Tree, index: u64) -> io::Result<()> {
    for pair in tree.range(key(index, 0)..).rev() {
        tree.remove(&pair?.0)?;
    }
    Ok(())
}

/// Removes every record up to and including `index`.
pub(crate) fn remove_through(tree: &Tree, index: u64) -> io::Result<()> {
    for pair in tree.range(..=key(index, u16::MAX)) {
        tree.remove(&pair?.0)?;
    }
    Ok(())
}

/// Removes the last record if a crash tore it; nobody was ever told that it is durable.
pub(crate) fn drop_torn_end(tree: &Tree) -> io::Result<Option<u64>> {
    let Some(index) = last(tree)? else { return Ok(None) };
    match scan(tree, index).next() {
        Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            remove_from(tree, index).map(|()| Some(index))
        }
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Ok(None),
    }
}

fn gather(first: io::Result<(Piece, Piece)>, rest: &mut Pairs) -> io::Result<(u64, Bytes)> {
    let (key, head) = first?;
    let (index, number) = split(&key)?;
    let (length, checksum) = header(&head).filter(|_| number == 0).ok_or_else(|| damaged(index))?;
    let mut record = BytesMut::with_capacity(length);
    record.extend_from_slice(&head[HEADER_BYTES..]);
    for expected in 1u16.. {
        if record.len() >= length {
            break;
        }
        let (key, part) = rest.next().ok_or_else(|| torn(index))??;
        if split(&key)? != (index, expected) {
            return Err(damaged(index));
        }
        record.extend_from_slice(&part);
    }
    if record.len() != length || xxh3_64(&record) != checksum {
        return Err(damaged(index));
    }
    Ok((index, record.freeze()))
}

fn header(part: &[u8]) -> Option<(usize, u64)> {
    let (&version, rest) = part.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (checksum, _) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    (version == VERSION && length <= RECORD_BYTES_MAX)
        .then_some((length, u64::from_le_bytes(*checksum)))
}

type Key = [u8; 10];

fn key(index: u64, part: u16) -> Key {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

fn split(key: &[u8]) -> io::Result<(u64, u16)> {
    let whole = key.split_first_chunk().and_then(|(index, rest)| {
        let part: [u8; 2] = rest.try_into().ok()?;
        Some((u64::from_be_bytes(*index), u16::from_be_bytes(part)))
    });
    whole.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a key that is no log index"))
}

fn damaged(index: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the record of entry {index} is damaged"))
}

fn torn(index: u64) -> io::Error {
    let what = format!("the record of entry {index} has no end");
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::medium::{Medium, MemoryDisk};

    /// Both kinds of tree, and what has to be held meanwhile.
    fn trees() -> (sled::Db, [Tree; 2]) {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let tree = Tree::Sled(db.open_tree("records").unwrap());
        let Medium::Memory(_, memory) = Medium::memory(Path::new("here"), &MemoryDisk::default())
        else {
            unreachable!("it is in memory")
        };
        (db, [tree, Tree::Memory(memory, "records")])
    }

    fn read(tree: &Tree, from: u64) -> Vec<(u64, Bytes)> {
        scan(tree, from).collect::<io::Result<_>>().unwrap()
    }

    #[test]
    fn records_of_every_size_come_back_in_order() {
        let (_db, trees) = trees();
        for tree in trees {
            let sizes = [0, 1, PART_BYTES - HEADER_BYTES, PART_BYTES, 3 * PART_BYTES, 1_000_003];
            let record = |size: usize| Bytes::from(vec![size as u8 ^ 0x5a; size]);
            let written: Vec<_> =
                (7u64..).zip(sizes).map(|(at, size)| (at, record(size))).collect();
            for (index, record) in &written {
                put(&tree, *index, record).unwrap();
            }
            assert_eq!(read(&tree, 0), written);
            assert_eq!(read(&tree, 9), written[2..]);
            assert_eq!(last(&tree).unwrap(), Some(12));
        }
    }

    #[test]
    fn removal_takes_whole_records_from_either_end() {
        let (_db, trees) = trees();
        for tree in trees {
            for index in 1..=9 {
                put(&tree, index, &vec![0; 10_000]).unwrap();
            }
            remove_through(&tree, 3).unwrap();
            remove_from(&tree, 8).unwrap();
            let left: Vec<u64> = read(&tree, 0).into_iter().map(|(index, _)| index).collect();
            assert_eq!(left, [4, 5, 6, 7]);
        }
    }

    #[test]
    fn a_torn_last_record_is_dropped_and_a_damaged_one_is_not() {
        let (_db, trees) = trees();
        for tree in trees {
            put(&tree, 1, &[1; 20_000]).unwrap();
            put(&tree, 2, &[2; 20_000]).unwrap();
            tree.remove(&key(2, 4)).unwrap();
            assert_eq!(drop_torn_end(&tree).unwrap(), Some(2));
            assert_eq!(drop_torn_end(&tree).unwrap(), None);
            assert_eq!(last(&tree).unwrap(), Some(1));

            tree.insert(&key(1, 2), &[9; PART_BYTES]).unwrap();
            assert_eq!(drop_torn_end(&tree).unwrap_err().kind(), io::ErrorKind::InvalidData);
            tree.remove(&key(1, 0)).unwrap();
            assert_eq!(drop_torn_end(&tree).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_record_is_version_length_checksum_and_bytes() {
        let (_db, trees) = trees();
        for tree in trees {
            put(&tree, 258, b"ab").unwrap();
            let (key, value) = tree.range::<Key>(..).next().unwrap().unwrap();
            assert_eq!(*key, [0, 0, 0, 0, 0, 0, 1, 2, 0, 0]);
            let checksum = xxh3_64(b"ab").to_le_bytes();
            assert_eq!(*value, *[&[1, 2, 0, 0, 0][..], &checksum, b"ab"].concat());
        }
    }
}
