//! The stage: the pretend world of one run, and the processes of its nodes coming and going.
//!
//! A process is the real `serve::World` and the real `follow::Follow` with pretend ports; its disks
//! stay on the stage when it is killed, everything else goes with it. What stands under the two
//! stories is real or pretended, by the level of the run.

mod disks;
mod losses;
mod under;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::{Group, autopilot};
use control::CommandId;
use follow::{Follow, Ports, Replica, Role, Shelf};
use membership::Neighbours;
use model::limits::{OBJECT_BYTES_MAX, SILENCE};
use model::{LogPosition, Member};
use serve::{Changes, Fills, Flights, NoCountries, World};

use crate::content::DISTRIBUTIONS;
use crate::dice::Dice;
use crate::executor::{Clock, Owner};
use crate::gossip;
use crate::host::{self, Counts, Host, Journal, Machine, Stock};
use crate::mutants::{Dress, Mutant, without_map};
use crate::network::{Caller, Ground, Listener, Network};
use crate::origin::{Origin, Road};
use crate::raft::{self, Log, Station};
use crate::scenario::{Caches, Level, Shelves, VOTERS};
use crate::setting::Setting;
use crate::store::{self, Watched};

use disks::Disks;
use under::{Pretence, Under};

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
    pub(crate) group: Arc<dyn follow::Group>,
    /// That part, if it is real, and whether this process founded the mesh.
    pub(crate) real: Option<(Group, Arc<AtomicBool>)>,
    host: Arc<Host>,
}

impl Process {
    /// Whether it may be shown to viewers: caught up, and with something to serve.
    pub(crate) fn is_ready(&self) -> bool {
        self.follow.is_caught_up() && self.has_something_to_serve()
    }

