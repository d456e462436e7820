//! The stage: the pretend world of one run, and the processes of its nodes coming and going.
//!
//! A process is the real `serve::World` and the real `follow::Follow` with pretend ports; its disk
//! stays on the stage when it is killed, everything else goes with it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::{Group, MemoryDisk, autopilot};
use control::CommandId;
use follow::{Follow, Ports};
use membership::Neighbours;
use model::Member;
use model::limits::{OBJECT_BYTES_MAX, SILENCE};
use serve::{Fills, Flights, NoCountries, World};

use crate::dice::Dice;
use crate::disk::Disk;
use crate::executor::Owner;
use crate::gossip;
use crate::host::{self, Host, Journal, Ledger, Stock};
use crate::mutants::{Dress, Mutant};
use crate::network::{Caller, Listener, Network};
use crate::origin::{Origin, Road};
use crate::raft::{self, Log, Station};
use crate::scenario::VOTERS;
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
    /// Its part of the Raft group.
    pub(crate) group: Group,
    /// Whether it founded the mesh.
    pub(crate) founded: Arc<AtomicBool>,
    host: Arc<Host>,
}

impl Process {
    /// Whether it may be shown to viewers: caught up, and with something to serve.
    pub(crate) fn is_ready(&self) -> bool {
        self.follow.is_caught_up() && self.follow.replica.state().distributions().next().is_some()
    }
}

/// How a process stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Halt {
    /// It alone, as after SIGSTOP: when it goes on, its timers are over.
    Stopped,
    /// With its machine, whose timers stand still too.
    Sleeps,
}

/// What of a node outlives its processes.
#[derive(Default)]
struct Disks {
    /// Of the Raft group.
    raft: Mutex<MemoryDisk>,
    /// What the mutant makes of that one when its process dies.
    relapse: Mutex<Option<MemoryDisk>>,
    /// Of a node that follows.
    shelf: Arc<Disk>,
}

