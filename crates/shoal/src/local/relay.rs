//! Wires between nodes, to be cut and to be slow: a UDP relay in front of every node.
//!
//! A node advertises its relay, so whatever peers dial goes through it. The relay speaks to its
//! node from one socket for each remote, so that QUIC sees one peer per address, and it knows who
//! dials by where the datagram comes from: every node dials from the socket it listens on. The
//! matrix is asked when a datagram comes and again when it leaves: what is sent after a cut is
//! never delivered. Datagrams of a directed pair keep their order, whatever the delay; a full
//! queue drops them, as a network does.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use model::NodeName;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::matrix::{Fate, Matrix, Pace, Shape, Way};

/// Bytes of the largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams under way from one node to another: 14 MB/s at a delay of 100 ms.
const UNDER_WAY_MAX: usize = 1_024;
/// Remotes of one relay; what comes from others is dropped.
const REMOTES_MAX: usize = 256;
/// Pause after a socket failed, which would otherwise spin.
const PAUSE: Duration = Duration::from_millis(10);

/// What happened to datagrams of one direction.
#[derive(Debug, Default)]
struct Tally {
    carried: AtomicU64,
    carried_bytes: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct Switch {
    matrix: Arc<RwLock<Matrix>>,
    names: RwLock<BTreeMap<SocketAddr, NodeName>>,
    tallies: Mutex<BTreeMap<Way, Arc<Tally>>>,
}

impl Switch {
    fn fate(&self, way: &Way) -> Fate {
        self.matrix.read().unwrap_or_else(PoisonError::into_inner).fate(way)
    }

    fn shape(&self, way: &Way) -> Option<Shape> {
        self.matrix.read().unwrap_or_else(PoisonError::into_inner).shape(way)
    }

    fn name(&self, address: SocketAddr) -> Option<NodeName> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    fn tally(&self, way: &Way) -> Arc<Tally> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tallies.entry(way.clone()).or_default())
    }
}

/// The wires of one mesh; they are gone when it is dropped.
#[derive(Default)]
pub struct Wires {
    switch: Arc<Switch>,
    relays: Mutex<JoinSet<()>>,
}

impl Wires {
    /// Wires that behave as `matrix` says, whoever changes it.
    pub fn over(matrix: Arc<RwLock<Matrix>>) -> Wires {
        let switch = Arc::new(Switch { matrix, ..Switch::default() });
        Wires { switch, relays: Mutex::default() }
    }

