//! The stage: the pretend world of one run, and the processes of its nodes coming and going.
//!
//! A process is the real `serve::World` and the real `follow::Follow` with pretend ports; its disk
//! stays on the stage when it is killed, everything else goes with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::CommandId;
use follow::{Follow, Ports, Replica};
use model::Member;
use model::limits::OBJECT_BYTES_MAX;
use serve::{Fills, World};

use crate::dice::Dice;
use crate::disk::Disk;
use crate::executor::Owner;
use crate::gossip::{Acquaintance, Gossip};
use crate::host::{self, Host, Journal, Ledger};
use crate::log::{Log, Place};
use crate::mutants::{Dress, Mutant};
use crate::network::{Caller, Listener, Network};
use crate::origin::{Origin, Road};
use crate::setting::Setting;
use crate::store;

/// A running process of a node.
#[derive(Clone)]
pub(crate) struct Process {
    /// Its tasks.
    pub(crate) owner: Owner,
    /// What answers viewers.
    pub(crate) world: Arc<World>,
    /// What takes commands.
    pub(crate) follow: Arc<Follow>,
}

impl Process {
    /// Whether it may be shown to viewers: caught up, and with something to serve.
    pub(crate) fn is_ready(&self) -> bool {
        self.follow.is_caught_up() && self.follow.replica.state().distributions().next().is_some()
    }
}

/// The pretend world of one run.
pub(crate) struct Stage {
    /// Time, the seed's decisions, and the records.
    pub(crate) setting: Arc<Setting>,
    /// Links.
    pub(crate) network: Arc<Network>,
    /// The group of voters.
    pub(crate) log: Arc<Log>,
    /// The server behind the mesh.
    pub(crate) origin: Arc<Origin>,
    gossip: Arc<Gossip>,
    mutant: Option<Mutant>,
    disks: Vec<Arc<Disk>>,
    processes: Mutex<Vec<Option<Process>>>,
    owners: AtomicU32,
    dice: Arc<Mutex<Dice>>,
}

impl Stage {
    /// A stage on which nobody runs yet.
    pub(crate) fn set(
        setting: Arc<Setting>,
        mutant: Option<Mutant>,
        dice: &mut Dice,
    ) -> Arc<Stage> {
        let nodes = setting.scenario.members.len();
        let network = Network::new(setting.clone(), dice.fork());
        let memory = Mutant::memory(mutant);
        let log = Log::new(setting.clone(), network.clone(), memory, dice.fork());
        let gossip = Gossip::new(setting.clone(), network.clone(), log.clone(), dice.fork());
        let origin = Origin::new(setting.clone(), dice.fork());
        Arc::new(Stage {
            setting,
            network,
            log,
            origin,
            gossip,
            mutant,
            disks: (0..nodes).map(|_| Arc::default()).collect(),
            processes: Mutex::new(vec![None; nodes]),
            owners: AtomicU32::new(1),
            dice: Arc::new(Mutex::new(dice.fork())),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process of `node`, if one runs.
    pub(crate) fn process(&self, node: usize) -> Option<Process> {
        self.lock()[node].clone()
    }

    /// Nodes that run and are ready, of those given.
    pub(crate) fn ready(&self, nodes: impl Iterator<Item = usize>) -> Vec<usize> {
        let ready = |node: &usize| self.process(*node).is_some_and(|process| process.is_ready());
        nodes.filter(ready).collect()
    }

    /// Starts a process of `node` on what its disk holds.
    pub(crate) fn start(&self, node: usize) {
        let owner = Owner(self.owners.fetch_add(1, Ordering::Relaxed));
        let replica = Arc::<Replica>::default();
        let recovered = self.disks[node].recover(&replica);
        debug_assert!(recovered.is_ok(), "a disk holds what this build wrote: {recovered:?}");
        self.log.attach(node, owner, &replica);
        self.gossip.forget(node);
        let Process { owner, world, follow } = self.process_of(node, owner, replica);
        let listener = Listener { owner, world: world.clone(), follow: follow.clone() };
        self.network.listen(node, listener);
        let running = follow.clone();
        self.setting.clock.spawn(owner, async move { follow::run(&running).await });
        self.lock()[node] = Some(Process { owner, world, follow });
        self.setting.note(format_args!("{} starts", self.setting.name(node)));
    }

    /// The real node on pretend ports.
    fn process_of(&self, node: usize, owner: Owner, replica: Arc<Replica>) -> Process {
        let Setting { clock, scenario, .. } = &*self.setting;
        let Member { name, region, tiers, .. } = scenario.members[node].clone();
        let dress = Dress { mutant: self.mutant, node, replica: replica.clone() };
        let host = Arc::new(Host::boot(clock.clone(), owner, self.dice.clone()));
        let caller = Arc::new(Caller { network: self.network.clone(), node });
        let members = Acquaintance::new(self.gossip.clone(), node, replica.clone());
        let members = Arc::new(members);
        let ports = Ports {
            host: host.clone(),
            group: Arc::new(Place { log: self.log.clone(), node }),
            peers: dress.follow_peers(caller.clone()),
            members: members.clone(),
            shelf: dress.shelf(self.disks[node].clone()),
        };
        let follow = Follow::new(name.clone(), ports, replica.clone());
        follow.add_seed(self.setting.name(0).clone());
        let world = World {
            name,
            region,
            tiers,
            host,
            store: dress.store(Arc::new(store::Memory::new(scenario.store_entries_max))),
            peers: dress.serve_peers(caller),
            origins: Arc::new(Road { origin: self.origin.clone(), node, replica: replica.clone() }),
            members: dress.members(members),
            ledger: Arc::new(Ledger::of(clock.clone(), replica)),
            journal: Arc::new(Journal),
            fills: Fills::new(4 * OBJECT_BYTES_MAX),
        };
        Process { owner, world: Arc::new(world), follow: Arc::new(follow) }
    }

    /// Kills the process of `node`.
    pub(crate) fn kill(&self, node: usize) {
        let Some(process) = self.lock()[node].take() else { return };
        self.network.hang_up(node);
        self.log.detach(node);
        self.setting.clock.kill(process.owner);
        self.setting.note(format_args!("{} is killed", self.setting.name(node)));
        let mut records = self.setting.history.write();
        records.kills += 1;
        for visit in records.visits.iter_mut().filter(|visit| visit.node == node) {
            visit.bereft |= !visit.is_over();
        }
    }

    /// An id for a command.
    pub(crate) fn new_id(&self) -> CommandId {
        CommandId(host::roll(&self.dice))
    }
}
