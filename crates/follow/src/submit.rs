//! Submit: a command given to any node finds the leader, enters the log, and its fate comes back.
//!
//! The command carries an id, so it may be sent again after any failure: the log applies it once.
//! What is not certain is said to be unknown, never to have happened (I7).

use std::time::Duration;

use bytes::Bytes;
use control::{Command, CommandId, Envelope, Refusal};
use futures_util::future::{Either, select};
use model::limits::COMMAND_BYTES_MAX;
use model::{DistributionName, Level, Moment, NodeName, WhenFenced};
use wire::codec;
use wire::log::{Fate, Submission};

use crate::apply::read_outcome;
use crate::herald::Origin;
use crate::ports::ProposeError;
use crate::receipt::{Began, Progressed};
use crate::{Follow, batch, herald, receipt};

/// Nodes that may pass a command on before one of them must lead.
pub(crate) const HOPS_MAX: u8 = 2;
/// Between two tries to find a leader.
pub(crate) const RETRY: Duration = Duration::from_millis(50);
/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The command's id: the same command sent again gets the same receipt.
    pub id: CommandId,
    /// How far it has come.
    pub progressed: Progressed,
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
    if level == Level::Fenced
        && let Some(name) = never_fenced(node, &command)
    {
        let sentence = format!(
            "the distribution {name} has when_fenced = \"stale-ok\", so no purge of it is ever \
             fenced: wait for applied"
        );
        return Err(SubmitError::Unacceptable(sentence));
    }
    let command = codec::encode(&Envelope { id, command });
    if command.len() > COMMAND_BYTES_MAX {
        let sentence =
            format!("the command has {} bytes, at most {COMMAND_BYTES_MAX} fit", command.len());
        return Err(SubmitError::Unacceptable(sentence));
    }
    herald::hear_one(node, command.clone(), Origin::Below);
    let deadline = node.host.now().plus(patience);
    let fate = carry(node, command, level, deadline, HOPS_MAX).await;
    read_fate(id, fate)
}

/// The distribution that a purge is about, if its nodes serve on when they know nothing.
fn never_fenced(node: &Follow, command: &Command) -> Option<DistributionName> {
    let Command::Invalidate(purge) = command else { return None };
    let state = node.replica.state();
    let distribution = state.distribution(&purge.distribution)?;
    let serves_on = distribution.purging.when_fenced == WhenFenced::StaleOk;
    serves_on.then(|| purge.distribution.clone())
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
        Fate::Committed { outcome, reach } => {
            let verdict = read_outcome(&outcome).map_err(|error| unknown(error.to_string()))?;
            verdict.map_err(SubmitError::Refused)?;
            Ok(Receipt { id, progressed: Progressed::of(reach) })
        }
    }
}

/// Tries again until the command has come as far as it should, or the deadline passes. A leader
/// that loses office says how far it saw the command come: the next one is asked, under the same
/// id.
async fn carry(node: &Follow, command: Bytes, level: Level, deadline: Moment, hops: u8) -> Fate {
    let mut last = Fate::NoLeader;
    while node.left_until(deadline) > Duration::ZERO {
        match carry_once(node, &command, level, deadline, hops).await {
            fate @ Fate::Refused(_) => return fate,
            fate @ Fate::Committed { .. } if has_come(&fate, level) => return fate,
            fate @ Fate::Committed { .. } => last = fate,
            Fate::NoLeader => {}
            Fate::Unknown(_) if matches!(last, Fate::Committed { .. }) => {}
            unknown @ Fate::Unknown(_) => last = unknown,
        }
        node.host.sleep(RETRY.min(node.left_until(deadline))).await;
    }
    last
}

/// Whether nothing is left to wait for: it came far enough, or it was refused.
fn has_come(fate: &Fate, level: Level) -> bool {
    let Fate::Committed { outcome, reach } = fate else { return false };
    reach.level >= level || !matches!(read_outcome(outcome), Ok(Ok(_)))
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
pub(crate) fn toward_leader(node: &Follow) -> Vec<NodeName> {
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
    let cut = node.cut_by_all();
    let (position, outcome) = match batch::propose(node, command.clone(), deadline).await {
        Ok(proposed) => proposed,
        Err(ProposeError::NotLeader) => return Fate::NoLeader,
        Err(ProposeError::Refused(reason)) => return Fate::Refused(reason),
        Err(ProposeError::NoQuorum(reason)) => {
            return Fate::Unknown(format!("no quorum: {reason}"));
        }
    };
    let began = Began { at: began, committed: node.host.now().since(began), cut };
    // A command sent again stands where it stood the first time; a refused one changed nothing.
    let (position, level) = match read_outcome(&outcome) {
        Ok(Ok(first)) => (first, level),
        Ok(Err(_)) | Err(_) => (position, Level::Committed),
    };
    let reach = receipt::wait(node, position, level, began, deadline).await;
    Fate::Committed { outcome, reach }
}