    /// Puts a relay at `at` before the node `name`, which listens and dials at `node`.
    ///
    /// Needs a tokio runtime around it. Nodes are fronted before any of them starts: whoever has
    /// no relay yet is a stranger to the others.
    pub fn front(&self, name: &NodeName, node: SocketAddr, at: SocketAddr) -> io::Result<()> {
        let front = Arc::new(bind(at)?);
        let mut names = self.switch.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(node, name.clone());
        let relay = Relay { switch: Arc::clone(&self.switch), name: name.clone(), node, front };
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).spawn(relay.run());
        Ok(())
    }

    /// Nothing reaches `node`, and nothing it sends reaches anybody.
    pub fn isolate(&self, node: &NodeName) {
        self.change(|matrix| {
            matrix.mute.insert(node.clone());
            matrix.deaf.insert(node.clone());
        });
    }

    /// What `node` sends is lost; it still hears.
    pub fn mute(&self, node: &NodeName) {
        self.change(|matrix| matrix.mute.insert(node.clone()));
    }

    /// What is sent to `node` is lost; it is still heard.
    pub fn deafen(&self, node: &NodeName) {
        self.change(|matrix| matrix.deaf.insert(node.clone()));
    }

    /// What `from` sends to `to` is lost; not the other way.
    pub fn cut(&self, from: &NodeName, to: &NodeName) {
        self.change(|matrix| matrix.cut.insert((from.clone(), to.clone())));
    }

    /// Two nodes hear nothing of each other.
    pub fn part(&self, one: &NodeName, other: &NodeName) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Nothing that concerns `node` is cut any more.
    pub fn heal(&self, node: &NodeName) {
        self.change(|matrix| {
            matrix.mute.remove(node);
            matrix.deaf.remove(node);
            matrix.cut.retain(|(from, to)| from != node && to != node);
        });
    }

    /// Nothing is cut any more; delays stay.
    pub fn heal_all(&self) {
        self.change(Matrix::heal);
    }

    /// Datagrams from `from` to `to` take so long, whatever [`Wires::delay_all`] says.
    pub fn delay(&self, from: &NodeName, to: &NodeName, time: Duration) {
        self.change(|matrix| matrix.ways.insert((from.clone(), to.clone()), Shape::delay(time)));
    }

    /// Datagrams of all other directed pairs take so long.
    pub fn delay_all(&self, time: Duration) {
        self.change(|matrix| matrix.usual = Shape::delay(time));
    }

    /// Datagrams that `from` has got through to `to`.
    pub fn carried(&self, from: &NodeName, to: &NodeName) -> u64 {
        self.tally(from, to).carried.load(Ordering::Relaxed)
    }

    /// Bytes that have got through, of every pair whose ends are known.
    pub fn carried_bytes(&self) -> Vec<(NodeName, NodeName, u64)> {
        let tallies = self.switch.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tallies.iter().filter_map(|(way, tally)| {
            let bytes = tally.carried_bytes.load(Ordering::Relaxed);
            Some((way.from.clone()?, way.to.clone()?, bytes))
        });
        known.collect()
    }

    /// Datagrams from `from` to `to` that were lost here.
    pub fn lost(&self, from: &NodeName, to: &NodeName) -> u64 {
        self.tally(from, to).lost.load(Ordering::Relaxed)
    }

    fn tally(&self, from: &NodeName, to: &NodeName) -> Arc<Tally> {
        self.switch.tally(&Way { from: Some(from.clone()), to: Some(to.clone()) })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Matrix) -> T) {
        change(&mut self.switch.matrix.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The relay before one node.
struct Relay {
    switch: Arc<Switch>,
    name: NodeName,
    node: SocketAddr,
    front: Arc<UdpSocket>,
}

impl Relay {
    async fn run(self) {
        let mut remotes: BTreeMap<SocketAddr, Lane> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let Ok((length, remote)) = self.front.recv_from(&mut buffer).await else {
                sleep(PAUSE).await;
                continue;
            };
            if !remotes.contains_key(&remote) && remotes.len() < REMOTES_MAX {
                match self.meet(remote, &mut tasks) {
                    Ok(lane) => drop(remotes.insert(remote, lane)),
                    Err(error) => tracing::warn!(%remote, %error, "no wire to this remote"),
                }
            }
            if let Some(lane) = remotes.get(&remote) {
                lane.put(&buffer[..length]);
            }
        }
    }

    /// A remote that was not seen before: a socket of its own, and both directions.
    fn meet(&self, remote: SocketAddr, tasks: &mut JoinSet<()>) -> io::Result<Lane> {
        let back = Arc::new(bind((self.node.ip(), 0).into())?);
        let peer = self.switch.name(remote);
        let inward = Way { from: peer.clone(), to: Some(self.name.clone()) };
        let outward = Way { from: Some(self.name.clone()), to: peer };
        let inward = self.lane(inward, Arc::clone(&back), self.node, tasks);
        let outward = self.lane(outward, Arc::clone(&self.front), remote, tasks);
        tasks.spawn(answers(back, self.node, outward));
        Ok(inward)
    }

    fn lane(
        &self,
        way: Way,
        socket: Arc<UdpSocket>,
        to: SocketAddr,
        tasks: &mut JoinSet<()>,
    ) -> Lane {
        let (queue, queued) = mpsc::channel(UNDER_WAY_MAX);
        let tally = self.switch.tally(&way);
        let pace = Mutex::default();
        let lane = Lane { switch: Arc::clone(&self.switch), way, tally, queue, pace };
        let end = End { switch: lane.switch.clone(), way: lane.way.clone(), socket, to };
        tasks.spawn(end.deliver(queued, Arc::clone(&lane.tally)));
        lane
    }
}

/// What the node sends back to one remote.
async fn answers(back: Arc<UdpSocket>, node: SocketAddr, lane: Lane) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match back.recv_from(&mut buffer).await {
            Ok((length, from)) if from == node => lane.put(&buffer[..length]),
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// A datagram, and when it may leave.
struct Datagram {
    due: Instant,
    bytes: Bytes,
}

/// Where datagrams of one direction enter.
struct Lane {
    switch: Arc<Switch>,
    way: Way,
    tally: Arc<Tally>,
    queue: mpsc::Sender<Datagram>,
    pace: Mutex<Pace>,
}

impl Lane {
    fn put(&self, bytes: &[u8]) {
        let fate = self.switch.fate(&self.way);
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let due = pace.due(Instant::now(), fate, bytes.len());
        let queued = due.is_some_and(|due| {
            let bytes = Bytes::copy_from_slice(bytes);
            self.queue.try_send(Datagram { due, bytes }).is_ok()
        });
        if !queued {
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where they leave.
struct End {
    switch: Arc<Switch>,
    way: Way,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

impl End {
    async fn deliver(self, mut queued: mpsc::Receiver<Datagram>, tally: Arc<Tally>) {
        while let Some(Datagram { due, bytes }) = queued.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            let open = self.switch.shape(&self.way).is_some();
            let sent = open && self.socket.send_to(&bytes, self.to).await.is_ok();
            if sent {
                tally.carried_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            let count = if sent { &tally.carried } else { &tally.lost };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn bind(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Cut<'a> = &'a dyn Fn(&Wires);

    /// Which of the six ways between three nodes are open, as `ab` for a to b.
    fn open(wires: &Wires) -> Vec<String> {
        let ways = ["ab", "ac", "ba", "bc", "ca", "cb"];
        let name = |letter: &str| Some(letter.parse().unwrap());
        let is_open = |way: &&str| {
            let way = Way { from: name(&way[..1]), to: name(&way[1..]) };
            wires.switch.shape(&way).is_some()
        };
        ways.into_iter().filter(is_open).map(str::to_owned).collect()
    }

    #[test]
    fn a_cut_concerns_the_nodes_and_the_direction_it_names() {
        let [a, b, c] = ["a", "b", "c"].map(|name| name.parse::<NodeName>().unwrap());
        let cases: [(Cut<'_>, &[&str]); 6] = [
            (&|_| {}, &["ab", "ac", "ba", "bc", "ca", "cb"]),
            (&|wires| wires.isolate(&a), &["bc", "cb"]),
            (&|wires| wires.mute(&a), &["ba", "bc", "ca", "cb"]),
            (&|wires| wires.deafen(&a), &["ab", "ac", "bc", "cb"]),
            (&|wires| wires.cut(&a, &b), &["ac", "ba", "bc", "ca", "cb"]),
            (&|wires| wires.part(&b, &c), &["ab", "ac", "ba", "ca"]),
        ];
        for (cut, wanted) in cases {
            let wires = Wires::default();
            cut(&wires);
            assert_eq!(open(&wires), wanted);
            wires.heal_all();
            assert_eq!(open(&wires).len(), 6);
        }
        let wires = Wires::default();
        wires.isolate(&a);
        wires.part(&a, &b);
        wires.cut(&b, &c);
        wires.heal(&a);
        assert_eq!(open(&wires), ["ab", "ac", "ba", "ca", "cb"]);
    }

    #[test]
    fn a_pair_may_be_slower_than_the_rest() {
        let [a, b] = ["a", "b"].map(|name| name.parse::<NodeName>().unwrap());
        let (long, short) = (Duration::from_millis(100), Duration::from_millis(5));
        let wires = Wires::default();
        wires.delay_all(short);
        wires.delay(&a, &b, long);
        let takes = |from: &NodeName, to: Option<&NodeName>| {
            let way = Way { from: Some(from.clone()), to: to.cloned() };
            wires.switch.shape(&way).unwrap().delay
        };
        assert_eq!(
            [takes(&a, Some(&b)), takes(&b, Some(&a)), takes(&a, None)],
            [long, short, short]
        );
    }
}
