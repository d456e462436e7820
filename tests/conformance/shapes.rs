//! Where cases are played: one node that does everything, and three that do one tier each. What a
//! viewer gets must not depend on which.
//!
//! Both meshes stand until the program ends, since hundreds of cases share them. A shell that waits
//! for our end ends them then, however we end.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use http::Method;
use shoal::client;
use shoal::local::{LocalMesh, Spec};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::OnceCell;

use crate::cluster::stage::{command, eventually};
use crate::conformance::origin::Origin;

/// A mesh and its origin.
pub(crate) struct Shape {
    /// What failures call it.
    pub(crate) name: &'static str,
    pub(crate) origin: Origin,
    mesh: LocalMesh,
    _reaper: (Child, ChildStdin),
}

/// What ends nodes and removes their files once nobody holds its standard input any more.
const REAPER: &str = "trap '' INT TERM; cat >/dev/null; directory=$1; shift; \
    kill -KILL \"$@\"; rm -rf \"$directory\"";

static SHAPES: OnceCell<[Shape; 2]> = OnceCell::const_new();

/// Both of them.
pub(crate) async fn shapes() -> Result<&'static [Shape; 2]> {
    SHAPES.get_or_try_init(raise).await
}

async fn raise() -> Result<[Shape; 2]> {
    let alone = [Spec::new("alone", "eu", "edge,regional,shield")];
    let tiers = [
        Spec::new("the-shield", "eu", "shield"),
        Spec::new("the-regional", "eu", "regional"),
        Spec::new("the-edge", "eu", "edge"),
    ];
    Ok([Shape::raise("one node", &alone).await?, Shape::raise("three tiers", &tiers).await?])
}

impl Shape {
    async fn raise(name: &'static str, specs: &[Spec]) -> Result<Shape> {
        let directory = tempfile::Builder::new().prefix("shoal-conformance-").tempdir()?.keep();
        let program = Path::new(env!("CARGO_BIN_EXE_shoal"));
        let flags = ["--memory-mib=256"];
        let mesh = LocalMesh::start(&directory, program, specs, &flags).await?;
        met(&mesh).await?;
        let _reaper = reaper(&mesh, &directory)?;
        let origin = Origin::start().await?;
        Ok(Shape { name, origin, mesh, _reaper })
    }

    /// Where viewers are served.
    pub(crate) fn door(&self) -> SocketAddr {
        self.mesh.edges()[0].http
    }

    /// Makes `distribution`, which differs from the ordinary one in `differences`, known to every
    /// node. It answers for all hosts below its own name.
    pub(crate) async fn publish(&self, name: &str, differences: &toml::Table) -> Result<()> {
        let mut distribution = self.ordinary(name);
        merge(&mut distribution, differences);
        let body = serde_json::to_value(&distribution)?;
        let target = format!("/v1/distributions/{name}?wait=applied");
        let answer = command(self.mesh.nodes[0].admin, Method::PUT, &target, &body).await?;
        ensure!(answer.status.is_success(), "{name}: {}", client::problem(&answer));
        Ok(())
    }

    fn ordinary(&self, name: &str) -> toml::Table {
        let port = self.origin.address.port();
        let text = format!(
            "name = \"{name}\"\naliases = [\"*.{name}.test\"]\n\
             [[origins]]\nid = \"scripted\"\ndomain_name = \"127.0.0.1\"\nhttp_port = {port}\n\
             [default_cache_behavior]\ntarget_origin_id = \"scripted\"\n"
        );
        text.parse().expect("it is written above")
    }
}

/// Waits until every node sees every other alive: what is asked before goes past the tiers.
async fn met(mesh: &LocalMesh) -> Result<()> {
    for node in &mesh.nodes {
        eventually("every node sees every other", async || {
            let status = mesh.status(node.admin).await?;
            let living = status.nodes.iter().filter(|node| node.alive).count();
            ensure!(living == mesh.nodes.len(), "{} sees {living}", node.spec.name);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Tables are merged key by key, as are the tables of a list; everything else is replaced.
fn merge(into: &mut toml::Table, from: &toml::Table) {
    for (key, new) in from {
        match (into.get_mut(key), new) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Array(new)) => merge_lists(old, new),
            (Some(_), new) | (None, new) => drop(into.insert(key.clone(), new.clone())),
        }
    }
}

fn merge_lists(into: &mut Vec<toml::Value>, from: &[toml::Value]) {
    for (at, new) in from.iter().enumerate() {
        match (into.get_mut(at), new) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (Some(old), new) => *old = new.clone(),
            (None, new) => into.push(new.clone()),
        }
    }
}

fn reaper(mesh: &LocalMesh, directory: &Path) -> Result<(Child, ChildStdin)> {
    let ids = mesh.nodes.iter().filter_map(|node| node.id()).map(|id| id.to_string());
    let mut shell = Command::new("sh");
    shell.args(["-c", REAPER, "reaper"]).arg(directory).args(ids);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = shell.spawn().context("sh")?;
    let stdin = child.stdin.take().context("a pipe was asked for")?;
    Ok((child, stdin))
}
