//! The link emulator: a point in user space through which every packet between hosts goes.
//!
//! Each host has one network device, and its other end is here: an IP packet that a host sends is
//! read, its fate is asked of the matrix, and when its time has come it is written to the device
//! of the host it is for, as it was. So delay, jitter, loss, reordering, bandwidth and cuts hold
//! for QUIC and TCP alike, the kernel needs no `sch_netem`, and hosts notice nothing. Viewers, who
//! have no name, are near everybody.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::Context;
use bytes::Bytes;
use model::NodeName;
use shoal::local::{Fate, Matrix, Overtakes, Pace, Way};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

/// Bytes of the largest packet.
pub(crate) const MTU: i32 = 1_500;
/// Packets under way in one direction: 60 MB/s at a delay of 100 ms.
const UNDER_WAY_MAX: usize = 4_096;

/// A network of hosts.
#[derive(Clone)]
pub(crate) struct Tunnels {
    inner: Arc<Inner>,
}

struct Inner {
    matrix: Arc<RwLock<Matrix>>,
    /// Who has which address; viewers have no name.
    hosts: Mutex<BTreeMap<Ipv4Addr, Host>>,
    lanes: Mutex<BTreeMap<(Ipv4Addr, Ipv4Addr), Lane>>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Clone)]
struct Host {
    name: Option<NodeName>,
    device: Arc<Tun>,
}

/// One direction between two addresses.
#[derive(Clone)]
struct Lane {
    way: Way,
    pace: Arc<Mutex<Pace>>,
    queue: mpsc::Sender<Packet>,
    /// For what overtakes the queue.
    express: mpsc::Sender<Packet>,
    carried_bytes: Arc<AtomicU64>,
}

struct Packet {
    due: Instant,
    to: Ipv4Addr,
    bytes: Bytes,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tunnels {
    /// A network without hosts.
    pub(crate) fn over(matrix: Arc<RwLock<Matrix>>) -> Tunnels {
        let (hosts, lanes, tasks) = (Mutex::default(), Mutex::default(), Mutex::default());
        Tunnels { inner: Arc::new(Inner { matrix, hosts, lanes, tasks }) }
    }

    /// Makes a device whose other end is here, in our own namespace; the caller moves it to where
    /// it belongs. A host that attaches again replaces what it had.
    pub(crate) fn attach(
        &self,
        device: &str,
        addresses: &[(Ipv4Addr, Option<NodeName>)],
    ) -> anyhow::Result<()> {
        let tun = Tun::builder().name(device).mtu(MTU).build();
        let tun = tun.with_context(|| format!("a TUN device {device} (are you root?)"))?;
        let tun = Arc::new(tun.into_iter().next().context("no TUN device was made")?);
        for (address, name) in addresses {
            let host = Host { name: name.clone(), device: Arc::clone(&tun) };
            lock(&self.inner.hosts).insert(*address, host);
        }
        lock(&self.inner.tasks).spawn(read(Arc::clone(&self.inner), tun));
        Ok(())
    }

    /// Bytes of IP packets that got through between those that have a name.
    pub(crate) fn carried_bytes(&self) -> Vec<(NodeName, NodeName, u64)> {
        let lanes = lock(&self.inner.lanes);
        let known = lanes.values().filter_map(|lane| {
            let bytes = lane.carried_bytes.load(Ordering::Relaxed);
            Some((lane.way.from.clone()?, lane.way.to.clone()?, bytes))
        });
        known.collect()
    }
}

/// Whatever one host sends, until its device is gone.
async fn read(inner: Arc<Inner>, device: Arc<Tun>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = device.recv(&mut buffer).await {
        let packet = &buffer[..length];
        if let Some((from, to)) = ends(packet)
            && let Some(lane) = inner.lane(from, to)
        {
            lane.put(&inner, to, packet);
        }
    }
}

/// Source and destination of an IPv4 packet.
fn ends(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if packet.first()? >> 4 != 4 {
        return None;
    }
    let address = |at: usize| -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(bytes.into())
    };
    Some((address(12)?, address(16)?))
}

impl Inner {
    fn lane(self: &Arc<Self>, from: Ipv4Addr, to: Ipv4Addr) -> Option<Lane> {
        if let Some(lane) = lock(&self.lanes).get(&(from, to)) {
            return Some(lane.clone());
        }
        let way = {
            let hosts = lock(&self.hosts);
            Way { from: hosts.get(&from)?.name.clone(), to: hosts.get(&to)?.name.clone() }
        };
        let carried_bytes = Arc::<AtomicU64>::default();
        let [queue, express] = [(), ()].map(|()| {
            let (queue, queued) = mpsc::channel(UNDER_WAY_MAX);
            let carried = Arc::clone(&carried_bytes);
            lock(&self.tasks).spawn(deliver(Arc::clone(self), queued, carried));
            queue
        });
        let lane = Lane { way, pace: Arc::default(), queue, express, carried_bytes };
        lock(&self.lanes).insert((from, to), lane.clone());
        Some(lane)
    }

    fn fate(&self, way: &Way) -> Fate {
        if way.from.is_none() || way.to.is_none() {
            return Fate::Arrives {
                after: std::time::Duration::ZERO,
                overtakes: Overtakes::Nobody,
                bytes_per_second: None,
            };
        }
        self.matrix.read().unwrap_or_else(PoisonError::into_inner).fate(way)
    }
}

impl Lane {
    fn put(&self, inner: &Inner, to: Ipv4Addr, bytes: &[u8]) {
        let fate = inner.fate(&self.way);
        let due = lock(&self.pace).due(Instant::now(), fate, bytes.len());
        if let Some(due) = due {
            let queue = match fate {
                Fate::Arrives { overtakes: Overtakes::Others, .. } => &self.express,
                Fate::Arrives { overtakes: Overtakes::Nobody, .. } | Fate::Lost => &self.queue,
            };
            // A full queue drops, as a network does.
            drop(queue.try_send(Packet { due, to, bytes: Bytes::copy_from_slice(bytes) }));
        }
    }
}

/// Writes packets when they are due.
async fn deliver(inner: Arc<Inner>, mut queued: mpsc::Receiver<Packet>, carried: Arc<AtomicU64>) {
    while let Some(packet) = queued.recv().await {
        if packet.due > Instant::now() {
            sleep_until(packet.due).await;
        }
        let device = lock(&inner.hosts).get(&packet.to).map(|host| Arc::clone(&host.device));
        let Some(device) = device else { continue };
        // A host that is down loses what is sent to it.
        if device.send(&packet.bytes).await.is_ok() {
            carried.fetch_add(packet.bytes.len() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv4_has_ends() {
        let mut packet = vec![0_u8; 20];
        packet[0] = 0x45;
        packet[12..16].copy_from_slice(&[10, 1, 2, 3]);
        packet[16..20].copy_from_slice(&[10, 9, 8, 7]);
        let [from, to] = [[10, 1, 2, 3], [10, 9, 8, 7]].map(Ipv4Addr::from);
        assert_eq!(ends(&packet), Some((from, to)));
        assert_eq!(ends(&packet[..19]), None);
        packet[0] = 0x60;
        assert_eq!(ends(&packet), None);
        assert_eq!(ends(&[]), None);
    }
}
