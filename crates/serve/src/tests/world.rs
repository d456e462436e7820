//! A pretend mesh: nodes over stand-in ports, one clock that the test moves, one thread that polls.
//!
//! A task is polled only after it was woken, so that a forgotten wake-up shows as a stuck test.
//! Every node has a ledger of its own, so that one may be behind another.
//! Nothing here sleeps, opens a socket or reads the real clock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use control::{Command, CommandId, Envelope, Fingerprint, State};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use model::distribution::RequestLimits;
use model::{
    Attributes, CacheBehavior, CacheKey, Distribution, Host, Instance, Invalidation, LogPosition,
    Member, NodeName, Origin, Path, Purging, Tier,
};
use placement::View;
use wire::exchange::{Answer, Question};

use super::origin::Script;
use super::ports::{Capitals, Desk, Facts, Notes, Roster, Shelf};
use super::viewer::{Ask, Viewer};
use super::wires::Wires;
use crate::{Account, Changes, Entry, Fills, Flights, Mesh, NoCountries, World};

mod events;

const DISTRIBUTION: &str = "shop";
const ALIAS: &str = "shop.example";
const ROUNDS_MAX: usize = 100_000;

/// Some nodes, an origin, and time.
pub(super) struct Lab {
    desk: Arc<Desk>,
    tasks: RefCell<Vec<Task>>,
    nodes: BTreeMap<String, Node>,
    view: Arc<View>,
    log: RefCell<Vec<Envelope>>,
    cut: RefCell<u64>,
    /// What the origin answers, and what it was asked.
    pub(super) origin: Arc<Script>,
    /// What lies between the nodes.
    pub(super) wires: Arc<Wires>,
}

struct Node {
    world: Arc<World>,
    facts: Arc<Facts>,
    roster: Arc<Roster>,
    notes: Arc<Notes>,
}

impl Lab {
    /// An edge and a regional in one place, a shield in another.
    pub(super) fn three_tiers() -> Lab {
        Lab::of(&["e1 eu edge", "r1 eu regional", "s1 us shield"])
    }

    /// One node that is the whole mesh.
    pub(super) fn alone() -> Lab {
        Lab::of(&["n1 eu edge,regional,shield"])
    }

    /// Nodes given as `name region tiers`.
    pub(super) fn of(nodes: &[&str]) -> Lab {
        Lab::with_room(nodes, 1 << 30)
    }

    /// The same, each with so many bytes of room for bodies in flight.
    pub(super) fn with_room(nodes: &[&str], retained_bytes_max: u64) -> Lab {
        let members: Vec<Member> = nodes.iter().map(|line| member(line)).collect();
        let mut lab = Lab {
            desk: Arc::default(),
            tasks: RefCell::default(),
            nodes: BTreeMap::new(),
            view: Arc::new(View::build(LogPosition::ZERO, members.clone())),
            log: RefCell::default(),
            cut: RefCell::default(),
            origin: Arc::default(),
            wires: Arc::default(),
        };
        for member in &members {
            let node = lab.node(member, retained_bytes_max);
            lab.wires.attach(node.world.clone());
            lab.nodes.insert(member.name.to_string(), node);
        }
        let founder = members[0].clone();
        lab.log(Command::Form { mesh: "lab".into(), founder, lease_ms: 10_000 });
        lab.log(Command::PutDistribution(distribution(Purging::default())));
        lab.catch_up_all();
        lab
    }

    fn node(&self, member: &Member, retained_bytes_max: u64) -> Node {
        let facts = Arc::new(Facts::new(&self.desk));
        let alive = self.view.members().iter().map(|_| true).collect();
        let mesh = Mesh { view: self.view.clone(), alive };
        let roster =
            Arc::new(Roster { mesh: ArcSwap::from_pointee(mesh), doubted: Mutex::default() });
        let notes = Arc::new(Notes::default());
        let world = World {
            name: member.name.clone(),
            region: member.region.clone(),
            tiers: member.tiers,
            host: self.desk.clone(),
            store: Arc::new(Shelf::default()),
            peers: self.wires.end_at(&member.name),
            origins: self.origin.reached_from(&member.name),
            members: roster.clone(),
            ledger: facts.clone(),
            journal: notes.clone(),
            fills: Fills::new(retained_bytes_max),
            changes: Changes::default(),
            flights: Flights::default(),
            countries: Arc::new(NoCountries),
            encoders: Some(Arc::new(Capitals)),
        };
        Node { world: Arc::new(world), facts, roster, notes }
    }

