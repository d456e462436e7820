//! Files that hold certificates and keys: made once, readable by whom they concern, never replaced.
//!
//! All files of a set are looked for before the first is made, so that a refusal leaves nothing
//! half done. Every error names its file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::TransportError;

/// Who may read a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Readers {
    /// The owner alone: keys.
    Owner,
    /// Everyone: certificates.
    All,
}

/// A file to be made.
pub(crate) struct NewFile<'a> {
    file: PathBuf,
    content: &'a str,
    readers: Readers,
}

impl<'a> NewFile<'a> {
    pub(crate) fn new(file: PathBuf, content: &'a str, readers: Readers) -> Self {
        NewFile { file, content, readers }
    }
}

/// Makes all of `files`, and the directories that they lie in.
pub(crate) fn create(files: &[NewFile<'_>]) -> Result<(), TransportError> {
    for new in files {
        if new.file.exists() {
            return Err(TransportError::Exists { file: new.file.clone() });
        }
    }
    for new in files {
        write(new).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => TransportError::Exists { file: new.file.clone() },
            _ => TransportError::Write { file: new.file.clone(), source },
        })?;
    }
    Ok(())
}

/// Reads a file of text.
pub(crate) fn read(file: &Path) -> Result<String, TransportError> {
    fs::read_to_string(file).map_err(|source| TransportError::Read { file: file.into(), source })
}

fn write(new: &NewFile<'_>) -> io::Result<()> {
    if let Some(directory) = new.file.parent() {
        fs::create_dir_all(directory)?;
    }
    let mode = match new.readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new.file)?;
    file.write_all(new.content.as_bytes())?;
    file.sync_all()
}
