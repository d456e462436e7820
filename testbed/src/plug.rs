//! Plugging hosts into the link emulator: a network device whose other end is in the emulator is
//! made, moved into the host's network namespace, and given the host's address there.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, bail};
use model::NodeName;

use crate::disk;
use crate::scene::{Backend, Place, Scene};
use crate::tool;
use crate::tunnel::{MTU, Tunnels};

/// The emulator and the scene it connects.
#[derive(Clone)]
pub(crate) struct Plug {
    scene: Scene,
    tunnels: Tunnels,
}

impl Plug {
    pub(crate) fn new(scene: &Scene, tunnels: Tunnels) -> Plug {
        Plug { scene: scene.clone(), tunnels }
    }

    /// Connects viewers, operators and origins, who stay on this machine.
    pub(crate) async fn connect_outside(&self) -> anyhow::Result<()> {
        let device = format!("{}h", self.scene.tag);
        let viewers = v4(self.scene.viewers().context("a scene without nodes")?)?;
        let mut addresses: Vec<(Ipv4Addr, Option<NodeName>)> = vec![(viewers, None)];
        for origin in &self.scene.origins {
            addresses.push((v4(origin.address.ip())?, Some(origin.name.clone())));
        }
        self.tunnels.attach(&device, &addresses)?;
        for (address, _) in &addresses {
            let address = format!("{address}/16");
            tool::run("ip", &["address", "add", &address, "dev", &device]).await?;
        }
        up(None, &device).await
    }

    /// Makes the namespaces of nodes that live in one, and connects them.
    pub(crate) async fn connect_namespaces(&self) -> anyhow::Result<()> {
        for place in &self.scene.nodes {
            tool::run("ip", &["netns", "add", &self.scene.cell(&place.name)]).await?;
            self.connect(place, None).await?;
        }
        Ok(())
    }

    /// Connects one node: by its process if it is a container, else by its namespace.
    pub(crate) async fn connect(&self, place: &Place, id: Option<u32>) -> anyhow::Result<()> {
        let index = self.scene.nodes.iter().position(|other| other.name == place.name);
        let device = format!("{}n{}", self.scene.tag, index.context("a node of another scene")?);
        let address = v4(place.http.ip())?;
        self.tunnels.attach(&device, &[(address, Some(place.name.clone()))])?;
        let cell = self.scene.cell(&place.name);
        let (target, namespace) = match id {
            Some(id) => (id.to_string(), format!("--net=/proc/{id}/ns/net")),
            None => (cell.clone(), format!("--net=/run/netns/{cell}")),
        };
        tool::run("ip", &["link", "set", &device, "netns", &target]).await?;
        let address = format!("{address}/16");
        let enter = [&namespace, "ip", "address", "add", &address, "dev", &device];
        tool::run("nsenter", &enter).await?;
        tool::run("nsenter", &[&namespace, "ip", "link", "set", "lo", "up"]).await?;
        up(Some(&namespace), &device).await
    }
}

async fn up(namespace: Option<&str>, device: &str) -> anyhow::Result<()> {
    let mtu = MTU.to_string();
    let set = ["ip", "link", "set", device, "mtu", &mtu, "up"];
    match namespace {
        None => tool::run(set[0], &set[1..]).await?,
        Some(namespace) => {
            let enter: Vec<&str> = std::iter::once(namespace).chain(set).collect();
            tool::run("nsenter", &enter).await?
        }
    };
    Ok(())
}

/// Takes away what a scene made outside of its directory, whatever is left of it.
pub(crate) async fn sweep(scene: &Scene) -> anyhow::Result<()> {
    match scene.backend {
        Backend::Process => {}
        Backend::Netns => {
            for place in &scene.nodes {
                tool::attempt("ip", &["netns", "delete", &scene.cell(&place.name)]).await;
            }
        }
        Backend::Docker => {
            if let Ok(engine) = crate::engine::Engine::find().await {
                engine.sweep(&scene.label()).await?;
            }
        }
    }
    disk::sweep(scene).await;
    Ok(())
}

fn v4(address: IpAddr) -> anyhow::Result<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => bail!("{address}: the testbed's network is IPv4"),
    }
}
