//! The ground a node stands on: its directory and identity, its links, and the log on its disk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use consensus::{Group, Options, Timings};
use follow::Replica;
use model::{Instance, Member};
use transport::{Credentials, Identity, Links, Local};
use wire::hello::Mesh;

use crate::config::{Config, Distance};
use crate::host::Machine;
use crate::mesh::directory::Directory;
use crate::mesh::raft::{Applied, Messages};
use crate::mesh::switchboard::Switchboard;
use crate::node::{directory, succession};
use crate::shelf::Shelf;

/// What the stories need of a node before they begin.
pub(crate) struct Ground {
    /// This node, as the roster is to have it.
    pub(crate) me: Member,
    /// The mesh, as the certificate names it.
    pub(crate) mesh: Mesh,
    /// Connections to peers.
    pub(crate) links: Links,
    /// Where peers are.
    pub(crate) directory: Arc<Directory>,
    /// What peers say, handed on.
    pub(crate) switchboard: Arc<Switchboard>,
    /// The replicated facts, as far as this disk knows them.
    pub(crate) replica: Arc<Replica>,
    /// The Raft group.
    pub(crate) group: Group,
    /// Whether this process founded the mesh.
    pub(crate) founded: Arc<AtomicBool>,
    /// What a node that follows keeps.
    pub(crate) shelf: Arc<Shelf>,
}

impl Ground {
    /// Opens disk and links, and brings the replica up to what the disk has.
    pub(crate) async fn lay(config: &Config) -> anyhow::Result<Ground> {
        let credentials = load_credentials(config)?;
        let identity = credentials.identity().clone();
        let instance = directory::open(&config.data_dir)?;
        let replica = Arc::new(Replica::default());
        let switchboard = Arc::new(Switchboard::new(replica.clone()));
        let directory = Arc::new(Directory::new(replica.clone()));
        let wall = Arc::new(|| Machine.wall());
        let links = Links::bind(
            Local {
                credentials,
                instance,
                protocols: config.protocols,
                listen: config.listen,
                wall,
            },
            directory.clone(),
            switchboard.clone(),
        )?;
        let mesh = identity.mesh.clone();
        let me = describe(config, identity, instance, links.local_addr())?;
        let group = open_group(config, &me, &links, &replica).await?;
        let shelf = Arc::new(Shelf::open(group.journal(), &replica).await?);
        succession::check(&config.data_dir, &group, &replica)?;
        switchboard.connect_group(group.clone());
        let founded = Arc::new(AtomicBool::new(false));
        Ok(Ground { me, mesh, links, directory, switchboard, replica, group, founded, shelf })
    }
}

fn load_credentials(config: &Config) -> anyhow::Result<Credentials> {
    let Config { name, tls_dir, .. } = config;
    let file = |ending: &str| tls_dir.join(format!("{name}.{ending}"));
    let (certificate, key, authority) = (file("pem"), file("key"), tls_dir.join("ca.pem"));
    if !certificate.exists() {
        bail!(
            "no certificate at {}: make one with `shoal ca issue {name}`, \
             and name its directory with --tls-dir",
            certificate.display()
        );
    }
    let credentials = Credentials::load(&certificate, &key, &authority, Machine.wall())?;
    let identity = credentials.identity();
    if identity.name != *name {
        bail!("{}: is of the node {}, not {name}", certificate.display(), identity.name);
    }
    let said = [
        ("region", config.region.as_ref().map(ToString::to_string), identity.region.to_string()),
        ("tiers", config.tiers.map(|tiers| tiers.to_string()), identity.tiers.to_string()),
    ];
    for (key, configured, certified) in said {
        if let Some(configured) = configured.filter(|configured| *configured != certified) {
            bail!(
                "{key} is {configured}, but the certificate says {certified}: \
                 issue another, or change {key}"
            );
        }
    }
    Ok(credentials)
}

fn describe(
    config: &Config,
    identity: Identity,
    instance: Instance,
    bound: SocketAddr,
) -> anyhow::Result<Member> {
    let Some(address) = config.advertise.or((!bound.ip().is_unspecified()).then_some(bound)) else {
        bail!("peers cannot dial {bound}: give --advertise ADDR, or --listen on one address");
    };
    let Identity { name, region, tiers, mesh: _ } = identity;
    Ok(Member { name, instance, region, tiers, capacity: config.capacity, address })
}

async fn open_group(
    config: &Config,
    me: &Member,
    links: &Links,
    replica: &Arc<Replica>,
) -> anyhow::Result<Group> {
    let timings = match config.distance {
        Distance::Lan => Timings::lan(),
        Distance::Wan => Timings::wan(),
    };
    let timings = Timings { snapshot_every_entries: config.snapshot_every_entries, ..timings };
    let options = Options { directory: config.data_dir.join("raft"), me: me.instance, timings };
    let machine = Arc::new(Applied(replica.clone()));
    let network = Arc::new(Messages { links: links.clone(), replica: replica.clone() });
    Ok(Group::open(options, machine, network).await?)
}
