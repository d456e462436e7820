//! Forced recovery: what one directory still knows after most voters lost theirs, and a group of
//! one that goes on from there.
//!
//! Every entry in the log counts, whether it is known to be agreed or not: a voter that is gone may
//! have acknowledged it. What is founded is one file, replaced as a whole: a snapshot that stands
//! behind everything else in the directory, with this node as the only voter. A crash before it
//! leaves the directory as it was, one after it leaves what the next start cleans up by itself.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::Instance;
use openraft::storage::{RaftLogStorage, RaftStateMachine};
use openraft::{CommittedLeaderId, LogIdOptionExt, Membership};

use crate::disk::{self, Disk};
use crate::error::ConsensusError;
use crate::journal::Journal;
use crate::log_store::LogStore;
use crate::machine::{Machine, Replica};
use crate::raft::{LogId, StorageError, StoredMembership, Vote};

/// Bytes of entries applied at once.
const APPLY_BYTES: usize = 16 * 1024 * 1024;

/// What a directory still knows. While it is held, no node can use the directory.
pub struct Remains {
    directory: PathBuf,
    disk: Arc<Disk>,
    log: LogStore,
    replica: Replica,
    journal: Journal,
    vote: Vote,
    applied: Option<LogId>,
    voters: Vec<Instance>,
}

impl Remains {
    /// Brings `machine` up to the last entry in `directory`, which no process may be using.
    pub async fn open(
        directory: &Path,
        machine: Arc<dyn Machine>,
    ) -> Result<Remains, ConsensusError> {
        let disk = Disk::open(directory).await?;
        let mut log = LogStore::open(disk.clone()).map_err(|e| met(directory, e))?;
        let mut replica = Replica::open(disk.medium(), machine).await?;
        let journal = Journal::open(disk.clone()).await?;
        apply_all(&log, &mut replica).await.map_err(|error| met(directory, error))?;
        let vote = log.read_vote().await.map_err(|error| met(directory, unread(error)))?;
        let state = replica.applied_state().await.map_err(|error| met(directory, unread(error)));
        let (applied, membership) = state?;
        Ok(Remains {
            directory: directory.to_owned(),
            disk,
            log,
            replica,
            journal,
            vote: vote.unwrap_or_default(),
            applied,
            voters: membership.voter_ids().map(Instance).collect(),
        })
    }

    /// The last term that this node knows of.
    pub fn term(&self) -> u64 {
        let applied = self.applied.map_or(0, |id| id.leader_id.term);
        self.vote.leader_id().term.max(applied)
    }

    /// Whose votes counted last.
    pub fn voters(&self) -> &[Instance] {
        &self.voters
    }

    /// The index up to which this node knew the log to be agreed.
    pub fn committed(&self) -> u64 {
        self.log.committed().load(std::sync::atomic::Ordering::Acquire)
    }

    /// What the node kept while it only followed.
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Makes `me` the only voter of a group whose log begins behind `index`, with `state` as
    /// everything before. Durable on return; the next start leads.
    ///
    /// # Panics
    /// If `index` is not behind every entry in the directory.
    pub async fn found(
        mut self,
        me: Instance,
        index: u64,
        state: Bytes,
    ) -> Result<(), ConsensusError> {
        let last = self.log.get_log_state().await;
        let last = last.map_err(|error| met(&self.directory, unread(error)))?;
        let last = last.last_log_id.max(self.applied);
        assert!(last.index() < Some(index), "the log reaches {last:?}, so {index} is no new start");
        let vote = Vote::new(self.term() + 1, me.0);
        let log_id = LogId::new(CommittedLeaderId::new(vote.leader_id().term, me.0), index);
        let founded = async {
            self.log.save_vote(&vote).await?;
            let alone = Membership::new(vec![BTreeSet::from([me.0])], None);
            let membership = StoredMembership::new(Some(log_id), alone);
            self.replica.begin_at(log_id, membership, state.clone()).await?;
            self.log.purge(log_id).await?;
            self.log.save_committed(Some(log_id)).await
        };
        let unwritten = |error: StorageError| io::Error::other(error);
        founded.await.map_err(|error| met(&self.directory, unwritten(error)))?;
        self.journal.replace(index, state).await?;
        self.disk.durable().await.map_err(|error| met(&self.directory, error))?;
        self.close().await;
        Ok(())
    }

    /// Lets go of the directory and leaves it as it is.
    pub async fn close(self) {
        let in_use = self.disk.occupancy();
        drop(self);
        disk::released(&in_use).await;
    }
}

async fn apply_all(log: &LogStore, replica: &mut Replica) -> io::Result<()> {
    loop {
        let (applied, _) = replica.applied_state().await.map_err(unread)?;
        let entries = log.read_from(applied.next_index(), APPLY_BYTES)?;
        if entries.is_empty() {
            return Ok(());
        }
        replica.apply(entries).await.map_err(unread)?;
    }
}

fn met(directory: &Path, error: io::Error) -> ConsensusError {
    ConsensusError::met(directory, error)
}

