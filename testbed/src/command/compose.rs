//! `testbed compose`: a Compose file for a topology, to be used by hand, with the certificates that
//! it mounts.
//!
//! All nodes are on one bridge network with fixed addresses; there is no ocean between regions.
//! The admin port stays inside of each container: `docker compose exec NODE shoal status`.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use model::Tier;
use serde_json::json;
use shoal::local::Spec;
use shoal::output;

use crate::cli::Context;
use crate::topology::Topology;

/// The network of the file.
const NETWORK: [u8; 3] = [10, 90, 0];
/// The first port of this machine on which an edge is reached.
const FIRST_PORT: usize = 8_081;

/// Write a Compose file for a topology, and the certificates that it mounts.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where compose.yaml and tls/ are written.
    out: PathBuf,
    /// Which nodes: a file.
    #[arg(long, default_value = "cluster/three-regions.toml", value_name = "FILE")]
    topology: PathBuf,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let topology = Topology::load(&arguments.topology)?;
    let tls = arguments.out.join("tls");
    std::fs::create_dir_all(&arguments.out)?;
    ensure!(!tls.exists(), "{} is there already", tls.display());
    shoal(&["ca", "init", &tls.display().to_string(), "--mesh", &topology.name])?;
    for node in &topology.nodes {
        let (region, tiers) = (node.region.to_string(), node.tiers.to_string());
        let issue = ["ca", "issue", node.name.as_str(), "--region", &region, "--tiers", &tiers];
        let place = tls.display().to_string();
        shoal(&[&issue[..], &["--dir", &place]].concat())?;
    }
    std::fs::write(arguments.out.join("compose.yaml"), compose(&topology))?;
    let place = arguments.out.display();
    match context.json {
        true => output::line(json!({ "compose": arguments.out.join("compose.yaml"), "tls": tls })),
        false => output::line(format!("cd {place} && docker compose up -d")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Our own program, as the nodes' program.
fn shoal(words: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0("shoal").args(words).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("shoal cannot be started")?;
    ensure!(status.success(), "shoal {} failed", words.join(" "));
    Ok(())
}

fn address(index: usize) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    let host = u8::try_from(index + 10).expect("a topology has at most 200 members");
    Ipv4Addr::new(a, b, c, host)
}

/// The file.
fn compose(topology: &Topology) -> String {
    let mut file = format!(
        "# {}: {} nodes, for `docker compose up -d`. Made by `testbed compose`; the image is\n\
         # built from testbed/Dockerfile. Ask a node: docker compose exec NAME shoal status\n\
         services:\n",
        topology.name,
        topology.nodes.len()
    );
    let seeds: Vec<(usize, &Spec)> =
        topology.nodes.iter().enumerate().filter(|(_, node)| is_seed(node)).collect();
    let mut port = FIRST_PORT;
    for (index, node) in topology.nodes.iter().enumerate() {
        let own = address(index);
        let mut flags = vec![
            "node".to_owned(),
            format!("--name={}", node.name),
            "--tls-dir=/tls".into(),
            "--data-dir=/data".into(),
            format!("--listen={own}:7400"),
            "--http=0.0.0.0:8080".into(),
            format!("--memory-mib={}", topology.mesh.memory_mib.unwrap_or(256)),
        ];
        if let Some(distance) = &topology.mesh.raft_distance {
            flags.push(format!("--raft-distance={distance}"));
        }
        match index {
            0 => flags.push("--bootstrap".into()),
            _joins => {
                let others = seeds.iter().filter(|(other, _)| *other != index);
                flags.extend(others.map(|(other, _)| format!("--seed={}:7400", address(*other))));
            }
        }
        service(&mut file, node, own, &flags);
        if node.tiers.contains(Tier::Edge) {
            push(&mut file, &format!("    ports: [\"{port}:8080\"]\n"));
            port += 1;
        }
    }
    let [a, b, c] = NETWORK;
    push(&mut file, "networks:\n  mesh:\n    ipam:\n      config:\n");
    push(&mut file, &format!("        - subnet: {a}.{b}.{c}.0/24\nvolumes:\n"));
    for node in &topology.nodes {
        push(&mut file, &format!("  {}:\n", node.name));
    }
    file
}

/// Whoever can vote, or the first.
fn is_seed(node: &Spec) -> bool {
    node.tiers.contains(Tier::Regional) || node.tiers.contains(Tier::Shield)
}

fn service(file: &mut String, node: &Spec, own: Ipv4Addr, flags: &[String]) {
    let name = &node.name;
    let mut text = format!("  {name}:\n    image: shoal-testbed\n    restart: unless-stopped\n");
    // SIGTERM drains for up to thirty seconds.
    push(&mut text, "    stop_grace_period: 40s\n    command:\n");
    for flag in flags {
        push(&mut text, &format!("      - {flag}\n"));
    }
    push(&mut text, &format!("    volumes: [\"./tls:/tls:ro\", \"{name}:/data\"]\n"));
    push(&mut text, &format!("    networks:\n      mesh:\n        ipv4_address: {own}\n"));
    push(file, &text);
}

fn push(file: &mut String, text: &str) {
    file.write_str(text).expect("a string takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_that_we_ship_is_what_is_made() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster");
        let topology = Path::new(directory).join("three-regions.toml");
        let made = compose(&Topology::load(&topology).unwrap());
        let shipped = std::fs::read_to_string(Path::new(directory).join("compose.yaml"));
        let shipped = shipped.unwrap_or_default();
        assert_eq!(made, shipped, "testbed compose made something else than cluster/compose.yaml");
    }
}
