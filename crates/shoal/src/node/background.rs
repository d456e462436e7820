//! What runs beside the stories: members kept current, failures heard, facts published, voters
//! looked after.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consensus::{Group, autopilot};
use membership::{Gossip, Neighbours};
use serve::{Members, World};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use transport::Links;
use wire::gossip::Facts;

use crate::host::Machine;
use crate::journal::Journal;
use crate::roster::Roster;

/// Facts about this node are said at most this often.
const PUBLISH: Duration = Duration::from_millis(250);
/// Counts are said only this often: every change of a fact costs the whole mesh a little.
const COUNTS_EVERY: u32 = 4;

/// What the tasks need.
pub(super) struct Parts {
    pub(super) links: Links,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) gossip: Arc<Gossip>,
    pub(super) group: Group,
    pub(super) world: Arc<World>,
    pub(super) journal: Arc<Journal>,
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) roster: Arc<Roster>,
    pub(super) gone_after: Duration,
}

/// Starts them all.
pub(super) fn start(tasks: &mut JoinSet<anyhow::Result<()>>, parts: Parts) {
    let Parts { links, neighbours, gossip, group, world, journal, .. } = parts;
    let Parts { http, admin, roster, gone_after, .. } = parts;
    let rules = autopilot::Rules { gone_after, ..autopilot::Rules::default() };
    {
        let group = group.clone();
        tasks.spawn(async move {
            autopilot::run(group, roster, rules, || Machine.now()).await;
            Ok(())
        });
    }
    let doubtful = neighbours.clone();
    tasks.spawn(async move {
        neighbours.run().await;
        Ok(())
    });
    tasks.spawn(async move {
        hear_failures(&links, &doubtful).await;
        Ok(())
    });
    tasks.spawn(async move {
        publish(&gossip, &group, &world, &journal, [http, admin]).await;
        Ok(())
    });
}

/// A connection that breaks is news before gossip has any.
async fn hear_failures(links: &Links, neighbours: &Neighbours) {
    let mut failures = links.failures();
    loop {
        match failures.recv().await {
            Ok(name) => neighbours.doubt(&name),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn publish(
    gossip: &Gossip,
    group: &Group,
    world: &World,
    journal: &Journal,
    [http, admin]: [SocketAddr; 2],
) {
    let mut facts = Facts { http: Some(http), admin: Some(admin), ..Facts::default() };
    for round in 0u32.. {
        let role = group.role();
        facts.applied = world.ledger.state().applied();
        facts.votes = role.voter;
        facts.leads = role.leads.then_some(role.term);
        if round % COUNTS_EVERY == 0 {
            facts.served = journal.served();
            // In powers of two: enough to compare nodes, and quiet.
            facts.load = (world.fills.running() as u64).next_power_of_two();
        }
        gossip.publish(&facts);
        tokio::time::sleep(PUBLISH).await;
    }
}
