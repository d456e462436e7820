//! Stories of a few nodes that gossip in one process, on virtual time: posts are function calls.
//! Chitchat draws its own lots, so what is promised leaves room for any draw.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chitchat::{ChitchatId, Serializable};
use control::{Command, CommandId, Envelope};
use follow::Replica;
use model::limits::GOSSIP_BYTES_MAX;
use model::{Instance, LogPosition, Member, NodeName, Tiers};
use tokio::time::{Instant, advance, timeout};
use wire::codec;
use wire::gossip::Facts;
use wire::log::Entry;

use crate::facts::Hearsay;
use crate::members::{Gossip, Options};
use crate::post::Post;

/// Longer than any story waits.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Nodes that can reach each other, and the roster they all know.
#[derive(Default)]
pub(crate) struct Town {
    pub(crate) replica: Arc<Replica>,
    hub: Arc<Hub>,
}

#[derive(Default)]
struct Hub {
    nodes: Mutex<BTreeMap<SocketAddr, Arc<Gossip>>>,
    silent: Mutex<BTreeSet<SocketAddr>>,
    last: Mutex<Vec<Bytes>>,
}

/// One node's way to the others.
struct Line {
    hub: Arc<Hub>,
    from: SocketAddr,
}

impl Post for Line {
    fn cast(&self, to: SocketAddr, message: Bytes) {
        let silent = self.hub.silent.lock().unwrap();
        if silent.contains(&to) || silent.contains(&self.from) {
            return;
        }
        let mut last = self.hub.last.lock().unwrap();
        last.push(message.clone());
        if last.len() > 100 {
            last.remove(0);
        }
        if let Some(node) = self.hub.nodes.lock().unwrap().get(&to) {
            node.deliver(self.from, message);
        }
    }
}

pub(crate) fn name(number: u16) -> NodeName {
    format!("n{number}").parse().unwrap()
}

fn address(number: u16) -> SocketAddr {
    ([127, 0, 0, 1], 7000 + number).into()
}

pub(crate) fn member(number: u16, instance: u64) -> Member {
    Member {
        name: name(number),
        instance: Instance(instance),
        region: "eu".parse().unwrap(),
        tiers: Tiers::ALL,
        capacity: 100,
        address: address(number),
    }
}

impl Town {
    /// A town of members `n0` to `n{size - 1}`, none of which runs.
    pub(crate) fn of(size: u16) -> Town {
        let town = Town::default();
        town.log(Command::Form { mesh: "m".into(), founder: member(0, 0), lease_ms: 10_000 });
        (1..size).for_each(|number| town.join(number, 0));
        town
    }

    pub(crate) fn join(&self, number: u16, instance: u64) {
        let held = self.replica.state().member(&name(number)).map(|member| member.instance);
        let member = member(number, instance);
        self.log(Command::Join { member, replaces: held });
    }

    pub(crate) fn log(&self, command: Command) {
        let index = self.replica.applied().index() + 1;
        let command = codec::encode(&Envelope { id: CommandId(u128::from(index)), command });
        let entry = Entry(vec![command]).encode();
        self.replica.apply(LogPosition::new(0, index), &[entry]).unwrap();
    }

    /// Starts node `number`, or starts it again.
    pub(crate) fn start(&self, number: u16, generation: u64) -> Arc<Gossip> {
        self.start_on(number, generation, Instance(0), vec![address(0)])
    }

    fn start_on(
        &self,
        number: u16,
        generation: u64,
        instance: Instance,
        seeds: Vec<SocketAddr>,
    ) -> Arc<Gossip> {
        let (name, address) = (name(number), address(number));
        let interval = Gossip::INTERVAL;
        let options = Options { name, instance, generation, address, seeds, interval };
        let line = Line { hub: Arc::clone(&self.hub), from: address };
        let gossip = Arc::new(Gossip::start(options, Arc::new(line), Arc::clone(&self.replica)));
        self.hub.nodes.lock().unwrap().insert(address, Arc::clone(&gossip));
        gossip
    }

    pub(crate) async fn start_all(&self, size: u16) -> Vec<Arc<Gossip>> {
        let mut nodes = Vec::new();
        for number in 0..size {
            nodes.push(self.start(number, 1));
            // Their rounds do not beat as one.
            advance(Gossip::INTERVAL / 7 * 2).await;
        }
        for node in &nodes {
            until(node, |heard| live(heard) == usize::from(size) - 1).await;
        }
        nodes
    }

