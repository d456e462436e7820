//! What the log drives: the [`Machine`] port, and the replica that feeds it from Raft.
//!
//! The machine lives in memory, so what Raft knows of it rests in one snapshot file; on start the
//! snapshot is installed and openraft applies again what was committed after it. A machine may be
//! ahead of Raft, because a node that follows hears of entries on another way too: it skips what
//! it knows, and a snapshot may contain more than its log id says. Applying again is harmless.
//!
//! A snapshot is on disk before anyone hears of it, so the log behind it may go.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use serde::{Deserialize, Serialize};

use crate::error::ConsensusError;
use crate::medium::Medium;
use crate::raft::{
    Entry, LogId, Snapshot, SnapshotMeta, State, StorageError, StoredMembership, TypeConfig,
};
use crate::snapshot_file::SnapshotFile;

/// Whatever the agreed commands are applied to. Calls may come from several threads.
pub trait Machine: Send + Sync + 'static {
    /// Applies entries in order and returns one outcome for each. Blank and membership entries come
    /// as empty bytes. An index at or below [`Machine::applied`] is skipped, with any outcome.
    fn apply(&self, entries: Vec<(u64, Bytes)>) -> Vec<Bytes>;
    /// The whole state and the index of the last entry in it.
    fn snapshot(&self) -> (u64, Bytes);
    /// Replaces the state by a snapshot that contains `index`. One at or below
    /// [`Machine::applied`] changes nothing and is no error.
    fn install(&self, index: u64, snapshot: Bytes) -> Result<(), String>;
    /// The index of the last entry applied, 0 at the start: entry 0 is always the first membership.
    fn applied(&self) -> u64;
}

/// A machine as openraft sees it.
pub(crate) struct Replica {
    machine: Arc<dyn Machine>,
    shelf: Arc<Shelf>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// Takes a snapshot beside the log; the machine may move on meanwhile.
pub(crate) struct Builder {
    machine: Arc<dyn Machine>,
    shelf: Arc<Shelf>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// A snapshot as it rests on disk.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    meta: SnapshotMeta,
    index: u64,
    state: Bytes,
}

/// The one snapshot kept. Never replaced by an older one: a slow build may end after an install.
struct Shelf {
    medium: Medium,
    file: SnapshotFile,
    newest: Mutex<Option<LogId>>,
}

impl Replica {
    /// Brings `machine` up to the snapshot on `medium`, if there is one it does not know.
    pub(crate) async fn open(
        medium: &Medium,
        machine: Arc<dyn Machine>,
    ) -> Result<Replica, ConsensusError> {
        let (directory, file) = (medium.directory(), medium.file("raft.snapshot"));
        let shelf = Arc::new(Shelf { medium: medium.clone(), file, newest: Mutex::default() });
        let met = |error| ConsensusError::met(directory, error);
        let Some(saved) = shelf.clone().load().await.map_err(met)? else {
            let membership = StoredMembership::default();
            return Ok(Replica { machine, shelf, applied: None, membership });
        };
        let state = State { index: saved.index, bytes: saved.state };
        install(medium, machine.clone(), state).await.map_err(|error| {
            ConsensusError::Snapshot { directory: directory.to_owned(), reason: error.to_string() }
        })?;
        let SnapshotMeta { last_log_id: applied, last_membership: membership, .. } = saved.meta;
        Ok(Replica { machine, shelf, applied, membership })
    }
}

impl Replica {
    /// Makes `state`, which contains `log_id`, what the next start begins with, and `members` whose
    /// votes count. The machine is left as it is.
    pub(crate) async fn begin_at(
        &mut self,
        log_id: LogId,
        members: StoredMembership,
        state: Bytes,
    ) -> Result<(), StorageError> {
        let meta = SnapshotMeta {
            last_log_id: Some(log_id),
            last_membership: members,
            snapshot_id: format!("recovered-{}", log_id.index),
        };
        let saved = Saved { meta, index: log_id.index, state };
        self.shelf.clone().keep(saved).await.map_err(unsaved)
    }
}

impl RaftStateMachine<TypeConfig> for Replica {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Bytes>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut commands = Vec::new();
        for entry in entries {
            let command = match entry.payload {
                EntryPayload::Blank => Bytes::new(),
                EntryPayload::Normal(command) => command,
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), members);
                    Bytes::new()
                }
            };
            self.applied = Some(entry.log_id);
            commands.push((entry.log_id.index, command));
        }
        let expected = commands.len();
        let outcomes = self.machine.apply(commands);
        match outcomes.len() == expected {
            true => Ok(outcomes),
            false => Err(broken("it did not return one outcome for each entry")),
        }
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            machine: self.machine.clone(),
            shelf: self.shelf.clone(),
            applied: self.applied,
            membership: self.membership.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<State>, StorageError> {
        Ok(Box::new(State { index: 0, bytes: Bytes::new() }))
    }

    /// The machine goes first: a snapshot that it refuses must not be found at the next start.
    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<State>,
    ) -> Result<(), StorageError> {
        let saved =
            Saved { meta: meta.clone(), index: snapshot.index, state: snapshot.bytes.clone() };
        install(&self.shelf.medium, self.machine.clone(), *snapshot).await.map_err(unsaved)?;
        self.shelf.clone().keep(saved).await.map_err(unsaved)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let saved = self.shelf.clone().load().await.map_err(|error| {
            StorageError::from(StorageIOError::read_snapshot(None, AnyError::new(&error)))
        })?;
        Ok(saved.map(Saved::into_snapshot))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let machine = self.machine.clone();
        let taken = self.shelf.medium.blocking(move || Ok(machine.snapshot())).await;
        let (index, state) = taken.map_err(unsaved)?;
        let applied = self.applied.map_or(0, |id| id.index);
        if index < applied {
            return Err(broken("its snapshot lacks entries that were applied"));
        }
        let saved = Saved {
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
                snapshot_id: format!("{applied}-{index}"),
            },
            index,
            state,
        };
        self.shelf.clone().keep(saved.clone()).await.map_err(unsaved)?;
        Ok(saved.into_snapshot())
    }
}

