//! The way to the other voters: our messages over whatever carries bytes.
//!
//! openraft makes a client for every vote, every linearizable read and every replication session,
//! so a client here is two pointers and never dials; connections belong to the [`Network`].
//!
//! openraft gives an append one heartbeat to be answered, then sends it again from the start. On a
//! slow link a large command would so never arrive. A large append is therefore a transfer of its
//! own: a repetition joins the one under way, after a heartbeat that keeps the follower calm.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::Instance;
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, EntryPayload, OptionalSend, RaftNetwork, RaftNetworkFactory};
use tokio::task::JoinSet;

use crate::raft::{LogId, Snapshot, TypeConfig, Vote};
use crate::rpc::{Answer, Message, Refusal};
use crate::timings::Timings;
use crate::transfer;

/// Command bytes beyond which an append is a transfer of its own.
const LARGE_APPEND_BYTES: usize = 64 * 1024;
/// The last part of a snapshot is answered only once it is installed, so it gets more time.
const INSTALL_PATIENCE: u32 = 4;

/// What carries messages between instances. Implementations find out who is where by themselves,
/// and hand what arrives to [`Group::receive`](crate::Group::receive).
pub trait Network: Send + Sync + 'static {
    /// Delivers `message` to `to` and returns the answer, or an error by the deadline.
    fn send(
        &self,
        to: Instance,
        message: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unreachable>>;
}

/// No usable answer came.
#[derive(Debug, thiserror::Error)]
#[error("{to} does not answer")]
pub struct Unreachable {
    /// Who was asked.
    pub to: Instance,
    /// What happened instead.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl Unreachable {
    /// `to` gave no usable answer because of `source`.
    pub fn new(to: Instance, source: impl Into<Box<dyn Error + Send + Sync>>) -> Unreachable {
        Unreachable { to, source: source.into() }
    }
}

/// Makes the clients.
pub(crate) struct Wires {
    network: Arc<dyn Network>,
    timings: Timings,
    transfers: Arc<AtomicU64>,
}

/// A client for one peer, in one session.
pub(crate) struct Wire {
    link: Link,
    timings: Timings,
    transfers: Arc<AtomicU64>,
    large: Option<LargeAppend>,
}

#[derive(Clone)]
struct Link {
    to: Instance,
    network: Arc<dyn Network>,
}

/// A large append under way; dropping it abandons the transfer.
struct LargeAppend {
    vote: Vote,
    previous: Option<LogId>,
    last: Option<LogId>,
    answer: JoinSet<Result<AppendEntriesResponse<u64>, Unreachable>>,
}

type Append = AppendEntriesRequest<TypeConfig>;
type RpcError = RPCError<u64, EmptyNode, RaftError<u64>>;
type SnapshotError = StreamingError<TypeConfig, Fatal<u64>>;

impl Wires {
    pub(crate) fn new(network: Arc<dyn Network>, timings: Timings) -> Wires {
        Wires { network, timings, transfers: Arc::default() }
    }
}

impl RaftNetworkFactory<TypeConfig> for Wires {
    type Network = Wire;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Wire {
        Wire {
            link: Link { to: Instance(target), network: self.network.clone() },
            timings: self.timings,
            transfers: self.transfers.clone(),
            large: None,
        }
    }
}

