//! A node's configuration: a TOML file, then `SHOAL_*` variables, then flags. Lowered once into
//! values that cannot be wrong.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use model::limits::{CAPACITY_MAX, LEASE, LEASE_MAX, LEASE_MIN};
use model::{NodeName, Region, Tiers};
use serde::Deserialize;
use wire::protocol::Protocols;

use crate::command::run_node::Arguments;
use crate::telemetry::LogForm;

/// The file, every key optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    name: Option<NodeName>,
    region: Option<Region>,
    tiers: Option<Tiers>,
    #[serde(default)]
    seeds: Vec<String>,
    data_dir: Option<PathBuf>,
    tls_dir: Option<PathBuf>,
    bootstrap: Option<bool>,
    capacity: Option<u32>,
    #[serde(default)]
    mesh: MeshTable,
    #[serde(default)]
    http: HttpTable,
    #[serde(default)]
    admin: AdminTable,
    #[serde(default)]
    cache: CacheTable,
    #[serde(default)]
    raft: RaftTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshTable {
    listen: Option<SocketAddr>,
    advertise: Option<SocketAddr>,
    lease_seconds: Option<u64>,
    protocol: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpTable {
    listen: Option<SocketAddr>,
    countries_file: Option<PathBuf>,
    connections_max: Option<usize>,
    drain_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminTable {
    listen: Option<SocketAddr>,
    token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheTable {
    memory_mib: Option<u64>,
    canary: Option<bool>,
}

/// How patient the Raft group is; the same on every node of a mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distance {
    /// Voters within a few milliseconds of each other.
    #[default]
    Lan,
    /// Voters in different regions.
    Wan,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RaftTable {
    distance: Option<Distance>,
    gone_after_seconds: Option<u64>,
    snapshot_every_entries: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogTable {
    form: Option<LogForm>,
}

/// A node's configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// Its name.
    pub(crate) name: NodeName,
    /// Where it stands, if said; the certificate knows.
    pub(crate) region: Option<Region>,
    /// What it serves, if said; the certificate knows.
    pub(crate) tiers: Option<Tiers>,
    /// Nodes to join through, `HOST:PORT`.
    pub(crate) seeds: Vec<String>,
    /// Where it keeps the log.
    pub(crate) data_dir: PathBuf,
    /// Where `NAME.pem`, `NAME.key` and `ca.pem` are.
    pub(crate) tls_dir: PathBuf,
    /// Whether it forms a new mesh.
    pub(crate) bootstrap: bool,
    /// How long nodes may serve without hearing of later purges, for the mesh that it forms.
    pub(crate) lease: Duration,
    /// Its share of keys; 100 is ordinary.
    pub(crate) capacity: u32,
    /// What it speaks with peers.
    pub(crate) protocols: Protocols,
    /// UDP address for peers.
    pub(crate) listen: SocketAddr,
    /// What peers are told to dial, if not `listen`.
    pub(crate) advertise: Option<SocketAddr>,
    /// TCP address for viewers.
    pub(crate) http: SocketAddr,
    /// The table of the countries that viewers are in.
    pub(crate) countries_file: Option<PathBuf>,
    /// What viewers may use.
    pub(crate) limits: gateway::Limits,
    /// TCP address for operators.
    pub(crate) admin: SocketAddr,
    /// The token that operators must show.
    pub(crate) token_file: Option<PathBuf>,
    /// Bytes for cached objects.
    pub(crate) memory_bytes: u64,
    /// Whether another node judges some of its hits.
    pub(crate) canary: bool,
    /// Raft timings.
    pub(crate) distance: Distance,
    /// How long a voter must be gone before it is replaced.
    pub(crate) gone_after: Duration,
    /// Log entries between two snapshots of it.
    pub(crate) snapshot_every_entries: u64,
    /// How log lines look.
    pub(crate) log: LogForm,
}

impl Config {
    /// Puts file, variables and flags together.
    pub(crate) fn load(flags: Arguments) -> anyhow::Result<Config> {
        let file = match &flags.config {
            None => File::default(),
            Some(path) => read(path)?,
        };
        let name = flags.name.or(file.name).context(
            "the node has no name: give --name, SHOAL_NAME, or name = \"...\" in the file",
        )?;
        let data_dir = flags.data_dir.or(file.data_dir);
        let data_dir = data_dir.unwrap_or_else(|| Path::new("shoal-data").join(name.as_str()));
        let capacity = flags.capacity.or(file.capacity).unwrap_or(100);
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            bail!("capacity: {capacity} given, expected 1 to {CAPACITY_MAX}");
        }
        let seeds = if flags.seeds.is_empty() { file.seeds } else { flags.seeds };
        for seed in &seeds {
            if seed.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                bail!("seed {seed:?}: expected HOST:PORT");
            }
        }
        let listen = flags.listen.or(file.mesh.listen).unwrap_or(([0, 0, 0, 0], 7400).into());
        let advertise = flags.advertise.or(file.mesh.advertise);
        let standard = gateway::Limits::default();
        let limits = gateway::Limits {
            connections: file.http.connections_max.unwrap_or(standard.connections),
            drain: file.http.drain_seconds.map_or(standard.drain, Duration::from_secs),
            ..standard
        };
        let mebibytes = flags.memory_mib.or(file.cache.memory_mib).unwrap_or(256);
        if !(1..=1024 * 1024).contains(&mebibytes) {
            bail!("cache.memory_mib: {mebibytes} given, expected 1 to 1048576");
        }
        let lease = flags.lease.or(file.mesh.lease_seconds).map_or(LEASE, Duration::from_secs);
        if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
            let [min, max] = [LEASE_MIN, LEASE_MAX].map(|bound| bound.as_secs());
            bail!("lease: {} seconds given, expected {min} to {max}", lease.as_secs());
        }
        let snapshot_every_entries = file.raft.snapshot_every_entries.unwrap_or(5_000);
        if !(100..=1_000_000).contains(&snapshot_every_entries) {
            let given = snapshot_every_entries;
            bail!("raft.snapshot_every_entries: {given} given, expected 100 to 1000000");
        }
        Ok(Config {
            lease,
            protocols: protocols(flags.protocol.or(file.mesh.protocol))?,
            tls_dir: flags.tls_dir.or(file.tls_dir).unwrap_or_else(|| data_dir.join("tls")),
            name,
            region: flags.region.or(file.region),
            tiers: flags.tiers.or(file.tiers),
            seeds,
            data_dir,
            bootstrap: flags.bootstrap || file.bootstrap.unwrap_or(false),
            capacity,
            listen,
            advertise,
            http: flags.http.or(file.http.listen).unwrap_or(([0, 0, 0, 0], 8080).into()),
            countries_file: file.http.countries_file,
            limits,
            admin: flags
                .admin_listen
                .or(file.admin.listen)
                .unwrap_or(([127, 0, 0, 1], 7480).into()),
            token_file: flags.admin_token_file.or(file.admin.token_file),
            canary: file.cache.canary.unwrap_or(true),
            memory_bytes: mebibytes * 1024 * 1024,
            distance: flags.raft_distance.or(file.raft.distance).unwrap_or_default(),
            gone_after: Duration::from_secs(file.raft.gone_after_seconds.unwrap_or(30)),
            snapshot_every_entries,
            log: flags.log_form.or(file.log.form).unwrap_or_default(),
        })
    }
}