impl Saved {
    fn into_snapshot(self) -> Snapshot {
        let state = State { index: self.index, bytes: self.state };
        Snapshot { meta: self.meta, snapshot: Box::new(state) }
    }
}

impl Shelf {
    async fn load(self: Arc<Self>) -> io::Result<Option<Saved>> {
        let medium = self.medium.clone();
        let load = move || {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let saved = self.file.read::<Saved>()?;
            *newest = saved.as_ref().and_then(|saved| saved.meta.last_log_id);
            Ok(saved)
        };
        medium.blocking(load).await
    }

    async fn keep(self: Arc<Self>, saved: Saved) -> io::Result<()> {
        let medium = self.medium.clone();
        let keep = move || {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if saved.meta.last_log_id < *newest {
                return Ok(());
            }
            self.file.replace(&saved)?;
            *newest = saved.meta.last_log_id;
            Ok(())
        };
        medium.blocking(keep).await
    }
}

async fn install(medium: &Medium, machine: Arc<dyn Machine>, state: State) -> io::Result<()> {
    let install = move || {
        if state.index <= machine.applied() {
            return Ok(());
        }
        machine.install(state.index, state.bytes).map_err(io::Error::other)
    };
    medium.blocking(install).await
}

/// A machine that breaks its contract stops the node; openraft would not notice a panic here.
fn broken(how: &'static str) -> StorageError {
    StorageIOError::write_state_machine(AnyError::error(format!("the machine is broken: {how}")))
        .into()
}

