//! A mesh of real processes on this machine: real QUIC over loopback, real certificates, real disks
//! in a directory, SIGKILL.
//!
//! The demo and the integration tests stand on it. It only starts and ends what it started itself.

mod matrix;
mod origin;
mod ports;
mod process;
mod relay;
mod sight;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::{NodeName, Region, Tiers};
use transport::{Authority, Validity};
use wire::hello::Mesh;

pub use matrix::{Fate, Matrix, Overtakes, Pace, Shape, Way};
pub use origin::{Asked, Etag, Hold, Manner, Origin, Ranges};
pub use process::Process;
pub use relay::Wires;
pub use sight::{End, Sight, look};

use crate::client::{self, Call};
use crate::host::Machine;

/// A node to be started.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name.
    pub name: NodeName,
    /// Where it pretends to stand.
    pub region: Region,
    /// What it serves.
    pub tiers: Tiers,
}

impl Spec {
    /// A node from words that are known to be good.
    ///
    /// # Panics
    /// If they are not.
    pub fn new(name: &str, region: &str, tiers: &str) -> Spec {
        let known = "a name written in our own code";
        Spec {
            name: name.parse().expect(known),
            region: region.parse().expect(known),
            tiers: tiers.parse().expect(known),
        }
    }
}

/// A mesh of processes.
pub struct LocalMesh {
    directory: PathBuf,
    wires: Option<Wires>,
    /// Its nodes, in the order in which they were named.
    pub nodes: Vec<Process>,
}

impl fmt::Display for LocalMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.nodes.iter().map(|node| node.spec.name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

/// How long a node may take to become ready.
const READY: Duration = Duration::from_secs(60);
const PROBE: Duration = Duration::from_secs(10);

impl LocalMesh {
    /// Makes certificates and starts `specs`, the first of them with `--bootstrap`; returns when
    /// all are ready.
    pub async fn start(
        directory: &Path,
        program: &Path,
        specs: &[Spec],
        flags: &[&str],
    ) -> anyhow::Result<LocalMesh> {
        LocalMesh::form(directory, program, specs, flags, None).await
    }

    /// The same, with a relay before every node: see [`LocalMesh::wires`].
    pub async fn start_wired(
        directory: &Path,
        program: &Path,
        specs: &[Spec],
        flags: &[&str],
    ) -> anyhow::Result<LocalMesh> {
        LocalMesh::form(directory, program, specs, flags, Some(Wires::default())).await
    }

    async fn form(
        directory: &Path,
        program: &Path,
        specs: &[Spec],
        flags: &[&str],
        wires: Option<Wires>,
    ) -> anyhow::Result<LocalMesh> {
        let mesh: Mesh = "local".parse()?;
        let now = Machine.wall();
        let authority = Authority::create(&mesh, Validity::of_authority(now))?;
        let tls = directory.join("tls");
        authority.save(&tls)?;
        let mut nodes: Vec<Process> = Vec::new();
        for spec in specs {
            let validity = Validity::of_node(now);
            authority.issue(&spec.name, &spec.region, spec.tiers, validity)?.save(&tls)?;
            let seed = nodes.first().map(|node| node.mesh_address);
            let wires = wires.as_ref();
            nodes.push(Process::new(directory, program, spec.clone(), seed, wires, flags)?);
        }
        let mut mesh = LocalMesh { directory: directory.to_owned(), wires, nodes };
        for at in 0..mesh.nodes.len() {
            mesh.nodes[at].start()?;
            if at == 0 {
                mesh.ready(&specs[0].name.clone()).await?;
            }
        }
        for spec in specs {
            mesh.ready(&spec.name).await?;
        }
        Ok(mesh)
    }

    /// Where certificates, disks and logs are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What connects its nodes.
    ///
    /// # Panics
    /// If it was not started with wires.
    pub fn wires(&self) -> &Wires {
        self.wires.as_ref().expect("only a mesh that was started with wires is asked for them")
    }

    /// The node of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn node(&self, name: &NodeName) -> &Process {
        let found = self.nodes.iter().find(|node| node.spec.name == *name);
        found.expect("only nodes of this mesh are asked for")
    }

    /// The same, to kill or start it.
    ///
    /// # Panics
    /// If there is none.
    pub fn node_mut(&mut self, name: &NodeName) -> &mut Process {
        let found = self.nodes.iter_mut().find(|node| node.spec.name == *name);
        found.expect("only nodes of this mesh are asked for")
    }

    /// Nodes that run and serve viewers.
    pub fn edges(&self) -> Vec<&Process> {
        let edge =
            |node: &&Process| node.is_running() && node.spec.tiers.contains(model::Tier::Edge);
        self.nodes.iter().filter(edge).collect()
    }

    /// Waits until the node says that it is ready.
    pub async fn ready(&self, name: &NodeName) -> anyhow::Result<()> {
        let node = self.node(name);
        let began = now();
        loop {
            let answer = client::send(node.admin, Call::get("localhost", "/readyz"), PROBE).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            if began.elapsed() > READY {
                bail!(
                    "{name} is not ready after {} s:\n{}",
                    READY.as_secs(),
                    node.last_log_lines()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The mesh as one of its running nodes sees it.
    pub async fn status(&self, through: SocketAddr) -> anyhow::Result<admin::view::Status> {
        let answer = client::send(through, Call::get("localhost", "/v1/status"), PROBE).await?;
        serde_json::from_slice(&answer.body).context("the status does not parse")
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a process takes is measured for ourselves")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