impl Disks {
    fn raft(&self) -> MutexGuard<'_, MemoryDisk> {
        self.raft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relapse(&self) -> MutexGuard<'_, Option<MemoryDisk>> {
        self.relapse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pretend world of one run.
pub(crate) struct Stage {
    /// Time, the seed's decisions, and the records.
    pub(crate) setting: Arc<Setting>,
    /// Links.
    pub(crate) network: Arc<Network>,
    /// The server behind the mesh.
    pub(crate) origin: Arc<Origin>,
    mutant: Option<Mutant>,
    disks: Vec<Disks>,
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
        let origin = Origin::new(setting.clone(), dice.fork());
        Arc::new(Stage {
            setting,
            network,
            origin,
            mutant,
            disks: (0..nodes).map(|_| Disks::default()).collect(),
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

    /// Who leads the group: of several who believe so, the one of the latest term.
    pub(crate) fn leader(&self) -> Option<usize> {
        let role = |node: usize| Some(self.process(node)?.group.role());
        let leading = |node: &usize| role(*node).is_some_and(|role| role.leads);
        let nodes = (0..self.disks.len()).filter(leading);
        nodes.max_by_key(|node| role(*node).map(|role| role.term))
    }

    /// Whether the group has as many voters as a mesh of this size wants at first.
    pub(crate) fn has_voters(&self) -> bool {
        let role = |node| Some(self.process(node)?.group.role());
        let role = self.leader().and_then(role);
        role.is_some_and(|role| role.voters.len() >= VOTERS && !role.joint)
    }

    /// Starts a process of `node` on what its disks hold.
    pub(crate) async fn start(&self, node: usize) {
        let owner = Owner(self.owners.fetch_add(1, Ordering::Relaxed));
        let (setting, network) = (self.setting.clone(), self.network.clone());
        let station = Station { setting, network, node, owner, replica: Arc::default() };
        let disk = self.disks[node].raft().clone();
        if self.mutant == Some(Mutant::Amnesia) {
            *self.disks[node].relapse() = Some(disk.copy());
        }
        let group = raft::open(&station, &disk).await;
        let recovered = self.disks[node].shelf.recover(&station.replica);
        debug_assert!(recovered.is_ok(), "a disk holds what this build wrote: {recovered:?}");
        self.run(station, group);
        self.setting.note(format_args!("{} starts", self.setting.name(node)));
    }

    /// The real node, with all that it does beside its stories.
    fn run(&self, station: Station, group: Group) {
        let (node, owner, replica) = (station.node, station.owner, station.replica.clone());
        let gossip = gossip::start(&station);
        let neighbours = Arc::new(Neighbours::new(gossip.clone(), replica));
        let (clock, rate) = (self.setting.clock.clone(), self.setting.scenario.rates[node]);
        let host = Arc::new(Host::boot(clock, owner, rate, self.dice.clone()));
        let process = self.process_of(&station, &host, &group, &neighbours);
        let Process { world, follow, .. } = process.clone();
        self.network.listen(
            node,
            Listener {
                owner,
                world,
                follow: follow.clone(),
                group: group.clone(),
                gossip: gossip.clone(),
                neighbours: neighbours.clone(),
            },
        );
        let clock = &self.setting.clock;
        let looking = neighbours.clone();
        clock.spawn(owner, async move { looking.run().await });
        clock.spawn(owner, gossip::publish(station, gossip, group.clone()));
        let rules = autopilot::Rules::default();
        clock.spawn(owner, raft::look_after(group, neighbours, host, rules));
        clock.spawn(owner, async move { follow::run(&follow).await });
        self.lock()[node] = Some(process);
    }

    /// The real stories on pretend ports.
    fn process_of(
        &self,
        station: &Station,
        host: &Arc<Host>,
        group: &Group,
        neighbours: &Arc<Neighbours>,
    ) -> Process {
        let Station { setting, network, node, owner, replica } = station.clone();
        let Setting { scenario, .. } = &*setting;
        let Member { name, region, tiers, .. } = scenario.members[node].clone();
        let dress = Dress { mutant: self.mutant, node, replica: replica.clone() };
        let caller = Arc::new(Caller { network, node });
        let (founded, stock) = (Arc::new(AtomicBool::new(false)), Arc::new(Stock::default()));
        let ports = Ports {
            host: host.clone(),
            group: Arc::new(Log { group: group.clone(), founded: founded.clone() }),
            peers: dress.follow_peers(caller.clone()),
            members: neighbours.clone(),
            shelf: dress.shelf(self.disks[node].shelf.clone()),
            cache: stock.clone(),
        };
        let follow = Follow::new(name.clone(), ports, replica.clone());
        follow.add_seed(setting.name(0).clone());
        let world = Arc::new(World {
            name,
            region,
            tiers,
            host: host.clone(),
            store: dress.store(Arc::new(store::Memory::new(scenario.store_entries_max))),
            peers: dress.serve_peers(caller),
            origins: Arc::new(Road { origin: self.origin.clone(), node, replica }),
            members: dress.members(neighbours.clone()),
            ledger: Arc::new(Ledger(follow.clone())),
            journal: Arc::new(Journal),
            fills: Fills::new(4 * OBJECT_BYTES_MAX),
            flights: Flights::default(),
            countries: Arc::new(NoCountries),
        });
        stock.connect(&world);
        Process { owner, world, follow, group: group.clone(), founded, host: host.clone() }
    }

    /// Kills the process of `node`.
    pub(crate) fn kill(&self, node: usize) {
        let Some(process) = self.lock()[node].take() else { return };
        self.network.hang_up(node);
        let disks = &self.disks[node];
        let mut raft = disks.raft();
        raft.detach();
        if let Some(older) = disks.relapse().take() {
            *raft = older;
        }
        drop(raft);
        self.setting.clock.kill(process.owner);
        self.setting.note(format_args!("{} is killed", self.setting.name(node)));
        let mut records = self.setting.history.write();
        records.kills += 1;
        for visit in records.visits.iter_mut().filter(|visit| visit.node == node) {
            visit.bereft |= !visit.is_over();
        }
    }

    /// Leaves the process of `node` where it is for `time`; says whether one ran.
    pub(crate) fn halt(self: &Arc<Self>, node: usize, how: Halt, time: Duration) -> bool {
        let Some(Process { owner, host, .. }) = self.process(node) else { return false };
        if self.setting.clock.is_stopped(owner) {
            return false;
        }
        self.setting.note(format_args!("{} {how:?} for {time:?}", self.setting.name(node)));
        self.setting.clock.stop(owner);
        let stage = self.clone();
        self.setting.clock.spawn(Owner::WORLD, async move {
            let silent = time.min(SILENCE);
            stage.setting.clock.sleep(silent).await;
            if time > silent && stage.network.is_run_by(node, owner) {
                stage.network.fall_silent(|way| way.touches(node));
                stage.setting.clock.sleep(time - silent).await;
            }
            match how {
                Halt::Stopped => {}
                Halt::Sleeps => host.wake_up(time),
            }
            stage.setting.clock.resume(owner);
        });
        true
    }

    /// An id for a command.
    pub(crate) fn new_id(&self) -> CommandId {
        CommandId(host::roll(&self.dice))
    }
}