fn unsaved(error: io::Error) -> StorageError {
    StorageIOError::write_snapshot(None, AnyError::new(&error)).into()
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::mesh::Tape;

    fn entry(index: u64, command: &'static str) -> Entry {
        let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
        Entry { log_id, payload: EntryPayload::Normal(Bytes::from_static(command.as_bytes())) }
    }

    #[tokio::test]
    async fn a_machine_ahead_of_raft_skips_and_its_snapshot_keeps_the_log_id_of_raft() {
        let home = tempfile::tempdir().unwrap();
        let tape = Arc::new(Tape::default());
        let mut replica = Replica::open(&home.path().into(), tape.clone()).await.unwrap();
        tape.apply((1..=5).map(|at| (at, Bytes::from(format!("{at}")))).collect());
        let outcomes = replica.apply([entry(1, "1"), entry(2, "2")]).await.unwrap();
        assert_eq!(outcomes.len(), 2);
        let mut builder = replica.get_snapshot_builder().await;
        let snapshot = builder.build_snapshot().await.unwrap();
        assert_eq!(snapshot.meta.last_log_id.unwrap().index, 2);
        assert_eq!(snapshot.snapshot.index, 5);

        let fresh = Arc::new(Tape::default());
        let mut again = Replica::open(&home.path().into(), fresh.clone()).await.unwrap();
        assert_eq!(again.applied_state().await.unwrap().0.unwrap().index, 2);
        assert_eq!(fresh.applied(), 5);
        again.apply([entry(3, "3")]).await.unwrap();
        assert_eq!(fresh.commands(), tape.commands());
    }

    #[tokio::test]
    async fn an_older_snapshot_never_replaces_a_newer_one() {
        let home = tempfile::tempdir().unwrap();
        let mut replica =
            Replica::open(&home.path().into(), Arc::new(Tape::default())).await.unwrap();
        replica.apply([entry(1, "a")]).await.unwrap();
        let mut slow = replica.get_snapshot_builder().await;
        replica.apply([entry(2, "b")]).await.unwrap();
        replica.get_snapshot_builder().await.build_snapshot().await.unwrap();
        slow.build_snapshot().await.unwrap();
        let current = replica.get_current_snapshot().await.unwrap().unwrap();
        assert_eq!(current.meta.last_log_id.unwrap().index, 2);
    }

    #[tokio::test]
    async fn a_snapshot_of_twenty_megabytes_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let tape = Arc::new(Tape::default());
        let mut replica = Replica::open(&home.path().into(), tape.clone()).await.unwrap();
        tape.apply(vec![(1, Bytes::from(vec![3; 20 * 1024 * 1024]))]);
        replica.apply([entry(1, "skipped")]).await.unwrap();
        replica.get_snapshot_builder().await.build_snapshot().await.unwrap();
        let fresh = Arc::new(Tape::default());
        Replica::open(&home.path().into(), fresh.clone()).await.unwrap();
        assert!(fresh.commands() == tape.commands());
    }

    /// Forgets all it is told.
    struct Sieve;

    impl Machine for Sieve {
        fn apply(&self, _entries: Vec<(u64, Bytes)>) -> Vec<Bytes> {
            Vec::new()
        }
        fn snapshot(&self) -> (u64, Bytes) {
            (0, Bytes::new())
        }
        fn install(&self, _index: u64, _snapshot: Bytes) -> Result<(), String> {
            Err("sieves hold nothing".into())
        }
        fn applied(&self) -> u64 {
            0
        }
    }

    #[tokio::test]
    async fn a_machine_that_breaks_its_contract_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let mut replica = Replica::open(&home.path().into(), Arc::new(Sieve)).await.unwrap();
        assert!(replica.apply([entry(1, "a")]).await.is_err());
        assert!(replica.get_snapshot_builder().await.build_snapshot().await.is_err());

        let home = tempfile::tempdir().unwrap();
        let mut good = Replica::open(&home.path().into(), Arc::new(Tape::default())).await.unwrap();
        good.apply([entry(1, "a")]).await.unwrap();
        good.get_snapshot_builder().await.build_snapshot().await.unwrap();
        let refusal = Replica::open(&home.path().into(), Arc::new(Sieve)).await.err().unwrap();
        assert!(refusal.to_string().ends_with("sieves hold nothing"), "{refusal}");
    }

    #[tokio::test]
    async fn a_damaged_snapshot_names_the_directory_and_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("raft.snapshot"), "nonsense").unwrap();
        let refusal =
            Replica::open(&home.path().into(), Arc::new(Tape::default())).await.err().unwrap();
        assert!(matches!(refusal, ConsensusError::Damaged { .. }), "{refusal}");
        assert!(refusal.to_string().contains(&*home.path().to_string_lossy()), "{refusal}");
    }
}
