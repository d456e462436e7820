//! Mint: the leader's own lease, from which all others come (R6).
//!
//! A round to a quorum begins every twentieth of a lease, whether or not those before it were
//! answered: a round that is lost delays nothing, and a token is minted one trip to a quorum old.
//! Before the mesh is formed nothing is minted, so all tokens of a mesh live equally long (R19).

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::Follow;
use crate::beside::beside;

/// Rounds that begin in the length of a lease, and that may be under way at once.
const ROUNDS_PER_LEASE: u32 = 20;
/// How often a voter looks whether it leads.
const LOOK: Duration = Duration::from_millis(50);

/// While this node leads, it mints.
pub(crate) async fn preside(node: &Follow) {
    let mut rounds: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    loop {
        let role = node.group.role();
        if !node.fence.preside(role, node.host.now()) || node.has_retired() {
            rounds.clear();
            node.host.sleep(LOOK).await;
            continue;
        }
        let lease = node.replica.state().lease();
        if rounds.len() < ROUNDS_PER_LEASE as usize {
            rounds.push(round(node, role.term, lease).boxed());
        }
        beside(node.host.sleep(lease / ROUNDS_PER_LEASE), &mut rounds).await;
        node.look_for_fenced();
    }
}

/// One round to a quorum: the lease counts from when it began.
async fn round(node: &Follow, term: u64, patience: Duration) {
    let began = node.host.now();
    if let Ok(position) = node.group.confirm(patience).await {
        let state = node.replica.state();
        if state.mesh().is_some() && !node.has_retired() {
            node.fence.mint(term, position, began, state.lease());
        }
    }
}
