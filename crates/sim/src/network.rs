//! The network: who can reach whom, how long a frame takes, and what is lost when something breaks.
//!
//! A link is a directed pair of nodes: FIFO, with a latency by region, a little jitter, and spells
//! of slowness. A cut link carries nothing; conversations across it survive a short cut and break
//! in a long one, as QUIC's do. A dead process refuses new conversations at once, and what it had
//! on the wire is lost. Frames are the real ones, encoded and decoded by `wire`.

mod meter;
mod pipe;
mod answer;
mod peers;
mod letters;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use consensus::Group;
use futures_util::StreamExt;
use membership::{Gossip, Neighbours};
use model::{Instance, NodeName};
use serve::Members;
use xxhash_rust::xxh3::xxh3_64;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::mutants::Mutant;
use crate::setting::Setting;

pub use meter::{Flow, Traffic, Volume};
pub(crate) use peers::Caller;

use meter::{Meter, Side, Speech};
use pipe::{Broken, Pipe, Reader, Writer};

/// How long a connection may be silent, as the real transport has it.
const SILENCE: Duration = model::limits::SILENCE;

/// A directed pair of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    /// Who sends.
    pub(crate) from: usize,
    /// Who receives.
    pub(crate) to: usize,
}

impl Way {
    /// The way back.
    pub(crate) fn back(self) -> Way {
        Way { from: self.to, to: self.from }
    }

    /// Whether that node is one of its ends.
    pub(crate) fn touches(self, node: usize) -> bool {
        self.from == node || self.to == node
    }
}

/// A process that answers its peers.
#[derive(Clone)]
pub(crate) struct Listener {
    /// The process.
    pub(crate) owner: Owner,
    /// Answers questions.
    pub(crate) world: Arc<serve::World>,
    /// Takes commands and feeds the log.
    pub(crate) follow: Arc<follow::Follow>,
    /// What is wrong with this node, if anything is.
    pub(crate) mutant: Option<Mutant>,
    /// Hears of connections that broke.
    pub(crate) members: Arc<dyn Members>,
    /// The real Raft group and gossip, if this node has them.
    pub(crate) ground: Option<Ground>,
}

/// What the real libraries of a process take from the network.
#[derive(Clone)]
pub(crate) struct Ground {
    /// Takes Raft messages.
    pub(crate) group: Group,
    /// Takes gossip.
    pub(crate) gossip: Arc<Gossip>,
    /// Hears of connections.
    pub(crate) neighbours: Arc<Neighbours>,
}

/// What a conversation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// For a response.
    Exchange,
    Submit,
    /// A small question.
    Ask,
    Follow,
    /// A Raft message of this instance.
    Raft(Instance),
}

/// One end of a conversation.
struct Line {
    out: Writer,
    back: Reader,
}

/// No conversation came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreached {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The link is cut.
    #[error("no answer to the handshake")]
    Silent,
    /// It began and broke off.
    #[error("the connection broke")]
    Broken,
}

#[derive(Clone, Copy)]
struct Spell {
    since: Duration,
    until: Duration,
}

/// The network of one run.
pub(crate) struct Network {
    setting: Arc<Setting>,
    places: BTreeMap<NodeName, usize>,
    by_name: Vec<usize>,
    meter: Meter,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    last: BTreeMap<Way, Duration>,
    cuts: BTreeMap<Way, Spell>,
    slow: BTreeMap<Way, Spell>,
    listeners: BTreeMap<usize, Listener>,
    pipes: Vec<Weak<Pipe>>,
    /// Connections that broke and were not opened again.
    broken: BTreeSet<Way>,
}