impl RaftNetwork<TypeConfig> for Wire {
    async fn append_entries(
        &mut self,
        append: Append,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        let answered = match command_bytes(&append) > LARGE_APPEND_BYTES {
            false => self.link.append(append, option.hard_ttl()).await,
            true => self.append_large(append, option.hard_ttl()).await,
        };
        answered.map_err(unreachable_rpc)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RpcError> {
        let answer = self.link.ask(&Message::Vote(request), option.hard_ttl()).await;
        match answer.map_err(unreachable_rpc)? {
            Answer::Vote(vote) => Ok(vote),
            other => Err(unreachable_rpc(self.link.unexpected(&other))),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, SnapshotError> {
        tokio::select! {
            biased;
            closed = cancel => Err(SnapshotError::Closed(closed)),
            ended = self.send_snapshot(vote, snapshot) => match ended {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(error) => {
                    Err(SnapshotError::Unreachable(openraft::error::Unreachable::new(&error)))
                }
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.timings.heartbeat))
    }
}

impl Wire {
    async fn append_large(
        &mut self,
        append: Append,
        ttl: Duration,
    ) -> Result<AppendEntriesResponse<u64>, Unreachable> {
        let last = append.entries.last().map(|entry| entry.log_id);
        let under_way = self.large.take().filter(|large| large.leads_to(&append));
        let large = match under_way {
            Some(large) => {
                let large = self.large.insert(large);
                let heartbeat = Append { entries: Vec::new(), ..append };
                match self.link.append(heartbeat, ttl).await? {
                    AppendEntriesResponse::Success => large,
                    other => return Ok(other),
                }
            }
            None => self.large.insert(LargeAppend::start(&self.link, append, self.timings.part)),
        };
        let answered = large.answer.join_next().await;
        let sent = large.last;
        self.large = None;
        let answer = match answered {
            Some(Ok(answer)) => answer?,
            Some(Err(lost)) => return Err(Unreachable::new(self.link.to, lost)),
            None => return Err(Unreachable::new(self.link.to, "the transfer was lost")),
        };
        match answer {
            AppendEntriesResponse::Success if sent < last => {
                Ok(AppendEntriesResponse::PartialSuccess(sent))
            }
            other => Ok(other),
        }
    }

    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot) -> Result<Vote, Unreachable> {
        let transfer = self.transfers.fetch_add(1, Ordering::Relaxed);
        for part in transfer::cut(vote, snapshot, transfer) {
            let sent = part.offset + part.bytes.len() as u64;
            let patience = if sent < part.total_bytes { 1 } else { INSTALL_PATIENCE };
            let message = Message::Snapshot(part);
            match self.link.ask(&message, self.timings.part * patience).await? {
                Answer::Held(held) if held == sent => {}
                Answer::Ended(vote) => return Ok(vote),
                other => return Err(self.link.unexpected(&other)),
            }
        }
        Err(Unreachable::new(self.link.to, "it did not install the snapshot"))
    }
}

impl Link {
    async fn append(
        &self,
        append: Append,
        deadline: Duration,
    ) -> Result<AppendEntriesResponse<u64>, Unreachable> {
        match self.ask(&Message::Append(append), deadline).await? {
            Answer::Append(answer) => Ok(answer),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn ask(&self, message: &Message, deadline: Duration) -> Result<Answer, Unreachable> {
        let answer = self.network.send(self.to, message.encode(), deadline).await?;
        Answer::decode(&answer).map_err(|malformed| Unreachable::new(self.to, malformed))
    }

    fn unexpected(&self, answer: &Answer) -> Unreachable {
        match answer {
            Answer::Refused(refusal) => Unreachable::new(self.to, *refusal),
            Answer::Append(_) | Answer::Vote(_) | Answer::Held(_) | Answer::Ended(_) => {
                Unreachable::new(self.to, Refusal::Malformed)
            }
        }
    }
}

impl LargeAppend {
    fn start(link: &Link, append: Append, deadline: Duration) -> LargeAppend {
        let (vote, previous) = (append.vote, append.prev_log_id);
        let last = append.entries.last().map(|entry| entry.log_id);
        let link = link.clone();
        let mut answer = JoinSet::new();
        answer.spawn(async move { link.append(append, deadline).await });
        LargeAppend { vote, previous, last, answer }
    }

    /// Whether its success is progress for `append` too.
    fn leads_to(&self, append: &Append) -> bool {
        (self.vote, self.previous) == (append.vote, append.prev_log_id)
    }
}

fn command_bytes(append: &Append) -> usize {
    let bytes = append.entries.iter().map(|entry| match &entry.payload {
        EntryPayload::Normal(command) => command.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    });
    bytes.sum()
}

/// Every failure counts as unreachable: openraft then waits before it tries again.
fn unreachable_rpc(error: Unreachable) -> RpcError {
    RPCError::Unreachable(openraft::error::Unreachable::new(&error))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use openraft::CommittedLeaderId;

    use super::*;
    use crate::raft::Entry;

    /// Answers small messages at once and large ones after a second.
    #[derive(Default)]
    struct SlowLink {
        large: AtomicU64,
        heartbeats: Mutex<u32>,
    }

    impl Network for SlowLink {
        fn send(
            &self,
            to: Instance,
            message: Bytes,
            deadline: Duration,
        ) -> BoxFuture<'static, Result<Bytes, Unreachable>> {
            let large = message.len() > LARGE_APPEND_BYTES;
            match large {
                true => drop(self.large.fetch_add(1, Ordering::Relaxed)),
                false => *self.heartbeats.lock().unwrap() += 1,
            }
            Box::pin(async move {
                let journey = Duration::from_millis(if large { 1_000 } else { 1 });
                let arrived = tokio::time::timeout(deadline, tokio::time::sleep(journey)).await;
                arrived.map_err(|late| Unreachable::new(to, late))?;
                Ok(Answer::Append(AppendEntriesResponse::Success).encode())
            })
        }
    }

    fn large_append(entries: u64) -> Append {
        let entries = (1..=entries).map(|index| Entry {
            log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
            payload: EntryPayload::Normal(Bytes::from(vec![0; LARGE_APPEND_BYTES + 1])),
        });
        Append {
            vote: Vote::new_committed(1, 1),
            prev_log_id: None,
            entries: entries.collect(),
            leader_commit: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_append_arrives_over_a_link_slower_than_the_heartbeat() {
        let link = Arc::new(SlowLink::default());
        let mut wires = Wires::new(link.clone(), Timings::lan());
        let mut wire = wires.new_client(2, &EmptyNode::new()).await;
        let ttl = Timings::lan().heartbeat;
        let mut tries = 0;
        let answer = loop {
            tries += 1;
            let append = large_append(if tries == 1 { 1 } else { 2 });
            let answer = wire.append_entries(append, RPCOption::new(ttl));
            if let Ok(answer) = tokio::time::timeout(ttl, answer).await {
                break answer.unwrap();
            }
        };
        let first = LogId::new(CommittedLeaderId::new(1, 1), 1);
        assert_eq!(answer, AppendEntriesResponse::PartialSuccess(Some(first)));
        assert_eq!(link.large.load(Ordering::Relaxed), 1, "sent once, joined by every repetition");
        assert_eq!(*link.heartbeats.lock().unwrap(), tries - 1);
        assert!(tries >= 9, "{tries}");
    }

    #[test]
    fn a_client_costs_no_message() {
        let link = Arc::new(SlowLink::default());
        let mut wires = Wires::new(link.clone(), Timings::lan());
        let nowhere = EmptyNode::new();
        let client = wires.new_client(2, &nowhere);
        let waker = futures_util::task::noop_waker();
        let mut context = std::task::Context::from_waker(&waker);
        assert!(std::pin::pin!(client).poll(&mut context).is_ready());
    }
}
