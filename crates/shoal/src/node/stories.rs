//! The two stories of a node, with their ports: the life of a request and the life of a command.

use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use follow::{Follow, Ports};
use membership::{Gossip, Neighbours};
use serve::{Changes, Countries, Entry, Fills, Flights, World};
use storage::Memory;

use crate::canary::{Canary, Samples};
use crate::config::Config;
use crate::host::Machine;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::mesh::commands::Commands;
use crate::mesh::exchange::Exchange;
use crate::mesh::gossip::Letters;
use crate::mesh::raft::Log;
use crate::node::ground::Ground;
use crate::node::join;
use crate::stock::Stock;

/// The part of the object memory that bodies in flight may take beside it.
const FILLS_SHARE: u64 = 4;
/// Locks of the memory store, at most.
const SHARDS: usize = 16;

/// What answers viewers, peers and operators.
pub(crate) struct Stories {
    /// Who is alive, by hearsay.
    pub(crate) gossip: Arc<Gossip>,
    /// Who belongs and is alive.
    pub(crate) neighbours: Arc<Neighbours>,
    /// The life of a command.
    pub(crate) follow: Arc<Follow>,
    /// The life of a request.
    pub(crate) world: Arc<World>,
    /// The objects.
    pub(crate) store: Arc<Memory<Entry>>,
    /// Counters.
    pub(crate) metrics: Arc<admin::Metrics>,
    /// Accounts.
    pub(crate) journal: Arc<Journal>,
    /// Looks at hits again.
    pub(crate) canary: Arc<Canary>,
    /// The hits it has picked.
    pub(crate) picked: Mutex<Option<Samples>>,
}

impl Stories {
    /// Gives the stories their ports, and peers somebody to talk to.
    pub(crate) async fn begin(
        config: &Config,
        ground: &Ground,
        countries: Arc<dyn Countries>,
    ) -> anyhow::Result<Stories> {
        let gossip = Arc::new(gossip(config, ground).await?);
        let neighbours = Arc::new(Neighbours::new(gossip.clone(), ground.replica.clone()));
        ground.directory.connect(neighbours.clone());
        let stock = Arc::new(Stock::default());
        let follow = follow(ground, &neighbours, stock.clone());
        let metrics = Arc::new(admin::Metrics::new());
        let (canary, picked) = Canary::new();
        let canary = Arc::new(canary);
        let journal = Arc::new(Journal::new(metrics.clone(), canary.clone()));
        let store = Arc::new(Memory::new(config.memory_bytes, SHARDS));
        let world = Arc::new(World {
            name: ground.me.name.clone(),
            region: ground.me.region.clone(),
            tiers: ground.me.tiers,
            host: Arc::new(Machine),
            store: store.clone(),
            peers: Arc::new(Exchange { links: ground.links.clone() }),
            origins: Arc::new(gateway::Outbound::new()),
            members: neighbours.clone(),
            ledger: Arc::new(Ledger(follow.clone())),
            journal: journal.clone(),
            fills: Fills::new(config.memory_bytes / FILLS_SHARE),
            changes: Changes::default(),
            flights: Flights::default(),
            countries,
            encoders: Some(Arc::new(encoding::Codecs)),
        });
        stock.connect(&world);
        ground.switchboard.connect_follow(follow.clone());
        ground.switchboard.connect_gossip(gossip.clone());
        ground.switchboard.connect_world(world.clone());
        let picked = Mutex::new(Some(picked));
        Ok(Stories { gossip, neighbours, follow, world, store, metrics, journal, canary, picked })
    }
}

async fn gossip(config: &Config, ground: &Ground) -> anyhow::Result<Gossip> {
    let generation = Machine.wall().duration_since(UNIX_EPOCH)?.as_millis();
    let options = membership::Options {
        name: ground.me.name.clone(),
        instance: ground.me.instance,
        generation: u64::try_from(generation)?,
        address: ground.me.address,
        seeds: join::resolve(&config.seeds).await,
        interval: Gossip::INTERVAL,
    };
    let letters = Arc::new(Letters(ground.links.clone()));
    Ok(Gossip::start(options, letters, ground.replica.clone()))
}

fn follow(ground: &Ground, neighbours: &Arc<Neighbours>, stock: Arc<Stock>) -> Arc<Follow> {
    let ports = Ports {
        host: Arc::new(Machine),
        group: Arc::new(Log { group: ground.group.clone(), founded: ground.founded.clone() }),
        peers: Arc::new(Commands { links: ground.links.clone() }),
        members: neighbours.clone(),
        shelf: ground.shelf.clone(),
        cache: stock,
    };
    Follow::new(ground.me.name.clone(), ports, ground.replica.clone())
}
