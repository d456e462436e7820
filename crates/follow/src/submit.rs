//! Submit: a command given to any node finds the leader, enters the log, and its fate comes back.
//!
//! The command carries an id, so it may be sent again after any failure: the log applies it once.
//! What is not certain is said to be unknown, never to have happened (I7).

use std::time::Duration;

use bytes::Bytes;
use control::{Command, CommandId, Envelope, Refusal};
use futures_util::future::{Either, select};
use model::limits::COMMAND_BYTES_MAX;
use model::{Level, LogPosition, Moment, NodeName};
use wire::codec;
use wire::log::{Fate, Submission};

use crate::apply::read_outcome;
use crate::ports::ProposeError;
use crate::{Follow, receipt};

/// Nodes that may pass a command on before one of them must lead.
const HOPS_MAX: u8 = 2;
/// Between two tries to find a leader.
const RETRY: Duration = Duration::from_millis(50);
/// One proposal is given up after this long, so that a deposed leader's silence does not use up the
/// whole deadline.
const PROPOSE: Duration = Duration::from_secs(4);

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The command's id: the same command sent again gets the same receipt.
    pub id: CommandId,
    /// Where it stands in the log.
    pub position: LogPosition,
    /// The level reached, which may be less than was waited for.
    pub level: Level,
    /// From the leader's receipt of it to commit.
    pub committed: Duration,
    /// Nodes that had applied it when the receipt was written, and after how long.
    pub applied: Vec<(NodeName, Duration)>,
    /// Live nodes that had not.
    pub pending: Vec<NodeName>,
}

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The log said no: nothing changed.
    #[error("{0}")]
    Refused(Refusal),
    /// Refused before it reached the log: nothing changed.
    #[error("{0}")]
    Unacceptable(String),
    /// Nobody knows whether it took effect. The id makes it safe to send again.
    #[error(
        "unknown: {reason}. The command may or may not take effect; \
         repeat it with idempotency key {id} to be sure"
    )]
    Unknown {
        /// The id to send it with again.
        id: CommandId,
        /// What happened.
        reason: String,
    },
}

/// Submits `command` from this node under `id`, and waits until it has come as far as `level`.
pub async fn submit(
    node: &Follow,
    id: CommandId,
    command: Command,
    level: Level,
    patience: Duration,
) -> Result<Receipt, SubmitError> {
    let command = codec::encode(&Envelope { id, command });
    if command.len() > COMMAND_BYTES_MAX {
        let sentence =
            format!("the command has {} bytes, at most {COMMAND_BYTES_MAX} fit", command.len());
        return Err(SubmitError::Unacceptable(sentence));
    }
    let deadline = node.host.now().plus(patience);
    let fate = carry(node, command, level, deadline, HOPS_MAX).await;
    read_fate(id, fate)
}

/// Takes a submission from a peer.
pub async fn accept(node: &Follow, submission: Submission) -> Fate {
    let Submission { command, level, patience_ms, hops } = submission;
    let deadline = node.host.now().plus(Duration::from_millis(patience_ms));
    match hops.checked_sub(1) {
        _ if node.group.role().leads => lead(node, &command, level, deadline).await,
        Some(hops) => carry_once(node, &command, level, deadline, hops).await,
        None => Fate::NoLeader,
    }
}

fn read_fate(id: CommandId, fate: Fate) -> Result<Receipt, SubmitError> {
    let unknown = |reason| SubmitError::Unknown { id, reason };
    match fate {
        Fate::NoLeader => Err(unknown("no leader could be found in time".into())),
        Fate::Unknown(reason) => Err(unknown(reason)),
        Fate::Refused(reason) => Err(SubmitError::Unacceptable(reason)),
        Fate::Committed { position: _, outcome, level, committed_ms, applied, pending } => {
            let verdict = read_outcome(&outcome).map_err(|error| unknown(error.to_string()))?;
            let position = verdict.map_err(SubmitError::Refused)?;
            let committed = Duration::from_millis(committed_ms);
            let applied = applied.into_iter().map(|(n, ms)| (n, Duration::from_millis(ms)));
            Ok(Receipt { id, position, level, committed, applied: applied.collect(), pending })
        }
    }
}

/// Tries again until something is certain or the deadline passes.
async fn carry(node: &Follow, command: Bytes, level: Level, deadline: Moment, hops: u8) -> Fate {
    let mut last = Fate::NoLeader;
    while node.left_until(deadline) > Duration::ZERO {
        match carry_once(node, &command, level, deadline, hops).await {
            fate @ (Fate::Committed { .. } | Fate::Refused(_)) => return fate,
            Fate::NoLeader => {}
            unknown @ Fate::Unknown(_) => last = unknown,
        }
        node.host.sleep(RETRY.min(node.left_until(deadline))).await;
    }
    last
}

async fn carry_once(
    node: &Follow,
    command: &Bytes,
    level: Level,
    deadline: Moment,
    hops: u8,
) -> Fate {
    if node.group.role().leads {
        return lead(node, command, level, deadline).await;
    }
    for target in toward_leader(node) {
        let left = node.left_until(deadline);
        let patience_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let submission = Submission { command: command.clone(), level, patience_ms, hops };
        let answer = node.peers.submit(&target, submission);
        // A little longer than the other side waits, so that its word arrives.
        let timeout = node.host.sleep(left + RETRY * 4);
        match select(answer, timeout).await {
            Either::Left((Ok(Fate::NoLeader), _)) => {}
            Either::Left((Ok(fate), _)) => return fate,
            Either::Left((Err(gone), _)) => {
                let unknown = Fate::Unknown(format!("{target} went silent: {gone}"));
                if node.left_until(deadline) == Duration::ZERO {
                    return unknown;
                }
            }
            Either::Right(_) => return Fate::Unknown(format!("{target} did not answer in time")),
        }
    }
    Fate::NoLeader
}

/// Nodes to hand a command to: who is said to lead first, then voters, then whoever we joined
/// through.
fn toward_leader(node: &Follow) -> Vec<NodeName> {
    let role = node.group.role();
    let peers = node.members.peers();
    let mut found: Vec<NodeName> = Vec::new();
    let known = peers.iter().filter(|peer| Some(peer.instance) == role.leader);
    let mut leading: Vec<_> = peers.iter().filter(|peer| peer.leads.is_some()).collect();
    leading.sort_by_key(|peer| std::cmp::Reverse(peer.leads));
    let voting = peers.iter().filter(|peer| peer.votes);
    let alive = known.chain(leading).chain(voting).filter(|peer| peer.alive);
    let names = alive.map(|peer| peer.name.clone()).chain(node.seeds());
    for name in names {
        if name != node.name && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The leader's part: into the log, then as far as `level` asks.
async fn lead(node: &Follow, command: &Bytes, level: Level, deadline: Moment) -> Fate {
    let began = node.host.now();
    let patience = node.left_until(deadline).min(PROPOSE);
    match node.group.propose(command.clone(), patience).await {
        Err(ProposeError::NotLeader) => Fate::NoLeader,
        Err(ProposeError::Refused(reason)) => Fate::Refused(reason),
        Err(ProposeError::NoQuorum(reason)) => Fate::Unknown(format!("no quorum: {reason}")),
        Ok((position, outcome)) => {
            let committed = node.host.now().since(began);
            let reached = receipt::wait(node, position, level, began, deadline).await;
            Fate::Committed {
                position,
                outcome,
                level: reached.level,
                committed_ms: u64::try_from(committed.as_millis()).unwrap_or(u64::MAX),
                applied: reached.applied,
                pending: reached.pending,
            }
        }
    }
}
