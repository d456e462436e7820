//! Many small histories, each from a seed: purges, pauses, lost leases, slow and cached origins.
//!
//! The origin changes before every purge and tells the truth, though a cache in front of it may
//! have an older answer and say so by its `Age`. Whoever asks a node that is in touch sees nothing
//! that a purge before covers; a node that is out of touch may lag by a lease, and no more. What is
//! under way when a purge comes is never finished.

use std::sync::{Arc, Mutex};

use model::{Effect, Scope, Tag};

use super::origin::{Gate, Reply};
use super::ports::Granted;
use super::viewer::{Ask, Viewer};
use super::world::Lab;

const TARGETS: [&str; 2] = ["/a", "/b"];
const EDGES: [&str; 2] = ["e1", "e2"];
const NODES: [&str; 4] = ["e1", "e2", "r1", "s1"];
const LEASE_SECONDS: u64 = 10;
const STEPS: usize = 60;

/// Dice with a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What the origin has, and what a cache in front of it has.
struct Site {
    dice: Dice,
    version: u64,
    cached: Option<(u64, u64)>,
    now: u64,
    gates: Vec<Gate>,
}

impl Site {
    fn reply(&mut self, target: &str, goes_past_caches: bool) -> (String, String, Option<Gate>) {
        let goes_past = goes_past_caches || self.dice.below(2) == 0;
        let (version, age) = match self.cached.filter(|_| !goes_past) {
            Some((version, since)) => (version, format!("|age:{}", self.now - since)),
            None => (self.version, String::new()),
        };
        if age.is_empty() {
            self.cached = Some((version, self.now));
        }
        let tag = target.trim_start_matches('/');
        let lines =
            format!("cache-control:max-age=600|etag:\"{version}\"|surrogate-key:{tag}{age}");
        let gate = (self.dice.below(3) == 0).then(Gate::default);
        self.gates.extend(gate.clone());
        (lines, version.to_string(), gate)
    }
}

/// A viewer, and the least that it may see.
struct Watched {
    viewer: Viewer,
    edge: &'static str,
    target: &'static str,
    least: u64,
}

impl Watched {
    fn version(&self) -> Option<u64> {
        self.viewer.so_far().split(' ').next()?.parse().ok()
    }

    fn is_half_way(&self) -> bool {
        self.version().is_some() && self.viewer.end().is_none()
    }
}

struct History {
    lab: Lab,
    dice: Dice,
    sites: [Arc<Mutex<Site>>; 2],
    purged: [Vec<(u64, u64)>; 2],
    in_touch: [bool; 4],
    now: u64,
    viewers: Vec<Watched>,
}

impl History {
    fn begin(seed: u64) -> History {
        let lab = Lab::of(&["e1 eu edge", "e2 eu edge", "r1 eu regional", "s1 us shield"]);
        lab.wait(1_000);
        let site = |at: u64| Site {
            dice: Dice(seed * 2 + at + 77),
            version: 1,
            cached: None,
            now: 1_000,
            gates: vec![],
        };
        let sites = [0, 1].map(|at| Arc::new(Mutex::new(site(at))));
        for (target, site) in TARGETS.iter().zip(&sites) {
            let (site, path) = (site.clone(), *target);
            lab.origin.by(target, move |seen| {
                let asked = seen.headers.get_all("cache-control").iter();
                let past = asked.into_iter().any(|value| value == "no-cache");
                let (lines, version, gate) = site.lock().unwrap().reply(path, past);
                let reply = Reply::new(&lines, &format!("{version} "));
                let reply = match &gate {
                    Some(gate) if version.len() % 2 == 0 => reply.held_at(gate).then("end"),
                    Some(gate) => reply.then_wait(gate).then("end"),
                    None => reply.then("end"),
                };
                reply.or_not_modified(seen)
            });
        }
        let dice = Dice(seed);
        let (purged, in_touch) = (Default::default(), [true; 4]);
        History { lab, dice, sites, purged, in_touch, now: 1_000, viewers: vec![] }
    }

    fn step(&mut self) {
        match self.dice.below(12) {
            0..=5 => self.ask(),
            6 | 7 => self.purge(),
            8 => self.wait(),
            9 => self.lose_or_find_touch(),
            10 => self.open_a_gate(),
            _ => drop(self.lab.run_steps(self.dice.below(8) as usize)),
        }
    }