/// What is spoken up to `pin`, if there is one.
fn protocols(pin: Option<u16>) -> anyhow::Result<Protocols> {
    let Some(pin) = pin else { return Ok(Protocols::ALL) };
    Protocols::up_to(pin).with_context(|| {
        format!("mesh.protocol: {pin} given, this program speaks {}", Protocols::ALL)
    })
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn load(file: &str, flags: &[&str]) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        std::fs::write(&path, file).unwrap();
        let line = ["shoal", "--config", path.to_str().unwrap()].into_iter();
        let line = Line::try_parse_from(line.chain(flags.iter().copied())).unwrap();
        Config::load(line.arguments).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_name_is_enough_and_flags_win_over_the_file() {
        let config = load("name = \"a\"\ntiers = [\"edge\"]\n", &["--tiers", "shield"]).unwrap();
        assert_eq!(config.tiers.unwrap().to_string(), "shield");
        assert_eq!(config.admin.to_string(), "127.0.0.1:7480");
        assert_eq!(config.tls_dir, Path::new("shoal-data/a/tls"));
    }

    #[test]
    fn the_example_that_we_ship_is_read() {
        let config = load(include_str!("../../../cluster/node.toml"), &[]).unwrap();
        assert_eq!(config.seeds, ["10.0.0.1:7400"]);
    }

    #[test]
    fn mistakes_name_the_file_the_key_and_what_was_expected() {
        for (file, names) in [
            ("", "no name"),
            ("name = \"A\"", "expected 1 to 63 characters"),
            ("name = \"a\"\nnmae = 1", "unknown field `nmae`"),
            ("name = \"a\"\n[http]\nlisten = 80", "line 3"),
            ("name = \"a\"\ncapacity = 0", "expected 1 to"),
            ("name = \"a\"\nseeds = [\"b\"]", "expected HOST:PORT"),
            ("name = \"a\"\n[cache]\nmemory_mib = 0", "cache.memory_mib"),
            ("name = \"a\"\n[mesh]\nlease_seconds = 61", "expected 1 to 60"),
            ("name = \"a\"\n[mesh]\nprotocol = 1", "speaks protocols 2 to 3"),
            ("name = \"a\"\n[mesh]\nprotocol = 4", "mesh.protocol: 4 given"),
            ("name = \"a\"\n[raft]\nsnapshot_every_entries = 1", "expected 100 to 1000000"),
        ] {
            let error = load(file, &[]).unwrap_err();
            assert!(error.contains(names), "{file}: {error}");
        }
    }
}
