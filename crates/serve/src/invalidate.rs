//! Invalidate: what a change at the origin does away with goes on every node, as a purge that the
//! origin itself has asked for (RFC 9111 §4.4, RFC 9875).
//!
//! A task of its own, since the change has happened whether or not the viewer waits for the answer.
//! The answer waits for a while, so that whoever has it finds nothing old through this node: a node
//! that has applied the purge hears nothing older from the others (rule R2). If the log cannot be
//! reached, the answer goes out all the same, and the purge is tried again behind it.

use futures_util::FutureExt;
use model::limits::{CONFIRM, INVALIDATION_WAIT, PURGE_WAIT};
use model::{Distribution, Effect, Invalidation, Level, Scope, UnsafeMethods};

use crate::purge::Purged;
use crate::world::World;

/// What became of an invalidation.
#[derive(Clone, Debug)]
pub(crate) enum Spread {
    /// There was none to make.
    Nothing,
    /// This purge is in the log, and applied here.
    Purged(String),
    /// Nobody knows yet.
    Unknown,
}

/// Does away with `scopes`, here before this returns, and elsewhere soon after.
pub(crate) async fn everywhere(
    world: &World,
    distribution: &Distribution,
    scopes: Vec<Scope>,
) -> Spread {
    let wanted = match distribution.purging.unsafe_methods {
        UnsafeMethods::Invalidate => !scopes.is_empty(),
        UnsafeMethods::Ignore => false,
    };
    if !wanted {
        return Spread::Nothing;
    }
    let distribution = distribution.name.clone();
    let purge = Invalidation { distribution, scopes, effect: Effect::Hard };
    let (host, ledger) = (world.host.clone(), world.ledger.clone());
    let task = async move {
        match ledger.purge(purge.clone(), Level::Committed, INVALIDATION_WAIT).await {
            Purged::Reached { id, .. } => match ledger.confirm(CONFIRM).await {
                true => Spread::Purged(id),
                false => Spread::Unknown,
            },
            Purged::Refused(_) => Spread::Unknown,
            Purged::Unknown(_) => {
                let again = ledger.purge(purge, Level::Committed, PURGE_WAIT);
                host.spawn(again.map(drop).boxed());
                Spread::Unknown
            }
        }
    };
    let task = task.shared();
    world.host.spawn(task.clone().map(drop).boxed());
    task.await
}
