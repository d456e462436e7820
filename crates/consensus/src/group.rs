//! The group: every node of the mesh opens one, a few vote in it, one leads.
//!
//! A node that was never added stays silent: it holds no election and sends nothing, but it can be
//! made a learner by a leader at any time. A leader without a quorum keeps its title until it hears
//! of a higher term, so a proposal waits for a quorum that answered recently before it enters the
//! log: a cut-off leader fails within the deadline and its log does not grow.
//!
//! A group never repairs a disk that failed: it stops, and says so in its [`Role`].

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use model::Instance;
use model::limits::COMMAND_BYTES_MAX;
use openraft::error::{CheckIsLeaderError, ClientWriteError, InitializeError, RaftError};
use openraft::{ChangeMembers, EmptyNode, LogIdOptionExt, Raft};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::disk::{self, Disk};
use crate::error::{ChangeError, ConsensusError, ProposeError};
use crate::journal::Journal;
use crate::log_store::LogStore;
use crate::machine::{Machine, Replica};
use crate::medium::MemoryDisk;
use crate::network::{Network, Wires};
use crate::raft::TypeConfig;
use crate::role::{self, Role};
use crate::rpc::{Answer, Message, Part, Refusal};
use crate::timings::Timings;
use crate::transfer::{Assembly, Progress};

/// Proposals between their start and their outcome; more wait at the door.
const PROPOSALS_MAX: usize = 1_024;

/// What a group is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where log, vote and snapshots rest; created if missing.
    pub directory: PathBuf,
    /// The instance that belongs to the directory.
    pub me: Instance,
    /// How patient the group is; the same on every node.
    pub timings: Timings,
}

/// One node's part of the group. Clones share it.
#[derive(Clone)]
pub struct Group {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    raft: Raft<TypeConfig>,
    journal: Journal,
    committed: Arc<AtomicU64>,
    retired: AtomicBool,
    roles: watch::Receiver<Role>,
    watcher: JoinHandle<()>,
    assembly: Mutex<Assembly>,
    places: Semaphore,
    directory_in_use: Weak<()>,
}

impl Group {
    /// Opens the directory, brings `machine` up to what is committed in it, and takes part.
    pub async fn open(
        options: Options,
        machine: Arc<dyn Machine>,
        network: Arc<dyn Network>,
    ) -> Result<Group, ConsensusError> {
        let disk = Disk::open(&options.directory).await?;
        Group::on(disk, options, machine, network).await
    }

    /// The same on a disk in memory, which is taken away from whoever had it before. The directory
    /// is only a name then, and nothing is done on another thread.
    pub async fn open_in_memory(
        memory: &MemoryDisk,
        options: Options,
        machine: Arc<dyn Machine>,
        network: Arc<dyn Network>,
    ) -> Result<Group, ConsensusError> {
        let disk = Disk::in_memory(&options.directory, memory);
        Group::on(disk, options, machine, network).await
    }

