//! Join: what a node may say of itself through another. A node speaks for its own name only, and as
//! its certificate has it; a name whose holder is dead passes to the newcomer, since whoever lost
//! its disk is another instance.

use control::{Command, Envelope};
use model::limits::COMMAND_BYTES_MAX;
use model::{Instance, Member, NodeName, Region, Tiers};
use wire::codec;
use wire::log::Submission;

use crate::Follow;

/// Who hands a submission over, as its certificate has it.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Its name.
    pub name: NodeName,
    /// Where it stands.
    pub region: Region,
    /// What it may serve.
    pub tiers: Tiers,
}

/// Checks a submission that `speaker` hands over, and completes a takeover that only an older node
/// can vouch for.
pub fn vet(node: &Follow, speaker: &Speaker, submission: Submission) -> Result<Submission, String> {
    let entry: Envelope = codec::decode(&submission.command, COMMAND_BYTES_MAX)
        .map_err(|error| format!("a command that does not decode: {error}"))?;
    let Command::Join { member, replaces } = &entry.command else { return Ok(submission) };
    if member.name != speaker.name {
        // Whoever is listed passes on what it has vetted itself.
        return match node.replica.state().member(&speaker.name) {
            Some(_) => Ok(submission),
            None => Err(format!("{} may not speak for {}", speaker.name, member.name)),
        };
    }
    if member.region != speaker.region || member.tiers != speaker.tiers || replaces.is_some() {
        return Err(format!("{} is not what its certificate says", member.name));
    }
    let Some(holder) = dead_holder(node, member) else { return Ok(submission) };
    let command = Command::Join { member: member.clone(), replaces: Some(holder) };
    let command = codec::encode(&Envelope { id: entry.id, command });
    Ok(Submission { command, ..submission })
}

/// The instance that holds the member's name, if it is another one and seems dead.
fn dead_holder(node: &Follow, member: &Member) -> Option<Instance> {
    let holder = node.replica.state().member(&member.name)?.instance;
    let peers = node.members.peers();
    let alive = peers.iter().any(|peer| peer.instance == holder && peer.alive);
    (holder != member.instance && !alive).then_some(holder)
}