fn unread(error: StorageError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{self, Links, Node, PATIENCE, Tape};
    use crate::{Options, Role};

    /// Positions of a new epoch, as the machine counts.
    const NEXT_EPOCH: u64 = 1 << 48;

    async fn remains(home: &tempfile::TempDir) -> (Remains, Arc<Tape>) {
        let tape = Arc::new(Tape::default());
        let remains = Remains::open(&mesh::data(home), tape.clone()).await.unwrap();
        (remains, tape)
    }

    /// What a state of one more line is, as the tape encodes it.
    fn moved_on(tape: &Tape, index: u64) -> Bytes {
        tape.apply(vec![(index, Bytes::from_static(b"recovered"))]);
        tape.snapshot().1
    }

    async fn leads_alone(node: &Node) {
        let alone = |role: &Role| role.quorum_acked_recently && role.voters == [node.me];
        node.until("lead alone", alone).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_of_three_goes_on_alone_with_all_it_has_and_newcomers_follow() {
        let links = Links::default();
        let [first, second, third] = mesh::three(&links).await;
        for text in ["one", "two", "three"] {
            first.say(text).await;
        }
        third.hears(3).await;
        let me = third.me;
        let home = links.stop(third).await;
        drop((links.stop(first).await, links.stop(second).await));

        let (remains, tape) = remains(&home).await;
        let term = remains.term();
        assert_eq!(tape.commands(), ["one", "two", "three"]);
        assert_eq!(remains.voters(), [Instance(1), Instance(2), Instance(3)]);
        assert!(remains.committed() <= tape.applied());
        let index = NEXT_EPOCH + tape.applied() + 1;
        remains.found(me, index, moved_on(&tape, index)).await.unwrap();

        let survivor = links.open(me.0, home, mesh::quick()).await;
        leads_alone(&survivor).await;
        assert!(survivor.group.role().term > term);
        assert!(survivor.say("four").await > index);
        let newcomer = links.node(7).await;
        survivor.group.add_learner(newcomer.me, PATIENCE).await.unwrap();
        survivor.group.promote(newcomer.me, PATIENCE).await.unwrap();
        survivor.say("five").await;
        let everything = ["one", "two", "three", "recovered", "four", "five"];
        assert_eq!(newcomer.hears(6).await, everything);

        let home = links.stop(survivor).await;
        let again = links.open(me.0, home, mesh::quick()).await;
        assert_eq!(again.hears(6).await, everything, "and it is all there after a restart");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn entries_that_nobody_is_known_to_have_agreed_on_are_kept() {
        let links = Links::default();
        let [first, second, third] = mesh::three(&links).await;
        first.say("agreed").await;
        links.cut(second.me);
        links.cut(third.me);
        let alone = first.group.propose(Bytes::from_static(b"doubtful"), PATIENCE / 20).await;
        assert!(alone.is_err());
        let (me, home) = (first.me, links.stop(first).await);
        let (remains, tape) = remains(&home).await;
        assert_eq!(tape.commands(), ["agreed", "doubtful"]);
        assert!(remains.committed() < tape.applied());
        let index = NEXT_EPOCH + 100;
        remains.found(me, index, moved_on(&tape, index)).await.unwrap();
        let survivor = links.open(me.0, home, mesh::quick()).await;
        leads_alone(&survivor).await;
        assert_eq!(survivor.hears(3).await, ["agreed", "doubtful", "recovered"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_crash_right_after_the_snapshot_is_put_right_by_the_next_start() {
        let links = Links::default();
        let [first, second, third] = mesh::three(&links).await;
        first.say("one").await;
        drop((links.stop(second).await, links.stop(third).await));
        let (me, home) = (first.me, links.stop(first).await);
        let (mut remains, tape) = remains(&home).await;
        let index = NEXT_EPOCH + 50;
        let log_id = LogId::new(CommittedLeaderId::new(remains.term() + 1, me.0), index);
        let alone = Membership::new(vec![BTreeSet::from([me.0])], None);
        let membership = StoredMembership::new(Some(log_id), alone);
        let state = moved_on(&tape, index);
        remains.log.save_vote(&Vote::new(remains.term() + 1, me.0)).await.unwrap();
        remains.replica.begin_at(log_id, membership, state).await.unwrap();
        remains.close().await;
        let survivor = links.open(me.0, home, mesh::quick()).await;
        leads_alone(&survivor).await;
        survivor.say("two").await;
        assert_eq!(survivor.hears(3).await, ["one", "recovered", "two"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_retired_node_neither_votes_nor_agrees_to_anything() {
        let links = Links::default();
        let [first, second, third] = mesh::three(&links).await;
        first.say("one").await;
        first.group.retire().await;
        let role = first.group.role();
        assert!(!role.leads && !role.voter && role.voters.is_empty(), "{role:?}");
        assert!(first.group.propose(Bytes::from_static(b"two"), PATIENCE).await.is_err());
        assert!(first.group.confirm_leadership(PATIENCE).await.is_err());
        let others = [second, third];
        let led = |role: &Role| role.quorum_acked_recently;
        tokio::select! {
            _ = others[0].until("lead", led) => {}
            _ = others[1].until("lead", led) => {}
        }
    }

    #[tokio::test]
    async fn a_directory_in_use_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (held, _) = remains(&home).await;
        let refusal = Remains::open(&mesh::data(&home), Arc::new(Tape::default())).await;
        assert!(matches!(refusal.err(), Some(ConsensusError::InUse { .. })));
        assert!(held.voters().is_empty() && held.term() == 0);
        let options =
            Options { directory: mesh::data(&home), me: Instance(1), timings: mesh::quick() };
        let network = Links::default().end(1);
        let opened = crate::Group::open(options, Arc::new(Tape::default()), network).await;
        assert!(matches!(opened.err(), Some(ConsensusError::InUse { .. })));
    }
}