    /// The world of the node called `name`.
    pub(super) fn world(&self, name: &str) -> &Arc<World> {
        &self.nodes[name].world
    }

    /// What the node called `name` wrote down.
    pub(super) fn accounts(&self, name: &str) -> Vec<Account> {
        self.nodes[name].notes.0.lock().unwrap().clone()
    }

    /// What viewers purged through the node called `name`.
    pub(super) fn purged(&self, name: &str) -> Vec<Invalidation> {
        self.nodes[name].facts.purged.lock().unwrap().clone()
    }

    /// Whom the node called `name` doubted.
    pub(super) fn doubted(&self, name: &str) -> Vec<String> {
        let doubted = self.nodes[name].roster.doubted.lock().unwrap();
        doubted.iter().map(NodeName::to_string).collect()
    }

    /// Gossip everywhere says that the node called `name` is dead.
    pub(super) fn bury(&self, name: &str) {
        let name = name.parse().unwrap();
        self.nodes.values().for_each(|node| node.roster.leave_out(&name));
    }

    /// The owner of `target` at `tier` for the region `eu`, or its `nth` successor.
    pub(super) fn owner(&self, tier: Tier, target: &str, nth: usize) -> String {
        let key = key_of(target);
        let owners = self.view.owners(tier, &"eu".parse().unwrap(), &key);
        self.view.member(owners[nth]).name.to_string()
    }

    /// The log position that the stored copy of `target` reflects, whatever the gate says of it.
    pub(super) fn stored_as_of(&self, name: &str, target: &str) -> Option<LogPosition> {
        let entry = self.world(name).store.find(&key_of(target));
        entry.and_then(|entry| match entry.as_ref() {
            Entry::Object(copy) | Entry::Manifest(copy) => Some(copy.object.head.as_of),
            Entry::Slice(_) | Entry::Encoded(_) | Entry::Varies(_) => None,
        })
    }

    /// The distribution changes, and every node hears of it.
    pub(super) fn configure(&self, change: impl FnOnce(&mut Distribution)) {
        let mut shop = distribution(Purging::default());
        change(&mut shop);
        self.log(Command::PutDistribution(shop));
        self.catch_up_all();
    }

    /// Whether any node holds anything of `target`.
    pub(super) fn is_stored_anywhere(&self, target: &str) -> bool {
        let key = key_of(target);
        self.nodes.values().any(|node| node.world.store.find(&key).is_some())
    }

    /// Appends to the log; nobody applies it yet.
    pub(super) fn log(&self, command: Command) -> LogPosition {
        let mut log = self.log.borrow_mut();
        let id = CommandId(log.len() as u128);
        log.push(Envelope { id, command });
        LogPosition::new(0, log.len() as u64)
    }

    /// The node called `name` applies what it has not applied.
    pub(super) fn catch_up(&self, name: &str) {
        let facts = &self.nodes[name].facts;
        let mut state = State::clone(&facts.state.load());
        let log = self.log.borrow();
        let behind = usize::try_from(state.applied().index()).unwrap();
        for (at, envelope) in log.iter().enumerate().skip(behind) {
            let entry = [(envelope.clone(), Fingerprint::default())];
            let outcomes = state.apply(LogPosition::new(0, at as u64 + 1), &entry);
            assert!(outcomes.iter().all(|outcome| outcome.verdict == Ok(())));
        }
        if state.applied() > facts.state.load().applied() {
            facts.apply(state);
            *self.cut.borrow_mut() += crate::stop_old(self.world(name));
        }
    }