    async fn on(
        disk: Arc<Disk>,
        options: Options,
        machine: Arc<dyn Machine>,
        network: Arc<dyn Network>,
    ) -> Result<Group, ConsensusError> {
        let Options { directory, me, timings } = options.clone();
        let config = timings.config()?;
        let directory_in_use = disk.occupancy();
        let met = |error| ConsensusError::met(&directory, error);
        let log = LogStore::open(disk.clone()).map_err(met)?;
        let replica = Replica::open(disk.medium(), machine).await?;
        let journal = Journal::open(disk).await?;
        let committed = log.committed();
        let wires = Wires::new(network, timings);
        let raft = Raft::new(me.0, config, wires, log, replica).await.map_err(|fatal| {
            // Reading the log back is all that happens here, and all that can fail.
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, fatal);
            ConsensusError::met(&directory, source)
        })?;
        // Answered only after openraft's first report, so that no role is read before it.
        raft.with_raft_state(|_| ()).await.map_err(|_| ConsensusError::Stopped)?;
        let patience = timings.election_max;
        let now = Role::of(&raft.metrics().borrow(), committed.load(Ordering::Acquire), patience);
        let (seats, roles) = watch::channel(now);
        let watcher = role::publish(raft.metrics(), seats, committed.clone(), patience);
        let inner = Inner {
            options,
            raft,
            journal,
            committed,
            retired: AtomicBool::new(false),
            roles,
            watcher: tokio::spawn(watcher),
            assembly: Mutex::default(),
            places: Semaphore::new(PROPOSALS_MAX),
            directory_in_use,
        };
        Ok(Group { inner: Arc::new(inner) })
    }

    /// Founds a mesh with this node as its only voter; on return it leads.
    pub async fn bootstrap(&self) -> Result<(), ConsensusError> {
        let Options { directory, me, timings } = &self.inner.options;
        let already = || ConsensusError::AlreadyMember { directory: directory.clone() };
        if !self.inner.journal.is_empty() {
            return Err(already());
        }
        match self.inner.raft.initialize(BTreeSet::from([me.0])).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => return Err(already()),
            Err(RaftError::APIError(InitializeError::NotInMembers(_)) | RaftError::Fatal(_)) => {
                return Err(ConsensusError::Stopped);
            }
        }
        let wait = self.inner.raft.wait(Some(timings.election_max * 10));
        let led = wait.metrics(|metrics| metrics.state.is_leader(), "the founder leads").await;
        led.map(drop).map_err(|_| ConsensusError::Stopped)
    }

    /// Has `command` agreed and applied; returns its index and the machine's outcome.
    pub async fn propose(
        &self,
        command: Bytes,
        deadline: Duration,
    ) -> Result<(u64, Bytes), ProposeError> {
        if command.len() > COMMAND_BYTES_MAX {
            return Err(ProposeError::TooLarge);
        }
        timeout(deadline, self.agree(command)).await.unwrap_or(Err(ProposeError::NoQuorum))
    }

    /// Answers a message that `from` proved to have sent.
    pub async fn receive(&self, from: Instance, message: Bytes) -> Bytes {
        self.assembly().drop_stale(Instant::now());
        let answer = match Message::decode(&message) {
            Err(_) => Answer::Refused(Refusal::Malformed),
            Ok(message) => match message.refusal(from) {
                Some(refusal) => Answer::Refused(refusal),
                None => self.hear(from, message).await,
            },
        };
        match &answer {
            Answer::Refused(Refusal::Stopped) => {}
            Answer::Refused(refusal) => tracing::warn!(%from, %refusal, "refused a raft message"),
            Answer::Append(_) | Answer::Vote(_) | Answer::Held(_) | Answer::Ended(_) => {}
        }
        answer.encode()
    }

    /// This node's part right now.
    pub fn role(&self) -> Role {
        if self.inner.retired.load(Ordering::Acquire) {
            return Role { stopped: true, ..Role::default() };
        }
        let committed = self.inner.committed.load(Ordering::Acquire);
        Role::of(&self.inner.raft.metrics().borrow(), committed, self.patience())
    }

    /// Tells of every change of the role but the positions, which change with every command.
    pub fn changes(&self) -> watch::Receiver<Role> {
        self.inner.roles.clone()
    }

    /// Confirms by a round to a quorum that this node leads, and returns the index of the log that
    /// any node had been told of before; this node has applied it on return.
    pub async fn confirm_leadership(&self, deadline: Duration) -> Result<u64, ProposeError> {
        let confirmed = timeout(deadline, self.inner.raft.ensure_linearizable()).await;
        match confirmed.map_err(|_| ProposeError::NoQuorum)? {
            Ok(log_id) => Ok(log_id.index().unwrap_or(0)),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader { leader: self.other(forward.leader_id) })
            }
            Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
                Err(ProposeError::NoQuorum)
            }
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
        }
    }

    /// The index up to which `peer` is known to hold the log; nothing unless this node leads.
    pub fn matched(&self, peer: Instance) -> Option<u64> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        metrics.replication.as_ref()?.get(&peer.0)?.as_ref().map(|log_id| log_id.index)
    }

    /// Sends `peer` the log from now on, without a vote.
    pub async fn add_learner(&self, peer: Instance, deadline: Duration) -> Result<(), ChangeError> {
        self.change(ChangeMembers::AddNodes([(peer.0, EmptyNode::new())].into()), deadline).await
    }

    /// Gives a learner a vote. Whether it has the log by then is the caller's care.
    pub async fn promote(&self, peer: Instance, deadline: Duration) -> Result<(), ChangeError> {
        self.change(ChangeMembers::AddVoterIds([peer.0].into()), deadline).await
    }

    /// Takes a voter's vote, or a learner's log.
    pub async fn remove(&self, peer: Instance, deadline: Duration) -> Result<(), ChangeError> {
        let gone = [peer.0].into();
        match self.role().voters.contains(&peer) {
            true => self.change(ChangeMembers::RemoveVoters(gone), deadline).await,
            false => self.change(ChangeMembers::RemoveNodes(gone), deadline).await,
        }
    }

    /// Completes a change of voters that an earlier leader left half done.
    pub async fn settle(&self, deadline: Duration) -> Result<(), ChangeError> {
        self.change(ChangeMembers::AddVoterIds([].into()), deadline).await
    }

    /// What a node that only follows keeps, in the same directory.
    pub fn journal(&self) -> Journal {
        self.inner.journal.clone()
    }

    /// The index of the last entry in the log; nothing on a node that was never sent any.
    pub fn log_end(&self) -> Option<u64> {
        self.inner.raft.metrics().borrow().last_log_index
    }

    /// Takes no further part for as long as the process runs: it has no vote and no leader any
    /// more. The journal goes on.
    pub async fn retire(&self) {
        self.inner.retired.store(true, Ordering::Release);
        if self.inner.raft.shutdown().await.is_err() {
            tracing::warn!("the raft group had already failed");
        }
    }

    /// Takes no further part. The directory is free once every clone and journal is dropped too.
    pub async fn shutdown(self) {
        if self.inner.raft.shutdown().await.is_err() {
            tracing::warn!("the raft group had already failed");
        }
        let in_use = self.inner.directory_in_use.clone();
        drop(self);
        disk::released(&in_use).await;
    }

    /// The instance that this node is.
    pub(crate) fn me(&self) -> Instance {
        self.inner.options.me
    }

    async fn agree(&self, command: Bytes) -> Result<(u64, Bytes), ProposeError> {
        let _place = self.inner.places.acquire().await.map_err(|_| ProposeError::Stopped)?;
        self.await_quorum().await?;
        match self.inner.raft.client_write(command).await {
            Ok(written) => Ok((written.log_id.index, written.data)),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader { leader: self.other(forward.leader_id) })
            }
            Err(
                RaftError::APIError(ClientWriteError::ChangeMembershipError(_))
                | RaftError::Fatal(_),
            ) => Err(ProposeError::Stopped),
        }
    }

    async fn await_quorum(&self) -> Result<(), ProposeError> {
        let mut metrics = self.inner.raft.metrics();
        loop {
            {
                let now = metrics.borrow_and_update();
                if now.running_state.is_err() {
                    return Err(ProposeError::Stopped);
                }
                if !now.state.is_leader() {
                    let leader = self.other(now.current_leader);
                    return Err(ProposeError::NotLeader { leader });
                }
                if role::quorum_acked(&now, self.patience()) {
                    return Ok(());
                }
            }
            metrics.changed().await.map_err(|_| ProposeError::Stopped)?;
        }
    }

    async fn hear(&self, from: Instance, message: Message) -> Answer {
        let stopped = Answer::Refused(Refusal::Stopped);
        match message {
            Message::Append(append) => {
                self.inner.raft.append_entries(append).await.map_or(stopped, Answer::Append)
            }
            Message::Vote(request) => {
                self.inner.raft.vote(request).await.map_or(stopped, Answer::Vote)
            }
            Message::Snapshot(part) => self.hear_part(from, part).await.unwrap_or(stopped),
        }
    }

    /// Nothing if the group has stopped.
    async fn hear_part(&self, from: Instance, part: Part) -> Option<Answer> {
        let vote = part.vote;
        let present = self.inner.raft.with_raft_state(|state| *state.vote_ref()).await.ok()?;
        if vote < present {
            return Some(Answer::Ended(present));
        }
        let progress = self.assembly().add(Instant::now(), from, part);
        match progress {
            Err(refusal) => Some(Answer::Refused(refusal)),
            Ok(Progress::Held(held)) => Some(Answer::Held(held)),
            Ok(Progress::Whole(snapshot)) => {
                let installed = self.inner.raft.install_full_snapshot(vote, snapshot).await;
                installed.ok().map(|response| Answer::Ended(response.vote))
            }
        }
    }

    async fn change(
        &self,
        change: ChangeMembers<u64, EmptyNode>,
        deadline: Duration,
    ) -> Result<(), ChangeError> {
        // Who loses its vote is kept as a learner, so that it hears of that.
        let changed = timeout(deadline, self.inner.raft.change_membership(change, true)).await;
        match changed.map_err(|_| ChangeError::NoQuorum)? {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Err(ChangeError::NotLeader { leader: self.other(forward.leader_id) })
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => {
                Err(ChangeError::Refused(error))
            }
            Err(RaftError::Fatal(_)) => Err(ChangeError::Stopped),
        }
    }

    /// The leader to ask instead of this node.
    fn other(&self, leader: Option<u64>) -> Option<Instance> {
        leader.map(Instance).filter(|leader| *leader != self.inner.options.me)
    }

    fn patience(&self) -> Duration {
        self.inner.options.timings.election_max
    }

    fn assembly(&self) -> MutexGuard<'_, Assembly> {
        self.inner.assembly.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    /// openraft's tasks hold each other, so a group dropped without a shutdown is stopped here.
    fn drop(&mut self) {
        self.watcher.abort();
        let raft = self.raft.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { raft.shutdown().await });
        }
    }
}

#[cfg(test)]
mod tests;