    fn ask(&mut self) {
        let edge = self.dice.one_of(&EDGES);
        let at = self.dice.below(2) as usize;
        let is_in_touch = self.in_touch[NODES.iter().position(|name| *name == edge).unwrap()];
        let until = if is_in_touch { self.now } else { self.now - LEASE_SECONDS - 1 };
        let known = self.purged[at].iter().filter(|(when, _)| *when <= until);
        let least = known.map(|(_, version)| *version).max().unwrap_or(1);
        let viewer = self.lab.send(edge, Ask::get(TARGETS[at]));
        self.lab.run_steps(self.dice.below(30) as usize);
        self.viewers.push(Watched { viewer, edge, target: TARGETS[at], least });
    }

    fn purge(&mut self) {
        let at = self.dice.below(2) as usize;
        let mut site = self.sites[at].lock().unwrap();
        site.version += 1;
        self.purged[at].push((self.now, site.version));
        drop(site);
        let path = TARGETS[at];
        let effect = if self.dice.below(3) == 0 { Effect::Soft } else { Effect::Hard };
        let scope = match self.dice.below(2) {
            0 => Scope::parse(path).unwrap(),
            _ => Scope::Tag(Tag::parse(&path[1..]).unwrap()),
        };
        if self.dice.below(3) == 0 {
            NODES.iter().for_each(|name| self.lab.hear(name, scope.clone(), effect));
        }
        self.lab.log_scope(scope, effect);
        let watched = self.viewers.iter().filter(|watched| watched.target == path);
        let half: Vec<&Watched> = watched.filter(|watched| watched.is_half_way()).collect();
        for (name, is_in_touch) in NODES.iter().zip(self.in_touch) {
            if is_in_touch {
                self.lab.catch_up(name);
            }
        }
        self.lab.run_steps(1_000);
        for watched in half {
            let at = NODES.iter().position(|name| *name == watched.edge).unwrap();
            let must_stop = effect == Effect::Hard && self.in_touch[at];
            assert!(!must_stop || watched.viewer.is_broken(), "it went on: {}", watched.edge);
        }
    }

    fn wait(&mut self) {
        let seconds = 1 + self.dice.below(6);
        self.lab.wait(seconds);
        self.now += seconds;
        self.sites.iter().for_each(|site| site.lock().unwrap().now = self.now);
    }

    fn lose_or_find_touch(&mut self) {
        let at = self.dice.below(4) as usize;
        self.in_touch[at] = !self.in_touch[at];
        match self.in_touch[at] {
            false => self.lab.cut_off(NODES[at]),
            true => {
                self.lab.catch_up(NODES[at]);
                self.lab.lease(NODES[at], Granted::Always);
            }
        }
    }

    fn open_a_gate(&mut self) {
        let site = self.dice.below(2) as usize;
        if let Some(gate) = self.sites[site].lock().unwrap().gates.pop() {
            gate.open();
        }
        self.lab.run_steps(1_000);
    }

    fn end(mut self, seed: u64) -> [usize; 2] {
        loop {
            let gates = self.sites.each_ref().map(|site| site.lock().unwrap().gates.split_off(0));
            let waiting = gates.concat();
            waiting.iter().for_each(Gate::open);
            self.lab.run();
            if waiting.is_empty() {
                break;
            }
        }
        let mut tally = [0, 0];
        for watched in self.viewers.drain(..) {
            let Watched { viewer, edge, target, least } = &watched;
            assert!(!viewer.waits(), "seed {seed}: {edge} {target} never answered");
            let is_whole = viewer.end() == Some(Ok(()));
            let seen = watched.version();
            tally[usize::from(is_whole && viewer.status() == 200)] += 1;
            if let Some(seen) = seen {
                assert!(seen >= *least, "seed {seed}: {edge} {target} saw {seen} after {least}");
            }
            assert!(viewer.status() == 200 || viewer.status() == 503, "{}", viewer.status());
        }
        tally
    }
}

#[test]
fn whatever_happens_nobody_sees_what_was_purged_before() {
    let (mut broken, mut whole) = (0, 0);
    for seed in 0..250 {
        let mut history = History::begin(seed);
        (0..STEPS).for_each(|_| history.step());
        let [some, more] = history.end(seed);
        (broken, whole) = (broken + some, whole + more);
    }
    assert!(whole > broken * 4 && broken > 0, "{whole} whole, {broken} broken or refused");
}
