//! Invalidate: what a change at the origin does away with goes on every node, as a purge that the
//! origin itself has asked for (RFC 9111 §4.4, RFC 9875).
//!
//! The change has happened whether or not the viewer waits for the answer, so whoever calls this is
//! a task of its own. The answer waits for a while, so that whoever has it finds nothing old
//! through this node: a node that has applied the purge hears nothing older from the others (rule
//! R2). If the log cannot be reached, the answer goes out all the same, and the purge is tried
//! again behind it.

use futures_util::FutureExt;
use model::limits::{CONFIRM, INVALIDATION_WAIT, PURGE_WAIT};
use model::{Distribution, Effect, Invalidation, Level, Scope};

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
    if scopes.is_empty() {
        return Spread::Nothing;
    }
    let distribution = distribution.name.clone();
    let purge = Invalidation { distribution, scopes, effect: Effect::Hard };
    let ledger = &world.ledger;
    match ledger.purge(purge.clone(), Level::Committed, INVALIDATION_WAIT).await {
        Purged::Reached { id, .. } => match ledger.confirm(CONFIRM).await {
            true => Spread::Purged(id),
            false => Spread::Unknown,
        },
        Purged::Refused(_) => Spread::Unknown,
        Purged::Unknown(_) => {
            let again = ledger.purge(purge, Level::Committed, PURGE_WAIT);
            world.host.spawn(again.map(drop).boxed());
            Spread::Unknown
        }
    }
}
