//! `shoal node`: a node, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use model::{NodeName, Region, Tiers};

use crate::config::{Config, Distance};
use crate::telemetry::{self, LogForm};

/// Run a node.
///
/// The first node of a mesh is started with --bootstrap; every other one with a --seed: the address
/// of any node that runs. SIGTERM and Ctrl-C drain: responses under way are finished first.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A TOML file (see cluster/node.toml); variables and flags win over it.
    #[arg(long, env = "SHOAL_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What the node is called; its certificate is NAME.pem.
    #[arg(long, env = "SHOAL_NAME")]
    pub(crate) name: Option<NodeName>,
    /// Where it stands; must be what the certificate says.
    #[arg(long, env = "SHOAL_REGION")]
    pub(crate) region: Option<Region>,
    /// What it serves: edge, regional, shield; must be what the certificate says.
    #[arg(long, env = "SHOAL_TIERS")]
    pub(crate) tiers: Option<Tiers>,
    /// A node to join through; may be given several times.
    #[arg(long = "seed", env = "SHOAL_SEEDS", value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) seeds: Vec<String>,
    /// Where the node keeps the log [default: shoal-data/NAME].
    #[arg(long, env = "SHOAL_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where NAME.pem, NAME.key and ca.pem are [default: DATA_DIR/tls].
    #[arg(long, env = "SHOAL_TLS_DIR", value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// Form a new mesh: for its first node, once.
    #[arg(long, env = "SHOAL_BOOTSTRAP")]
    pub(crate) bootstrap: bool,
    /// Seconds that nodes may serve without hearing of later purges, fixed when the mesh is formed
    /// [default: 10].
    #[arg(long, env = "SHOAL_LEASE", value_name = "SECONDS", requires = "bootstrap")]
    pub(crate) lease: Option<u64>,
    /// The newest protocol to speak with peers, while some of them know no newer one
    /// [default: the newest].
    #[arg(long, env = "SHOAL_PROTOCOL", value_name = "NUMBER")]
    pub(crate) protocol: Option<u16>,
    /// Share of keys relative to other nodes; 100 is ordinary.
    #[arg(long, env = "SHOAL_CAPACITY")]
    pub(crate) capacity: Option<u32>,
    /// UDP address for peers [default: 0.0.0.0:7400].
    #[arg(long, env = "SHOAL_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The address that peers dial, if it is not the one listened on.
    #[arg(long, env = "SHOAL_ADVERTISE", value_name = "ADDR")]
    pub(crate) advertise: Option<SocketAddr>,
    /// TCP address for viewers [default: 0.0.0.0:8080].
    #[arg(long, env = "SHOAL_HTTP", value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// TCP address for operators [default: 127.0.0.1:7480].
    #[arg(long, env = "SHOAL_ADMIN_LISTEN", value_name = "ADDR")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// A file with the token that operators must show; needed beyond loopback.
    #[arg(long, env = "SHOAL_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Memory for cached objects, in MiB [default: 256].
    #[arg(long, env = "SHOAL_MEMORY_MIB", value_name = "MIB")]
    pub(crate) memory_mib: Option<u64>,
    /// How far voters are from each other; the same on every node [default: lan].
    #[arg(long, env = "SHOAL_RAFT_DISTANCE", value_enum)]
    pub(crate) raft_distance: Option<Distance>,
    /// How log lines look [default: text].
    #[arg(long, env = "SHOAL_LOG", value_enum)]
    pub(crate) log_form: Option<LogForm>,
}

/// Runs the node.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments)?;
    telemetry::start(config.log);
    crate::node::run(config).await?;
    Ok(ExitCode::SUCCESS)
}
