//! Join: what a node may say of itself through another. A node speaks for its own name only; a name
//! whose holder is dead passes to the newcomer, since whoever lost its disk is another instance.

use control::{Command, Envelope};
use model::NodeName;
use model::limits::COMMAND_BYTES_MAX;
use wire::codec;
use wire::log::Submission;

use crate::Follow;

/// Checks a submission that `from` hands over, and completes a takeover that only an older node can
/// vouch for.
pub fn vet(node: &Follow, from: &NodeName, submission: Submission) -> Result<Submission, String> {
    let entry: Envelope = codec::decode(&submission.command, COMMAND_BYTES_MAX)
        .map_err(|error| format!("a command that does not decode: {error}"))?;
    let Command::Join { member, replaces } = &entry.command else { return Ok(submission) };
    let own = member.name == *from;
    match replaces {
        // Passed on by a node that vetted it.
        Some(_) if !own => return Ok(submission),
        None if !own && node.replica.state().member(from).is_none() => {
            return Err(format!("{from} may not speak for {}", member.name));
        }
        Some(_) | None => {}
    }
    let state = node.replica.state();
    let holder = state.member(&member.name).filter(|holder| holder.instance != member.instance);
    let Some(holder) = holder else { return Ok(submission) };
    let peers = node.members.peers();
    let alive = peers.iter().any(|peer| peer.instance == holder.instance && peer.alive);
    if alive || !own {
        return Ok(submission);
    }
    let replaces = Some(holder.instance);
    let command = Command::Join { member: member.clone(), replaces };
    let command = codec::encode(&Envelope { id: entry.id, command });
    Ok(Submission { command, ..submission })
}
