//! What runs beside the stories: members kept current, failures heard, facts published, voters
//! looked after.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consensus::{Group, autopilot};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use membership::{Gossip, Neighbours};
use serve::{Members, World};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use transport::Links;
use wire::gossip::Facts;

use crate::config::Config;
use crate::host::Machine;
use crate::journal::Journal;
use crate::node::ground::Ground;
use crate::node::stories::Stories;
use crate::roster::Roster;

/// Facts about this node are said at most this often.
const PUBLISH: Duration = Duration::from_millis(250);
/// Counts are said only this often: every change of a fact costs the whole mesh a little.
const COUNTS_EVERY: u32 = 4;

/// Starts them all.
pub(super) fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    config: &Config,
    ground: &Ground,
    stories: &Stories,
    doors: [SocketAddr; 2],
) {
    let Stories { gossip, neighbours, follow, world, journal, .. } = stories;
    let rules = autopilot::Rules { gone_after: config.gone_after, ..autopilot::Rules::default() };
    let roster = Arc::new(Roster::new(neighbours.clone()));
    let mut endless = |task: BoxFuture<'static, ()>| {
        tasks.spawn(task.map(Ok));
    };
    endless(autopilot::run(ground.group.clone(), roster, rules, || Machine.now()).boxed());
    let following = follow.clone();
    endless(async move { follow::run(&following).await }.boxed());
    let looking = neighbours.clone();
    endless(async move { looking.run().await }.boxed());
    endless(hear_failures(ground.links.clone(), neighbours.clone()).boxed());
    let (gossip, journal) = (gossip.clone(), journal.clone());
    endless(publish(gossip, ground.group.clone(), world.clone(), journal, doors).boxed());
}

/// A connection that breaks is news before gossip has any.
async fn hear_failures(links: Links, neighbours: Arc<Neighbours>) {
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
    gossip: Arc<Gossip>,
    group: Group,
    world: Arc<World>,
    journal: Arc<Journal>,
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