    pub(crate) fn kill(&self, number: u16) {
        self.hub.nodes.lock().unwrap().remove(&address(number));
        self.silence([number]);
    }

    fn silence(&self, numbers: impl IntoIterator<Item = u16>) {
        *self.hub.silent.lock().unwrap() = numbers.into_iter().map(address).collect();
    }
}

pub(crate) fn live(heard: &Hearsay) -> usize {
    heard.values().filter(|heard| heard.sign.live).count()
}

/// Waits until what `node` hears is as told.
pub(crate) async fn until(node: &Gossip, mut told: impl FnMut(&Hearsay) -> bool) -> Arc<Hearsay> {
    let mut heard = node.listen();
    let heard = timeout(PATIENCE, heard.wait_for(|heard| told(heard))).await;
    Arc::clone(&heard.expect("it comes true in time").expect("the node lives"))
}

/// Lets time pass, and says whether `always` held meanwhile.
async fn pass(node: &Gossip, time: Duration, mut always: impl FnMut(&Hearsay) -> bool) -> bool {
    let end = node.now().plus(time);
    let mut held = true;
    let look = |heard: &Hearsay| {
        held &= always(heard);
        node.now() >= end
    };
    until(node, look).await;
    held
}

#[tokio::test(start_paused = true)]
async fn facts_spread_to_every_node_and_so_does_every_change() {
    let nodes = Town::of(5).start_all(5).await;
    for round in 1..=3 {
        for (number, node) in (0..).zip(&nodes) {
            node.publish(&Facts { load: round * 10 + number, votes: true, ..Facts::default() });
        }
        for node in &nodes {
            let spread = |number: u16, facts: &Facts| facts.load == round * 10 + u64::from(number);
            let told = |_: &Hearsay| {
                let facts = node.facts();
                (0..5).all(|number| spread(number, &facts[&name(number)].0))
            };
            until(node, told).await;
            assert!(node.facts().values().all(|(facts, live)| facts.votes && *live));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_is_dead_to_all_others_within_3_s() {
    for (size, age) in [(3, 0), (5, 0), (3, 5), (5, 5), (5, 300)] {
        let town = Town::of(size);
        let nodes = town.start_all(size).await;
        pass(&nodes[0], Duration::from_secs(age), |_| true).await;
        let killed = Instant::now();
        town.kill(1);
        for number in (0..size).filter(|number| *number != 1) {
            let node = &nodes[usize::from(number)];
            let heard = until(node, |heard| !heard[&name(1)].sign.live).await;
            assert_eq!(live(&heard), usize::from(size) - 2, "only one died");
        }
        let taken = killed.elapsed();
        assert!(taken < Duration::from_secs(3), "{size} nodes, after {age} s: {taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_without_gossip_is_no_death_however_fast_the_mesh_talks() {
    let town = Town::of(5);
    let nodes = town.start_all(5).await;
    assert!(pass(&nodes[0], Duration::from_secs(120), |heard| live(heard) == 4).await);
    for _ in 0..5 {
        town.silence(0..5);
        assert!(pass(&nodes[0], Duration::from_secs(1), |heard| live(heard) == 4).await);
        town.silence([]);
        assert!(pass(&nodes[0], Duration::from_secs(5), |heard| live(heard) == 4).await);
    }
}

#[tokio::test(start_paused = true)]
async fn members_find_each_other_without_seeds_and_after_any_split() {
    let town = Town::of(4);
    let start = |number| town.start_on(number, 1, Instance(0), Vec::new());
    let nodes: Vec<_> = (0..4).map(start).collect();
    for node in &nodes {
        until(node, |heard| live(heard) == 3).await;
    }
    // Chitchat forgets the dead after ten minutes.
    town.silence([0]);
    pass(&nodes[1], Duration::from_secs(900), |_| true).await;
    assert!(!nodes[1].heard().contains_key(&name(0)) && live(&nodes[0].heard()) == 0);
    town.silence([]);
    for node in &nodes {
        until(node, |heard| live(heard) == 3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn foreign_bytes_are_dropped_and_gossip_goes_on() {
    let town = Town::of(3);
    let nodes = town.start_all(3).await;
    let honest = town.hub.last.lock().unwrap().clone();
    let mut foreign: Vec<Vec<u8>> = vec![vec![], vec![0; 3], vec![0xff; GOSSIP_BYTES_MAX + 1]];
    for message in honest.iter().rev().take(9) {
        for at in 0..message.len() {
            foreign.push(message[..at].to_vec());
            foreign.extend([0x01, 0x80, 0xff].map(|flip| {
                let mut bytes = message.to_vec();
                bytes[at] ^= flip;
                // What is left of a name or a number may be valid: it is cut off, to be sure.
                bytes.truncate(bytes.len() - 1);
                bytes
            }));
        }
    }
    for bytes in foreign {
        nodes[0].deliver(address(1), bytes.into());
        tokio::task::yield_now().await;
    }
    nodes[0].publish(&Facts { load: 7, ..Facts::default() });
    let heard = until(&nodes[1], |heard| heard[&name(0)].facts.load == 7).await;
    assert_eq!(heard[&name(0)].generation, 1, "its gossip never ended");
}

/// A message that decodes, and that chitchat panics over: it says of `victim` that its last version
/// lies before one of its values.
fn poison(victim: &ChitchatId) -> Bytes {
    let mut words = vec![0];
    victim.serialize(&mut words);
    words.extend([0; 16]);
    words.push(1);
    "k".serialize(&mut words);
    "v".serialize(&mut words);
    200_u64.serialize(&mut words);
    words.extend([0, 2]);
    100_u64.serialize(&mut words);
    let mut message = 45_139_u16.serialize_to_vec();
    message.extend([0, 2, 2]);
    u16::try_from(words.len()).unwrap().serialize(&mut message);
    message.extend(words);
    message.push(0);
    message.into()
}

#[tokio::test(start_paused = true)]
async fn gossip_that_broke_off_starts_anew_as_a_later_generation() {
    let town = Town::of(3);
    let nodes = town.start_all(3).await;
    for generation in 1..4 {
        let story = async {
            nodes[0].deliver(address(1), poison(&ChitchatId::new("n0", generation, address(0))));
            let anew = |heard: &Hearsay| heard[&name(0)].generation == generation + 1;
            until(&nodes[1], anew).await;
            nodes[0].publish(&Facts { load: generation * 10, ..Facts::default() });
            until(&nodes[1], |heard| heard[&name(0)].facts.load == generation * 10).await;
        };
        let time = Duration::from_secs(10);
        let ((), lived) = tokio::join!(story, pass(&nodes[0], time, |heard| live(heard) == 2));
        assert!(lived, "what it heard before holds until it has heard for itself");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_started_again_is_heard_as_what_it_is_now() {
    let town = Town::of(3);
    let nodes = town.start_all(3).await;
    nodes[2].publish(&Facts { load: 1, ..Facts::default() });
    until(&nodes[0], |heard| heard[&name(2)].facts.load == 1).await;
    for (generation, load) in [(5_000, 2), (9_000, 3)] {
        let again = town.start(2, generation);
        again.publish(&Facts { load, ..Facts::default() });
        let heard = until(&nodes[0], |heard| heard[&name(2)].facts.load == load).await;
        assert_eq!(heard[&name(2)].generation, generation);
        assert!(pass(&nodes[0], Duration::from_secs(10), |heard| live(heard) == 2).await);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_heard_who_is_not_in_the_roster_as_that_very_instance() {
    let town = Town::of(2);
    let nodes = town.start_all(2).await;
    let _stranger = town.start_on(2, 1, Instance(7), vec![address(0)]);
    assert!(pass(&nodes[1], Duration::from_secs(5), |heard| heard.len() == 1).await);
    assert_eq!(nodes[1].facts().len(), 2);

    town.join(2, 6);
    assert!(pass(&nodes[1], Duration::from_secs(5), |heard| heard.len() == 1).await);
    town.join(2, 7);
    until(&nodes[1], |heard| live(heard) == 2).await;
    town.log(Command::Leave { name: name(2), instance: Instance(7) });
    until(&nodes[1], |heard| heard.len() == 1).await;
}
