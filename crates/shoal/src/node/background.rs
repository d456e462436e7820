//! What runs beside the stories: members kept current, failures heard, facts published, voters
//! looked after.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use consensus::{Group, autopilot};
use follow::Follow;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use membership::{Gossip, Neighbours};
use model::LogPosition;
use serve::{Members, World};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use transport::Links;
use wire::gossip::Facts;
use wire::protocol::Protocols;

use crate::canary::Canary;
use crate::config::Config;
use crate::host::Machine;
use crate::journal::Journal;
use crate::node::ground::Ground;
use crate::node::stories::Stories;
use crate::node::{succession, ways};
use crate::roster::Roster;

/// Facts about this node are said at most this often.
const PUBLISH: Duration = Duration::from_millis(250);
/// Counts are said only this often: every change of a fact costs the whole mesh a little.
const COUNTS_EVERY: u32 = 4;

/// Between two sweeps of the cache.
const SWEEP: Duration = Duration::from_secs(5);

/// Starts them all.
pub(super) fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    config: &Config,
    ground: &Ground,
    stories: &Stories,
    doors: [SocketAddr; 2],
) {
    let Stories { gossip, neighbours, follow, world, canary, .. } = stories;
    let rules = autopilot::Rules { gone_after: config.gone_after, ..autopilot::Rules::default() };
    let roster = Arc::new(Roster::new(neighbours.clone()));
    let mut endless = |task: BoxFuture<'static, ()>| {
        tasks.spawn(task.map(Ok));
    };
    endless(autopilot::run(ground.group.clone(), roster, rules, || Machine.now()).boxed());
    endless(succession::watch(ground.group.clone(), ground.replica.clone()).boxed());
    let following = follow.clone();
    endless(async move { follow::run(&following).await }.boxed());
    let looking = neighbours.clone();
    endless(async move { looking.run().await }.boxed());
    endless(hear_failures(ground.links.clone(), neighbours.clone()).boxed());
    endless(ways::keep(ground.links.clone(), neighbours.clone(), ground.me.clone()).boxed());
    let picked = stories.picked.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(picked) = picked.filter(|_| config.canary) {
        endless(canary.clone().watch(picked, follow.clone()).boxed());
    }
    endless(sweep(world.clone()).boxed());
    let speaker = Speaker {
        gossip: gossip.clone(),
        group: ground.group.clone(),
        follow: follow.clone(),
        world: world.clone(),
        journal: stories.journal.clone(),
        canary: canary.clone(),
        protocols: config.protocols,
    };
    endless(speaker.publish(doors).boxed());
}

/// Returns the bytes of copies that purges have killed, a page at a time, whenever the log moved
/// on.
async fn sweep(world: Arc<World>) {
    let mut swept_at = LogPosition::ZERO;
    loop {
        tokio::time::sleep(SWEEP).await;
        let applied = world.ledger.state().applied();
        if applied == swept_at {
            continue;
        }
        let (mut after, mut copies, mut bytes) = (None, 0, 0);
        loop {
            let swept = serve::sweep(&world, after);
            copies += swept.copies;
            bytes += swept.bytes;
            after = swept.next;
            if after.is_none() {
                break;
            }
            tokio::time::sleep(SWEEP / 1_000).await;
        }
        if copies > 0 {
            tracing::debug!(copies, bytes, "swept what purges had left");
        }
        swept_at = applied;
    }
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

/// Says what this node has to say of itself.
struct Speaker {
    gossip: Arc<Gossip>,
    group: Group,
    follow: Arc<Follow>,
    world: Arc<World>,
    journal: Arc<Journal>,
    canary: Arc<Canary>,
    protocols: Protocols,
}

impl Speaker {
    async fn publish(self, [http, admin]: [SocketAddr; 2]) {
        let protocol = Some(self.protocols.newest());
        let mut facts =
            Facts { http: Some(http), admin: Some(admin), protocol, ..Facts::default() };
        for round in 0u32.. {
            let role = self.group.role();
            facts.applied = self.follow.replica.applied();
            facts.votes = role.voter;
            facts.leads = role.leads.then_some(role.term);
            if round % COUNTS_EVERY == 0 {
                facts.served = self.journal.served();
                // In powers of two: enough to compare nodes, and quiet.
                facts.load = (self.world.fills.running() as u64).next_power_of_two();
                facts.lease = self.follow.lease_age();
                let (samples, violations) = self.canary.counts();
                facts.canary = wire::gossip::Canary { samples, violations };
                let heads = self.gossip.heard();
                let heads = heads.values().map(|heard| heard.facts.applied);
                self.follow.hear_of(heads.max().unwrap_or_default());
            }
            self.gossip.publish(&facts);
            tokio::time::sleep(PUBLISH).await;
        }
    }
}