    /// Whether it knows all distributions.
    pub(crate) fn has_something_to_serve(&self) -> bool {
        self.follow.replica.state().distributions().count() == DISTRIBUTIONS.len()
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
    pretence: Option<Pretence>,
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
        let origin = Origin::new(setting.clone(), mutant, dice.fork());
        let entries_max = setting.scenario.store_entries_max;
        let pretence = match setting.scenario.level {
            Level::L0 => Some(Pretence::begin(&setting, &network, dice)),
            Level::L1 => None,
        };
        Arc::new(Stage {
            setting,
            network,
            origin,
            mutant,
            pretence,
            disks: (0..nodes).map(|_| Disks::new(entries_max)).collect(),
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

    /// Nodes that hold no lease now, or do not run.
    pub(crate) fn fenced(&self) -> Vec<usize> {
        let holds = |process: Process| {
            let now = serve::Host::now(&*process.host);
            process.follow.valid_until().is_some_and(|until| until >= now)
        };
        (0..self.disks.len()).filter(|node| !self.process(*node).is_some_and(holds)).collect()
    }

    /// Nobody errs about anybody any more.
    pub(crate) fn settle(&self) {
        if let Some(pretence) = &self.pretence {
            pretence.settle();
        }
    }

    /// Who leads the group: of several who believe so, the one of the latest term.
    pub(crate) fn leader(&self) -> Option<usize> {
        let role = |node: usize| Some(self.process(node)?.group.role());
        let leads = |node: &usize| role(*node).is_some_and(|Role { leads, .. }| leads);
        let nodes = (0..self.disks.len()).filter(leads);
        nodes.max_by_key(|node| role(*node).map(|role| role.term))
    }

    /// Whether the group has as many voters as a mesh of this size wants at first.
    pub(crate) fn has_voters(&self) -> bool {
        let process = self.leader().and_then(|leader| self.process(leader));
        process.is_some_and(|process| match process.real {
            Some((group, _)) => group.role().voters.len() >= VOTERS && !group.role().joint,
            None => true,
        })
    }

    /// Starts a process of `node` on what its disks hold.
    pub(crate) async fn start(&self, node: usize) {
        let owner = Owner(self.owners.fetch_add(1, Ordering::Relaxed));
        let (setting, network) = (self.setting.clone(), self.network.clone());
        let station = Station { setting, network, node, owner, replica: Arc::default() };
        let under = match &self.pretence {
            Some(pretence) => pretence.open(&station),
            None => self.open(&station).await,
        };
        let recovered = self.disks[node].shelf.recover(&station.replica);
        debug_assert!(recovered.is_ok(), "a disk holds what this build wrote: {recovered:?}");
        self.run(station, under);
        self.setting.note(format_args!("{} starts", self.setting.name(node)));
    }

    /// The real Raft group and gossip.
    async fn open(&self, station: &Station) -> Under {
        let disks = &self.disks[station.node];
        let disk = disks.raft().clone();
        if self.mutant == Some(Mutant::Amnesia) {
            *disks.relapse() = Some(disk.copy());
        }
        let group = raft::open(station, &disk).await;
        let gossip = gossip::start(station);
        let neighbours = Arc::new(Neighbours::new(gossip.clone(), station.replica.clone()));
        let clock = &self.setting.clock;
        let looking = neighbours.clone();
        clock.spawn(station.owner, async move { looking.run().await });
        clock.spawn(station.owner, gossip::publish(station.clone(), gossip.clone(), group.clone()));
        let founded = Arc::new(AtomicBool::new(false));
        Under {
            group: Arc::new(Log { group: group.clone(), founded: founded.clone() }),
            real: Some((group.clone(), founded)),
            placing: neighbours.clone(),
            following: neighbours.clone(),
            ground: Some(Ground { group, gossip, neighbours }),
        }
    }

    /// The node, with all that it does beside its stories.
    fn run(&self, station: Station, under: Under) {
        let (node, owner, replica) = (station.node, station.owner, station.replica.clone());
        let Setting { clock, scenario, .. } = &*self.setting;
        let up_for = Duration::from_secs(60 + 1_000 * node as u64);
        let counts = match self.mutant {
            Some(Mutant::StoppedClock) => Counts::Awake,
            Some(_) | None => Counts::Always,
        };
        let machine = Machine { rate: scenario.rates[node], up_for, counts };
        let host = Arc::new(Host::boot(clock.clone(), owner, machine, self.dice.clone()));
        let process = self.process_of(&station, &host, &under);
        let Process { world, follow, .. } = process.clone();
        let (members, ground) = (under.placing.clone(), under.ground.clone());
        let listener = Listener {
            owner,
            world: world.clone(),
            follow: follow.clone(),
            mutant: self.mutant,
            members,
            ground,
        };
        self.network.listen(node, listener);
        if let Some((group, _)) = under.real {
            let rules = autopilot::Rules::default();
            clock.spawn(owner, raft::look_after(group, under.following, host, rules));
        }
        clock.spawn(owner, async move { follow::run(&follow).await });
        clock.spawn(owner, sweep(clock.clone(), world, replica));
        self.lock()[node] = Some(process);
    }

    /// The real stories on pretend ports.
    fn process_of(&self, station: &Station, host: &Arc<Host>, under: &Under) -> Process {
        let Station { setting, network, node, owner, replica } = station.clone();
        let Setting { scenario, .. } = &*setting;
        let Member { name, region, tiers, .. } = scenario.members[node].clone();
        let left = *self.disks[node].last_lease();
        let last_lease = left.map(|left| serve::Host::now(&**host).plus(left));
        let dress = Dress { mutant: self.mutant, node, replica: replica.clone(), last_lease };
        let caller = Arc::new(Caller { network, node });
        let stock = Arc::new(Stock::default());
        let ports = Ports {
            host: host.clone(),
            group: dress.group(under.group.clone()),
            peers: dress.follow_peers(caller.clone()),
            members: under.following.clone(),
            shelf: dress.shelf(self.disks[node].shelf.clone()),
            cache: dress.cache(stock.clone()),
        };
        let follow = Follow::new(name.clone(), ports, replica.clone());
        follow.add_seed(setting.name(0).clone());
        let kept = match scenario.caches {
            Caches::Warm => self.disks[node].cache.clone(),
            Caches::Cold => Arc::new(store::Memory::new(scenario.store_entries_max)),
        };
        let world = Arc::new(World {
            name,
            region,
            tiers,
            host: host.clone(),
            store: dress.store(Arc::new(Watched { inner: kept, node, setting: setting.clone() })),
            peers: dress.serve_peers(caller),
            origins: dress.origins(Arc::new(Road { origin: self.origin.clone(), node, replica })),
            members: dress.members(under.placing.clone()),
            ledger: dress.ledger(&follow),
            journal: Arc::new(Journal),
            fills: Fills::new(4 * OBJECT_BYTES_MAX),
            changes: Changes::default(),
            flights: Flights::default(),
            countries: Arc::new(NoCountries),
            encoders: None,
        });
        stock.connect(&world);
        let (group, real) = (under.group.clone(), under.real.clone());
        Process { owner, world, follow, group, real, host: host.clone() }
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
        if let Some(pretence) = &self.pretence {
            pretence.leave(node);
        }
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        match self.setting.scenario.shelves {
            Shelves::Torn if dice.chance(60) => disks.shelf.tear(dice.within(1..=3)),
            Shelves::Torn | Shelves::Whole => {}
        }
        drop(dice);
        disks.cache.forget_proofs();
        let now = serve::Host::now(&*process.host);
        *disks.last_lease() = process.follow.valid_until().map(|until| until.since(now));
        if self.mutant == Some(Mutant::TornSnapshot) {
            let position = disks.shelf.last();
            let snapshot = without_map(&self.setting.history.write(), position);
            disks.shelf.replace(position, snapshot);
        }
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

/// Between two sweeps of a cache.
const SWEEP: Duration = Duration::from_secs(5);

/// Returns the bytes of copies that purges have killed, as the real node does.
async fn sweep(clock: Clock, world: Arc<World>, replica: Arc<Replica>) {
    let mut swept_at = LogPosition::ZERO;
    loop {
        clock.sleep(SWEEP).await;
        let applied = replica.applied();
        let mut after = None;
        while applied != swept_at {
            after = serve::sweep(&world, after).next;
            if after.is_none() {
                swept_at = applied;
            }
        }
    }
}