    /// Lets `seconds` go by.
    pub(super) fn wait(&self, seconds: u64) {
        *self.desk.now.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// Sends `ask` to the node called `name`; nothing moves yet.
    pub(super) fn send(&self, name: &str, ask: Ask) -> Viewer {
        let (viewer, task) = ask.sent_to(self.world(name).clone());
        self.spawn(task);
        viewer
    }

    /// Sends `ask`, and lets everything move until it is stuck.
    pub(super) fn ask(&self, name: &str, ask: Ask) -> Viewer {
        let viewer = self.send(name, ask);
        self.run();
        viewer
    }

    /// GETs `target`, and lets everything move until it is stuck.
    pub(super) fn get(&self, name: &str, target: &str) -> Viewer {
        self.ask(name, Ask::get(target))
    }

    /// What the node called `name`, which knows all that it has to, says to a peer that asks.
    pub(super) fn inquire(&self, name: &str, tier: Tier, attributes: Attributes) -> Answer {
        let world = self.world(name).clone();
        let (headers, applied) = (HeaderMap::new(), LogPosition::ZERO);
        let question = Question { tier, attributes, headers, applied, slice: None };
        self.finish(async move { crate::peer::answer(&world, question, None).await.0 })
    }

    /// Adds a task.
    pub(super) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.borrow_mut().push(Task::new(task));
    }

    /// Runs `task` until everything is stuck; it must be done by then.
    pub(super) fn finish<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let slot = Arc::new(Mutex::new(None));
        let filled = slot.clone();
        self.spawn(async move { *filled.lock().unwrap() = Some(task.await) }.boxed());
        self.run();
        slot.lock().unwrap().take().expect("the task is stuck")
    }

    /// Polls whatever was woken, until nothing is.
    pub(super) fn run(&self) {
        let steps = self.run_steps(ROUNDS_MAX);
        assert!(steps < ROUNDS_MAX, "the tasks wake each other for ever");
    }

    /// Polls whatever was woken, `most` times at most; says how often.
    pub(super) fn run_steps(&self, most: usize) -> usize {
        let mut steps = 0;
        let mut tasks = self.tasks.borrow_mut();
        loop {
            tasks.extend(self.desk.spawned.lock().unwrap().drain(..).map(Task::new));
            let before = steps;
            for task in tasks.iter_mut() {
                if steps == most {
                    break;
                }
                steps += usize::from(task.poll_if_woken());
            }
            tasks.retain(|task| task.future.is_some());
            let is_quiet = steps == before && self.desk.spawned.lock().unwrap().is_empty();
            if is_quiet || steps == most {
                return steps;
            }
        }
    }
}

/// What purges match of `target` at the lab's only distribution.
pub(super) fn attributes(target: &str) -> Attributes {
    Attributes {
        distribution: DISTRIBUTION.parse().unwrap(),
        host: Host::parse(ALIAS).unwrap(),
        path: Path::parse(target).unwrap(),
    }
}

fn member(line: &str) -> Member {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, region, tiers] = words[..] else { panic!("name region tiers: {line}") };
    Member {
        name: name.parse().unwrap(),
        instance: Instance(1),
        region: region.parse().unwrap(),
        tiers: tiers.parse().unwrap(),
        capacity: 100,
        address: ([127, 0, 0, 1], 7000).into(),
    }
}

/// The key of `target` where the behavior says nothing.
fn key_of(target: &str) -> CacheKey {
    let behavior = CacheBehavior::to_origin("main");
    policy::key(&behavior, &attributes(target), &HeaderMap::new())
}

fn distribution(purging: Purging) -> Distribution {
    let origin = Origin {
        id: "main".into(),
        domain_name: "origin.example".into(),
        http_port: 80,
        connection_timeout_seconds: 10,
        response_timeout_seconds: 30,
        keepalive_timeout_seconds: 5,
        connections_max: 1_024,
    };
    Distribution {
        name: DISTRIBUTION.parse().unwrap(),
        aliases: vec![Host::parse(ALIAS).unwrap()],
        origins: vec![origin],
        default_cache_behavior: CacheBehavior::to_origin("main"),
        cache_behaviors: Vec::new(),
        custom_error_responses: Vec::new(),
        default_root_object: None,
        merge_slashes: false,
        limits: RequestLimits::default(),
        purging,
    }
}

struct Task {
    future: Option<BoxFuture<'static, ()>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Task {
    fn new(future: BoxFuture<'static, ()>) -> Task {
        Task { future: Some(future), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    fn poll_if_woken(&mut self) -> bool {
        let woken = self.woken.0.swap(false, Ordering::AcqRel);
        if woken && let Some(future) = &mut self.future {
            let waker = Waker::from(self.woken.clone());
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.future = None;
            }
        }
        woken
    }
}
