//! A topology: which nodes stand in which regions, where the origins are, and what lies between
//! regions. Read from TOML, lowered once into nouns that cannot be wrong.
//!
//! Delays are one way. What is not said about a pair of regions is an error: a forgotten link
//! would be a perfect one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use model::{NodeName, Region, Tiers};
use serde::Deserialize;
use shoal::local::{Shape, Spec};

/// Nodes and origins of one topology; their addresses have one byte.
const MEMBERS_MAX: usize = 200;
/// Slowest one-way delay that makes sense on this planet.
const DELAY_MS_MAX: f64 = 2_000.0;

/// What stands where.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) name: String,
    /// Where it was read from.
    pub(crate) file: PathBuf,
    pub(crate) mesh: Mesh,
    pub(crate) nodes: Vec<Spec>,
    pub(crate) origins: Vec<OriginSpec>,
    within: Shape,
    between: BTreeMap<(Region, Region), Shape>,
}

/// Settings that all nodes share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mesh {
    /// `lan` or `wan`; lan unless said.
    pub(crate) raft_distance: Option<String>,
    /// Of the mesh, when it is formed.
    pub(crate) lease_seconds: Option<u64>,
    /// Of each node's cache.
    pub(crate) memory_mib: Option<u64>,
}

/// An origin, and where it stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OriginSpec {
    pub(crate) name: NodeName,
    pub(crate) region: Region,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    mesh: Mesh,
    regions: BTreeMap<Region, RegionTable>,
    node: Vec<NodeTable>,
    origin: Vec<OriginSpec>,
    #[serde(default)]
    within: ShapeTable,
    #[serde(default)]
    link: Vec<LinkTable>,
}

/// A region has nothing to be said about it yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionTable {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTable {
    name: NodeName,
    region: Region,
    tiers: Tiers,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ShapeTable {
    #[serde(default)]
    delay_ms: f64,
    #[serde(default)]
    jitter_ms: f64,
    #[serde(default)]
    loss_percent: f64,
    #[serde(default)]
    reorder_percent: f64,
    megabits_per_second: Option<u64>,
}

#[derive(Deserialize)]
struct LinkTable {
    between: (Region, Region),
    #[serde(flatten)]
    shape: ShapeTable,
}

impl Topology {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Topology> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let read = Topology::read(&text).with_context(|| path.display().to_string())?;
        Ok(Topology { file: path.to_owned(), ..read })
    }

    fn read(text: &str) -> anyhow::Result<Topology> {
        let file: File = toml::from_str(text)?;
        let regions: Vec<&Region> = file.regions.keys().collect();
        let mut between = BTreeMap::new();
        for LinkTable { between: (one, other), shape } in &file.link {
            for end in [one, other] {
                ensure!(file.regions.contains_key(end), "link: {end} is no region");
            }
            let shape = shape.lower()?;
            between.insert((one.clone(), other.clone()), shape);
            between.insert((other.clone(), one.clone()), shape);
        }
        for one in &regions {
            for other in regions.iter().filter(|other| other != &one) {
                let known = between.contains_key(&((*one).clone(), (*other).clone()));
                ensure!(known, "no link between {one} and {other}: say how long it is");
            }
        }
        ensure!(!file.node.is_empty() && !file.origin.is_empty(), "no nodes, or no origin");
        ensure!(file.node.len() + file.origin.len() <= MEMBERS_MAX, "more than {MEMBERS_MAX}");
        let named = file.node.iter().map(|node| (&node.name, &node.region));
        let named = named.chain(file.origin.iter().map(|origin| (&origin.name, &origin.region)));
        let mut seen = std::collections::BTreeSet::new();
        for (name, region) in named {
            ensure!(seen.insert(name.clone()), "{name} is there twice");
            ensure!(file.regions.contains_key(region), "{name}: {region} is no region");
        }
        let nodes = file.node.into_iter();
        let nodes = nodes.map(|NodeTable { name, region, tiers }| Spec { name, region, tiers });
        Ok(Topology {
            name: file.name,
            file: PathBuf::new(),
            mesh: file.mesh,
            nodes: nodes.collect(),
            origins: file.origin,
            within: file.within.lower()?,
            between,
        })
    }

    /// What lies between two regions, or within one.
    pub(crate) fn shape(&self, from: &Region, to: &Region) -> Shape {
        let pair = (from.clone(), to.clone());
        self.between.get(&pair).copied().unwrap_or(self.within)
    }

    /// What lies between every two members, origins included.
    pub(crate) fn ways(&self) -> BTreeMap<(NodeName, NodeName), Shape> {
        let nodes = self.nodes.iter().map(|node| (&node.name, &node.region));
        let origins = self.origins.iter().map(|origin| (&origin.name, &origin.region));
        let members: Vec<_> = nodes.chain(origins).collect();
        let mut ways = BTreeMap::new();
        for (from, here) in &members {
            for (to, there) in members.iter().filter(|(to, _)| to != from) {
                ways.insert(((*from).clone(), (*to).clone()), self.shape(here, there));
            }
        }
        ways
    }
}

impl ShapeTable {
    fn lower(&self) -> anyhow::Result<Shape> {
        let time = |ms: f64| match (0.0..=DELAY_MS_MAX).contains(&ms) {
            true => Ok(Duration::from_secs_f64(ms / 1_000.0)),
            false => bail!("a time of {ms} ms: expected 0 to {DELAY_MS_MAX}"),
        };
        let share = |percent: f64| match (0.0..=100.0).contains(&percent) {
            true => Ok(percent / 100.0),
            false => bail!("{percent} percent: expected 0 to 100"),
        };
        Ok(Shape {
            delay: time(self.delay_ms)?,
            jitter: time(self.jitter_ms)?,
            loss: share(self.loss_percent)?,
            reorder: share(self.reorder_percent)?,
            bytes_per_second: self.megabits_per_second.map(|megabits| megabits * 125_000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topologies_that_we_ship_are_read() {
        for (text, nodes, regions) in [
            (include_str!("../../cluster/one-node.toml"), 1, 1),
            (include_str!("../../cluster/three-regions.toml"), 9, 3),
            (include_str!("../../cluster/twenty-nodes.toml"), 20, 5),
        ] {
            let topology = Topology::read(text).unwrap();
            assert_eq!(topology.nodes.len(), nodes);
            let links = regions * (regions - 1);
            assert_eq!(topology.between.len(), links, "{}", topology.name);
            let members = nodes + topology.origins.len();
            assert_eq!(topology.ways().len(), members * (members - 1));
            let far = topology.between.values().map(|shape| shape.delay).max();
            assert!(far.is_none_or(|far| far <= Duration::from_millis(250)));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let node = "[[node]]\nname = \"a\"\nregion = \"eu\"\ntiers = [\"edge\"]\n";
        let origin = "[[origin]]\nname = \"o\"\nregion = \"eu\"\n";
        let two = "[regions.eu]\n[regions.us]\n";
        for (body, names) in [
            (format!("[regions.eu]\n{node}{node}{origin}"), "a is there twice"),
            (format!("[regions.us]\n{node}{origin}"), "eu is no region"),
            (format!("{two}{node}{origin}"), "no link between eu and us"),
            (format!("[regions.eu]\n[within]\ndelay_ms = 9999\n{node}{origin}"), "9999 ms"),
            (format!("[regions.eu]\n[within]\nspeed = 1\n{node}{origin}"), "unknown field"),
        ] {
            let error = Topology::read(&format!("name = \"x\"\n{body}")).unwrap_err();
            assert!(format!("{error:#}").contains(names), "{body}: {error:#}");
        }
    }
}
