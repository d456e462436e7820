//! What can go wrong, one variant per thing a caller or an operator can do about it.
//!
//! [`ConsensusError`] is for whoever opens a data directory, [`ProposeError`] for whoever has a
//! command, [`ChangeError`] for the autopilot. None of them is ever answered by wiping a directory:
//! a voter that forgets its vote can elect two leaders.

use std::io;
use std::path::{Path, PathBuf};

use model::Instance;

/// Why a group or its journal cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The directory cannot be created or written.
    #[error("cannot write to {directory}: check its owner, its permissions and the free space")]
    Directory {
        /// The directory asked for.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process holds the directory.
    #[error("another shoal process is using {directory}: stop it or choose another --data-dir")]
    InUse {
        /// The directory asked for.
        directory: PathBuf,
    },
    /// What the directory holds cannot be read back.
    #[error(
        "the log in {directory} is damaged: move the directory away and start again, so that this \
         node joins the mesh anew; the mesh has the rest"
    )]
    Damaged {
        /// The directory asked for.
        directory: PathBuf,
        /// What was found.
        #[source]
        source: io::Error,
    },
    /// The disk failed while in use. Nothing written afterwards is trusted.
    #[error("the disk under {directory} failed: check its health and the free space, then restart")]
    Disk {
        /// The directory asked for.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A new mesh was to be started where there already is a log.
    #[error("{directory} already holds a log: this node is already part of a mesh")]
    AlreadyMember {
        /// The directory asked for.
        directory: PathBuf,
    },
    /// The journal was given an entry that does not follow its last one.
    #[error("the journal ends at {last}, entry {given} does not follow")]
    Gap {
        /// The last index kept.
        last: u64,
        /// The index given.
        given: u64,
    },
    /// The timings contradict each other.
    #[error("the election timings contradict each other")]
    Timings(#[source] Box<openraft::ConfigError>),
    /// The machine refused the snapshot found in the directory.
    #[error("the snapshot in {directory} cannot be installed: {reason}")]
    Snapshot {
        /// The directory asked for.
        directory: PathBuf,
        /// What the machine said.
        reason: String,
    },
    /// The group stopped, after a failed disk or because it was told to.
    #[error("the raft group has stopped")]
    Stopped,
}

impl ConsensusError {
    /// What an I/O error met in `directory` means to its operator.
    pub(crate) fn met(directory: &Path, source: io::Error) -> ConsensusError {
        let directory = directory.to_owned();
        match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                ConsensusError::Damaged { directory, source }
            }
            _ => ConsensusError::Disk { directory, source },
        }
    }
}

/// Why a command is not known to be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another node leads. If leadership was lost midway the command may still be in the log, so
    /// repeat it under the same idempotency key.
    #[error("this node does not lead")]
    NotLeader {
        /// Whom to ask, as far as this node knows.
        leader: Option<Instance>,
    },
    /// No quorum answered before the deadline; whether the command is in the log is unknown.
    #[error("no quorum answered in time, so the fate of the command is unknown")]
    NoQuorum,
    /// More bytes than a command may have; it is not in the log.
    #[error("the command is too large")]
    TooLarge,
    /// The group has stopped, after a failed disk or because it was told to.
    #[error("the raft group has stopped")]
    Stopped,
}

/// Why the membership did not change.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Another node leads.
    #[error("this node does not lead")]
    NotLeader {
        /// Whom to ask, as far as this node knows.
        leader: Option<Instance>,
    },
    /// No quorum answered before the deadline; the change may still happen.
    #[error("no quorum answered in time, so the fate of the change is unknown")]
    NoQuorum,
    /// The change does not fit the present membership.
    #[error("the membership cannot change like that now")]
    Refused(#[source] openraft::error::ChangeMembershipError<u64>),
    /// The group has stopped.
    #[error("the raft group has stopped")]
    Stopped,
}
