//! Commands: everything that can happen to the replicated facts, and what applying one can say.

use std::fmt;

use model::{
    Distribution, DistributionName, Effect, Host, Instance, Invalidation, LogPosition, Member,
    NodeName, Scope,
};
use serde::{Deserialize, Serialize};

/// Drawn at random by whoever makes a command. Sent twice, it is applied once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u128);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a command is, in 128 bits: tells a repetition from another command under the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// The fingerprint of an encoded entry.
    pub fn of(entry: &[u8]) -> Fingerprint {
        let mut short = [0; 16];
        blake3::Hasher::new().update(entry).finalize_xof().fill(&mut short);
        Fingerprint(u128::from_le_bytes(short))
    }
}

/// A command with its id. One or several of them are an entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Makes repetition harmless.
    pub id: CommandId,
    /// What to do.
    pub command: Command,
}

/// What can happen. New kinds go at the end: the order is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "commands are few and seldom moved, and a box would stand wherever one is made"
)]
pub enum Command {
    /// The first entry of a mesh: its name and its first node.
    Form {
        /// The mesh's name, as certificates carry it.
        mesh: String,
        /// The node that was told to bootstrap.
        founder: Member,
        /// How long nodes may serve without hearing of later purges, in milliseconds.
        lease_ms: u32,
    },
    /// A node enters the roster, or says anew where it stands.
    Join {
        /// The node.
        member: Member,
        /// The dead instance whose name it takes over.
        replaces: Option<Instance>,
    },
    /// A node leaves the roster, if that instance still holds the name.
    Leave {
        /// Its name.
        name: NodeName,
        /// The instance that leaves.
        instance: Instance,
    },
    /// A distribution is made or replaced.
    PutDistribution(Distribution),
    /// A distribution goes, and everything cached for it.
    DeleteDistribution(DistributionName),
    /// Cached content is forgotten.
    Invalidate(Invalidation),
}

/// What applying a command said. Kept with its position, so that a repeated command hears the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Where the command took effect, or was refused, the first time.
    pub position: LogPosition,
    /// Refused: nothing changed.
    pub verdict: Result<(), Refusal>,
    /// Of the entry that had it.
    pub fingerprint: Fingerprint,
}

/// An invalidation, as the log remembers it for those who ask later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The command's id.
    pub id: CommandId,
    /// Where it stands in the log.
    pub position: LogPosition,
    /// Whose content.
    pub distribution: DistributionName,
    /// Gone, or stale.
    pub effect: Effect,
    /// How many scopes it named.
    pub scopes: u32,
    /// The first of them.
    pub first: Scope,
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A second `--bootstrap`.
    #[error("the mesh is already formed: start without --bootstrap and give a --seed of it")]
    AlreadyFormed,
    /// Nothing can happen before the mesh is formed.
    #[error("no mesh is formed here yet: start one node with --bootstrap")]
    NotFormed,
    /// Another data directory holds the name.
    #[error(
        "the name {name} belongs to a node with another data directory (instance {holder}): \
         choose another --name, or stop that node and try again"
    )]
    NameTaken {
        /// The name.
        name: NodeName,
        /// Who holds it.
        holder: Instance,
    },
    /// The node is not in the roster, or not as that instance.
    #[error("no node {0} with that instance in the roster")]
    NoSuchNode(NodeName),
    /// The roster is full.
    #[error("the roster is full: a mesh has at most {0} nodes")]
    RosterFull(u64),
    /// There is no such distribution.
    #[error("no distribution is called {0}")]
    NoSuchDistribution(DistributionName),
    /// One host, one distribution.
    #[error("the alias {host} belongs to the distribution {holder}")]
    AliasTaken {
        /// The host.
        host: Host,
        /// Who has it.
        holder: DistributionName,
    },
    /// A value that does not fit.
    #[error("{key}: {problem}")]
    Misfit {
        /// The key, as a path.
        key: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// The id was used for something else: its outcome says nothing about this command.
    #[error("this idempotency key belongs to another command: use a new one")]
    KeyReused,
    /// The lease is out of bounds.
    #[error("a lease of {given_ms} ms was given, expected {min_ms} to {max_ms}")]
    Lease {
        /// What was given.
        given_ms: u32,
        /// The shortest.
        min_ms: u32,
        /// The longest.
        max_ms: u32,
    },
    /// The mesh has as many distributions as it may.
    #[error("the mesh has {0} distributions, which is the limit")]
    DistributionsFull(u64),
    /// The purge names nothing, or too much.
    #[error("a purge names 1 to {max} paths, {given} were given")]
    Scopes {
        /// How many were given.
        given: u64,
        /// How many may be.
        max: u64,
    },
}
