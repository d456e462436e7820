//! The stage: the pretend world of one run, and the processes of its nodes coming and going.
//!
//! A process is the real `serve::World` and the real `follow::Follow` with pretend ports; its disk
//! stays on the stage when it is killed, everything else goes with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::CommandId;
use follow::{Follow, Ports, Replica};
use model::limits::OBJECT_BYTES_MAX;
use serve::{Fills, World};

use crate::dice::Dice;
use crate::disk::Disk;
use crate::executor::{Clock, Owner};
use crate::gossip::{Acquaintance, Gossip};
use crate::history::History;
use crate::host::{self, Host, Journal, Ledger};
use crate::log::{Log, Memory, Place};
use crate::mutants::{Dress, Mutant};
use crate::network::{Caller, Listener, Network};
use crate::origin::{Origin, Road};
use crate::scenario::Scenario;
use crate::store;
use crate::trace::Trace;

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
    /// Time and tasks.
    pub(crate) clock: Clock,
    /// What happens, hashed.
    pub(crate) trace: Arc<Trace>,
    /// What the seed decided.
    pub(crate) scenario: Arc<Scenario>,
    /// What the checkers read.
    pub(crate) history: Arc<History>,
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
        clock: Clock,
        trace: Arc<Trace>,
        scenario: Scenario,
        mutant: Option<Mutant>,
        dice: &mut Dice,
    ) -> Stage {
        let scenario = Arc::new(scenario);
        let history = Arc::<History>::default();
        let network = Network::new(clock.clone(), trace.clone(), scenario.clone(), dice.fork());
        let network = Arc::new(network);
        let memory = match mutant {
            Some(Mutant::Amnesia) => Memory::Amnesia,
            _ => Memory::Sound,
        };
        let log = Log::new(
            clock.clone(),
            trace.clone(),
            network.clone(),
            scenario.clone(),
            memory,
            dice.fork(),
        );
        let gossip = Gossip::new(
            clock.clone(),
            network.clone(),
            log.clone(),
            scenario.clone(),
            dice.fork(),
        );
        let origin = Origin::new(
            clock.clone(),
            trace.clone(),
            scenario.clone(),
            history.clone(),
            dice.fork(),
        );
        let nodes = scenario.members.len();
        Stage {
            clock,
            trace,
            history,
            network,
            log,
            origin: Arc::new(origin),
            gossip,
            mutant,
            disks: (0..nodes).map(|_| Arc::default()).collect(),
            processes: Mutex::new(vec![None; nodes]),
            owners: AtomicU32::new(1),
            dice: Arc::new(Mutex::new(dice.fork())),
            scenario,
        }
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
        let member = &self.scenario.members[node];
        let replica = Arc::<Replica>::default();
        let recovered = self.disks[node].recover(&replica);
        debug_assert!(recovered.is_ok(), "a disk holds what this build wrote: {recovered:?}");
        self.log.attach(node, owner, &replica);
        self.gossip.forget(node);
        let host = Arc::new(Host::boot(self.clock.clone(), owner, self.dice.clone()));
        let caller = Caller { network: self.network.clone(), node };
        let acquaintance = Acquaintance::new(self.gossip.clone(), node, replica.clone());
        let acquaintance = Arc::new(acquaintance);
        let dress = Dress { mutant: self.mutant, node, replica: replica.clone() };
        let ports = Ports {
            host: host.clone(),
            group: Arc::new(Place { log: self.log.clone(), node }),
            peers: dress.follow_peers(Arc::new(caller.clone())),
            members: acquaintance.clone(),
            shelf: dress.shelf(self.disks[node].clone()),
        };
        let follow = Arc::new(Follow::new(member.name.clone(), ports, replica.clone()));
        follow.add_seed(self.scenario.members[0].name.clone());
        let world = Arc::new(World {
            name: member.name.clone(),
            region: member.region.clone(),
            tiers: member.tiers,
            host: host.clone(),
            store: dress.store(Arc::new(store::Memory::new(self.scenario.store_entries_max))),
            peers: dress.serve_peers(Arc::new(caller)),
            origins: Arc::new(Road { origin: self.origin.clone(), node, replica: replica.clone() }),
            members: dress.members(acquaintance),
            ledger: Arc::new(Ledger::of(self.clock.clone(), replica)),
            journal: Arc::new(Journal),
            fills: Fills::new(4 * OBJECT_BYTES_MAX),
        });
        let listener = Listener { owner, world: world.clone(), follow: follow.clone() };
        self.network.listen(node, listener);
        let running = follow.clone();
        self.clock.spawn(owner, async move { follow::run(&running).await });
        self.lock()[node] = Some(Process { owner, world, follow });
        self.note(format_args!("{} starts", member.name));
    }

    /// Kills the process of `node`.
    pub(crate) fn kill(&self, node: usize) {
        let Some(process) = self.lock()[node].take() else { return };
        self.network.hang_up(node);
        self.log.detach(node);
        self.clock.kill(process.owner);
        self.note(format_args!("{} is killed", self.scenario.members[node].name));
        let mut records = self.history.write();
        records.kills += 1;
        for visit in records.visits.iter_mut().filter(|visit| visit.node == node) {
            visit.bereft |= !visit.is_over();
        }
    }

    /// Notes an event.
    pub(crate) fn note(&self, event: std::fmt::Arguments<'_>) {
        self.trace.note(self.clock.now(), event);
    }

    /// An id for a command.
    pub(crate) fn new_id(&self) -> CommandId {
        CommandId(host::roll(&self.dice))
    }
}
