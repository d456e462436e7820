//! The scene: one topology set up by one backend, with every address. Kept in the state directory,
//! so that any command finds what stands, and `down` what is to be taken away, even when the
//! keeper is gone.
//!
//! Loopback addresses or a private network of its own are derived from the state directory, so
//! two testbeds do not meet; one whose number is taken goes on to the next.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use model::NodeName;
use serde::{Deserialize, Serialize};

use crate::topology::Topology;

/// Where a node's relay listens, on its own loopback address.
const MESH_PORT: u16 = 27_400;

/// What runs the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// Processes on loopback addresses: needs nothing. Wires between nodes are emulated, those to
    /// viewers and origins are not.
    #[default]
    Process,
    /// A network namespace for each node (root): every packet goes through the link emulator.
    Netns,
    /// A container for each node (root, a Docker engine on this machine): likewise.
    Docker,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Backend::Process => "process",
            Backend::Netns => "netns",
            Backend::Docker => "docker",
        })
    }
}

/// Where a node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) name: NodeName,
    pub(crate) region: String,
    pub(crate) tiers: String,
    /// What it listens on for peers.
    pub(crate) listen: SocketAddr,
    /// What peers dial.
    pub(crate) mesh: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Where an origin is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OriginPlace {
    pub(crate) name: NodeName,
    pub(crate) region: String,
    pub(crate) address: SocketAddr,
}

/// What stands, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) topology: String,
    pub(crate) topology_file: PathBuf,
    pub(crate) backend: Backend,
    /// Begins the name of whatever is made outside of the state directory.
    pub(crate) tag: String,
    pub(crate) state: PathBuf,
    /// The process that keeps it up.
    pub(crate) keeper: u32,
    pub(crate) lease_ms: u64,
    pub(crate) nodes: Vec<Place>,
    pub(crate) origins: Vec<OriginPlace>,
}

impl Place {
    /// Whether viewers are sent here.
    pub(crate) fn is_edge(&self) -> bool {
        self.tiers.split(',').any(|tier| tier == "edge")
    }
}

impl Scene {
    /// Gives everybody an address.
    pub(crate) fn plan(topology: &Topology, backend: Backend, state: &Path) -> Scene {
        let number = free_number(state);
        let (network, [mesh, http, admin]) = match backend {
            Backend::Process => (127, [MESH_PORT, 27_080, 27_480]),
            Backend::Netns | Backend::Docker => (10, [7_400, 8_080, 7_480]),
        };
        let at = |part: u8, host: usize| -> IpAddr {
            let host = u8::try_from(host).expect("a topology has at most 200 members");
            Ipv4Addr::new(network, number, part, host).into()
        };
        let nodes = topology.nodes.iter().enumerate().map(|(index, spec)| {
            let own = at(1, index + 1);
            let front = match backend {
                Backend::Process => at(2, index + 1),
                Backend::Netns | Backend::Docker => own,
            };
            Place {
                name: spec.name.clone(),
                region: spec.region.to_string(),
                tiers: spec.tiers.to_string(),
                listen: (own, mesh).into(),
                mesh: (front, mesh).into(),
                http: (own, http).into(),
                admin: (own, admin).into(),
            }
        });
        let origins = topology.origins.iter().enumerate().map(|(index, origin)| OriginPlace {
            name: origin.name.clone(),
            region: origin.region.to_string(),
            address: (at(0, 10 + index), 28_000).into(),
        });
        Scene {
            topology: topology.name.clone(),
            topology_file: topology.file.clone(),
            backend,
            tag: format!("shoal{number}"),
            state: state.to_owned(),
            keeper: std::process::id(),
            lease_ms: topology.mesh.lease_seconds.unwrap_or(10) * 1_000,
            nodes: nodes.collect(),
            origins: origins.collect(),
        }
    }

    /// What a state directory holds.
    pub(crate) fn load(state: &Path) -> anyhow::Result<Scene> {
        let file = state.join("scene.json");
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!("nothing stands in {} (start it with `testbed up`)", state.display())
        })?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let file = self.state.join("scene.json");
        std::fs::write(&file, serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// Whether packets go through the emulator, which needs a network of its own.
    pub(crate) fn is_tunnelled(&self) -> bool {
        match self.backend {
            Backend::Process => false,
            Backend::Netns | Backend::Docker => true,
        }
    }

    /// How long nodes may serve without hearing of later purges.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn node(&self, name: &str) -> anyhow::Result<&Place> {
        let found = self.nodes.iter().find(|place| place.name.as_str() == name);
        found.with_context(|| {
            let names: Vec<&str> = self.nodes.iter().map(|place| place.name.as_str()).collect();
            format!("no node is called {name}: there are {}", names.join(", "))
        })
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = &Place> {
        self.nodes.iter().filter(|place| place.is_edge())
    }

    /// Where viewers of a tunnelled scene ask from.
    pub(crate) fn viewers(&self) -> Option<IpAddr> {
        let IpAddr::V4(any) = self.nodes.first()?.http.ip() else { return None };
        let [network, number, ..] = any.octets();
        Some(Ipv4Addr::new(network, number, 0, 1).into())
    }

    /// The directory of one node: disk and log.
    pub(crate) fn home(&self, name: &NodeName) -> PathBuf {
        self.state.join("nodes").join(name.as_str())
    }

    pub(crate) fn log_file(&self, name: &NodeName) -> PathBuf {
        self.state.join("logs").join(format!("{name}.txt"))
    }

    /// The network namespace or container of a node.
    pub(crate) fn cell(&self, name: &NodeName) -> String {
        format!("{}-{name}", self.label())
    }

    /// Marks what is ours among namespaces and containers.
    pub(crate) fn label(&self) -> String {
        format!("{}-{}", self.tag, self.keeper)
    }

    /// What operators show to nodes.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.state.join("admin.token")
    }

    pub(crate) fn token(&self) -> anyhow::Result<String> {
        let file = self.token_file();
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(text.trim().to_owned())
    }
}

/// 64 to 127, by the path, or the next that nobody uses.
fn free_number(state: &Path) -> u8 {
    let first = hash(state);
    let numbers = (0..64_u8).map(|more| 64 + (first.wrapping_add(more) & 63));
    numbers.into_iter().find(|number| is_free(*number)).unwrap_or(64 + (first & 63))
}

/// Whether no other testbed has this number.
fn is_free(number: u8) -> bool {
    let device = PathBuf::from(format!("/sys/class/net/shoal{number}h"));
    let relay = (Ipv4Addr::new(127, number, 2, 1), MESH_PORT);
    !device.exists() && std::net::UdpSocket::bind(relay).is_ok()
}

fn hash(state: &Path) -> u8 {
    let bytes = state.as_os_str().as_encoded_bytes().iter();
    // FNV-1a: the same directory finds its own remains again.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 24 & 63) as u8
}