impl Network {
    /// A network on which nobody listens yet.
    pub(crate) fn new(setting: Arc<Setting>, dice: Dice) -> Arc<Network> {
        let state = State {
            dice,
            last: BTreeMap::new(),
            cuts: BTreeMap::new(),
            slow: BTreeMap::new(),
            listeners: BTreeMap::new(),
            pipes: Vec::new(),
            broken: BTreeSet::new(),
        };
        let names = setting.scenario.members.iter().map(|member| member.name.clone());
        let places: BTreeMap<NodeName, usize> = names.zip(0..).collect();
        let by_name = places.values().copied().collect();
        let (meter, state) = (Meter::default(), Mutex::new(state));
        Arc::new(Network { setting, places, by_name, meter, state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What counts messages.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// How old the lease of a node is that runs.
    pub(crate) fn lease_age(&self, node: usize) -> Option<Duration> {
        let follow = self.lock().listeners.get(&node)?.follow.clone();
        follow.lease_age()
    }

    /// The number of the node of that name.
    pub(crate) fn place_of(&self, name: &NodeName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// All nodes, in the order of their names.
    pub(crate) fn by_name(&self) -> &[usize] {
        &self.by_name
    }

    /// `node` answers from now on.
    pub(crate) fn listen(&self, node: usize, listener: Listener) {
        self.lock().listeners.insert(node, listener);
    }

    /// The process of `node` is gone. Its peers find out one by one.
    pub(crate) fn hang_up(self: &Arc<Self>, node: usize) {
        let now = self.setting.now();
        let mut state = self.lock();
        let gone = state.listeners.remove(&node);
        let broken = state.pipes_where(|way| way.touches(node));
        let found_out = |_: &_| now + state.dice.millis(5..=1_500);
        let found_out: Vec<Duration> = broken.iter().map(found_out).collect();
        drop(state);
        drop(gone);
        for (pipe, at) in broken.iter().zip(found_out) {
            pipe.break_off(now, at);
            let Way { from, to } = pipe.way;
            self.lose(Way { from: if from == node { to } else { from }, to: node }, at);
        }
    }

    /// A node finds out at that time that its connection to another broke.
    fn lose(self: &Arc<Self>, way: Way, at: Duration) {
        if !self.lock().broken.insert(way) {
            return;
        }
        let network = self.clone();
        self.setting.clock.spawn(Owner::WORLD, async move {
            network.setting.clock.sleep_until(at).await;
            let state = network.lock();
            let finder = state.listeners.get(&way.from).filter(|_| state.broken.contains(&way));
            let members = finder.map(|listener| listener.members.clone());
            drop(state);
            if let Some(members) = members {
                members.doubt(network.setting.name(way.to));
            }
        });
    }

    /// A connection stands: whoever opened it knows that the other lives.
    fn find(&self, way: Way) {
        let mut state = self.lock();
        if state.broken.remove(&way) {
            let ground = state.listeners.get(&way.from).and_then(|one| one.ground.clone());
            drop(state);
            if let Some(Ground { neighbours, .. }) = ground {
                neighbours.trust(self.setting.name(way.to));
            }
        }
    }

    /// Cuts a link in both directions for `time`, unless it is cut already.
    pub(crate) fn cut(self: &Arc<Self>, way: Way, time: Duration) {
        let since = self.setting.now();
        let spell = Spell { since, until: since + time };
        let mut state = self.lock();
        if state.cuts.get(&way).is_some_and(|cut| since < cut.until) {
            return;
        }
        state.cuts.insert(way, spell);
        state.cuts.insert(way.back(), spell);
        drop(state);
        if time > SILENCE {
            let network = self.clone();
            self.setting.clock.spawn(Owner::WORLD, async move {
                network.setting.clock.sleep(SILENCE).await;
                network.fall_silent(|lost| lost == way || lost == way.back());
            });
        }
    }

    /// Connections there have been silent for too long: both sides give them up.
    pub(crate) fn fall_silent(self: &Arc<Self>, concerns: impl Fn(Way) -> bool) {
        let now = self.setting.now();
        let broken = self.lock().pipes_where(concerns);
        for pipe in broken {
            pipe.break_off(now, now);
            [pipe.way, pipe.way.back()].into_iter().for_each(|way| self.lose(way, now));
        }
    }

    /// Makes a link ten times slower in both directions for `time`.
    pub(crate) fn slow_down(&self, way: Way, time: Duration) {
        let since = self.setting.now();
        let spell = Spell { since, until: since + time };
        let mut state = self.lock();
        state.slow.insert(way, spell);
        state.slow.insert(way.back(), spell);
    }

    /// Whether that process is the one that runs at `node`.
    pub(crate) fn is_run_by(&self, node: usize, owner: Owner) -> bool {
        self.lock().listeners.get(&node).is_some_and(|listener| listener.owner == owner)
    }

    /// Ways on which nothing passes now.
    pub(crate) fn cuts(&self) -> BTreeSet<Way> {
        let now = self.setting.now();
        let mut state = self.lock();
        state.cuts.retain(|_, cut| now < cut.until);
        state.cuts.keys().copied().collect()
    }

    /// How long the next frame would take.
    fn latency(&self, way: Way) -> Duration {
        let base = self.base_latency(way);
        let now = self.setting.now();
        self.lock().latency(way, base, now)
    }

    fn base_latency(&self, way: Way) -> Duration {
        let [from, to] = [way.from, way.to].map(|node| self.setting.scenario.region_of(node));
        self.setting.scenario.latency(from, to)
    }

    /// When a frame that is sent now arrives; never, if the cut outlasts its connection.
    pub(crate) fn arrival(&self, way: Way) -> Option<Duration> {
        let base = self.base_latency(way);
        let now = self.setting.now();
        let mut state = self.lock();
        let leaves = match state.cut(way, now) {
            Some(cut) if cut.until - cut.since > SILENCE => return None,
            Some(cut) => cut.until,
            None => now,
        };
        let fresh = leaves + state.latency(way, base, now);
        let last = state.last.entry(way).or_default();
        *last = fresh.max(*last + Duration::from_nanos(1));
        Some(*last)
    }

    /// Opens a conversation. The handshake costs nothing beyond the first frame: connections are
    /// kept. A process that is gone refuses, a link that is cut stays silent.
    async fn dial(self: &Arc<Self>, way: Way, call: Call) -> Result<Line, Unreached> {
        let now = self.setting.now();
        let cut = self.lock().cut(way, now);
        if let Some(cut) = cut {
            let given_up = now + SILENCE;
            self.setting.clock.sleep_until(cut.until.min(given_up)).await;
            if cut.until >= given_up {
                return Err(Unreached::Silent);
            }
        }
        let listener = self.lock().listeners.get(&way.to).cloned();
        let Some(listener) = listener else {
            self.setting.clock.sleep(self.latency(way) + self.latency(way.back())).await;
            return Err(Unreached::Refused);
        };
        let (out, heard) = self.pipe(way, (call, Side::Caller));
        let (said, back) = self.pipe(way.back(), (call, Side::Called));
        let (owner, caller) = (listener.owner, self.setting.name(way.from).clone());
        let line = Line { out: said, back: heard };
        self.setting.clock.spawn(owner, answer::take(listener, caller, call, line));
        self.find(way);
        Ok(Line { out, back })
    }

    /// Sends a Raft message and brings the answer.
    pub(crate) async fn raft(
        self: Arc<Self>,
        way: Way,
        message: Bytes,
    ) -> Result<Bytes, Unreached> {
        let broken = |_: Broken| Unreached::Broken;
        let me = self.setting.scenario.members[way.from].instance;
        let Line { out, mut back } = self.dial(way, Call::Raft(me)).await?;
        out.send(message).await.map_err(broken)?;
        out.finish();
        back.next().await.unwrap_or(Err(Broken)).map_err(broken)
    }

    /// Notes what goes over the wire.
    fn trace(&self, way: Way, frame: &[u8]) {
        let route = (way.from as u64) << 56 | (way.to as u64) << 48;
        let content = xxh3_64(frame) >> 16;
        self.setting.trace.step(self.setting.now(), route | content);
    }

    fn pipe(self: &Arc<Self>, way: Way, speech: Speech) -> (Writer, Reader) {
        let (pipe, writer, reader) = pipe::open(self.clone(), way, speech);
        let mut state = self.lock();
        if state.pipes.len() % 256 == 255 {
            state.pipes.retain(|pipe| pipe.strong_count() > 0);
        }
        state.pipes.push(pipe);
        (writer, reader)
    }
}

impl State {
    fn cut(&self, way: Way, now: Duration) -> Option<Spell> {
        self.cuts.get(&way).filter(|cut| now < cut.until).copied()
    }

    fn latency(&mut self, way: Way, base: Duration, now: Duration) -> Duration {
        let is_slow = self.slow.get(&way).is_some_and(|spell| now < spell.until);
        let base = if is_slow { base * 10 } else { base };
        base + base.mul_f64(self.dice.below(100) as f64 / 1_000.0)
    }

    fn pipes_where(&self, concerns: impl Fn(Way) -> bool) -> Vec<Arc<Pipe>> {
        let alive = self.pipes.iter().filter_map(Weak::upgrade);
        alive.filter(|pipe| concerns(pipe.way)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Budget, Clock, Order};
    use crate::history::History;
    use crate::scenario::{Level, Profile, Scenario};
    use crate::trace::{Keep, Trace};

    fn setting() -> Arc<Setting> {
        let trace = Arc::new(Trace::new(Keep::Hash));
        let scenario = Scenario::draw(Level::L1, Profile::Calm, &mut Dice::new(1));
        let (clock, history) = (Clock::new(trace.clone()), History::default());
        Arc::new(Setting { clock, trace, scenario, history })
    }

    /// What the reader of a pipe gets, and when, while a writer sends three frames half a second
    /// apart and then ends; `weather` befalls the network meanwhile.
    fn read(weather: impl FnOnce(&Arc<Network>, Way) + Send + 'static) -> Vec<(u64, String)> {
        let (setting, way) = (setting(), Way { from: 0, to: 1 });
        let network = Network::new(setting.clone(), Dice::new(2));
        let (writer, mut reader) = network.pipe(way, (Call::Exchange, Side::Caller));
        let (clock, sender) = (setting.clock.clone(), setting.clock.clone());
        setting.clock.spawn(Owner::WORLD, async move {
            for word in ["one", "two", "three"] {
                writer.send(Bytes::from_static(word.as_bytes())).await.unwrap_or_default();
                sender.sleep(Duration::from_millis(500)).await;
            }
            writer.finish();
        });
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let main = async move {
            weather(&network, way);
            loop {
                let word = match reader.next().await {
                    Some(Ok(frame)) => String::from_utf8(frame.to_vec()).unwrap(),
                    Some(Err(Broken)) => "broken".to_owned(),
                    None => "end".to_owned(),
                };
                let last = matches!(word.as_str(), "broken" | "end");
                log.lock().unwrap().push((clock.now().as_millis() as u64 / 500, word));
                if last {
                    break;
                }
            }
        };
        let budget = Budget { steps: 1_000, time: Duration::from_secs(60) };
        setting.clock.run(main, Order::Fifo, budget).unwrap();
        Arc::into_inner(heard).unwrap().into_inner().unwrap()
    }

    fn words(heard: &[(u64, String)]) -> Vec<(u64, &str)> {
        heard.iter().map(|(at, word)| (*at, word.as_str())).collect()
    }

    #[test]
    fn frames_come_in_order_and_the_end_after_them() {
        let heard = read(|_, _| {});
        assert_eq!(words(&heard), [(0, "one"), (1, "two"), (2, "three"), (3, "end")]);
    }

    #[test]
    fn a_short_cut_delays_and_a_long_one_breaks() {
        let heard = read(|network, way| network.cut(way, Duration::from_millis(1_100)));
        assert_eq!(words(&heard), [(0, "one"), (2, "two"), (2, "three"), (3, "end")]);
        let heard = read(|network, way| network.cut(way.back(), Duration::from_secs(3)));
        assert_eq!(words(&heard), [(0, "one"), (3, "broken")]);
    }

    #[test]
    fn what_a_dead_process_had_on_the_wire_is_lost() {
        let heard = read(|network, way| network.hang_up(way.from));
        assert_eq!(heard.last().unwrap().1, "broken");
        assert!(heard.len() < 4, "{heard:?}");
    }
}
