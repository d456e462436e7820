//! Commands: what operators type, through a node that neither leads nor votes, and what they read.

use admin::view::Status;
use anyhow::{Context, Result, ensure};
use http::StatusCode;
use model::Distribution;

use crate::cluster::program::{purge, shoal, shoal_at};
use crate::cluster::stage::{Stage, cast, get, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_it_says_through_any_node() -> Result<()> {
    let stage = Stage::set(&cast(&["mid-eu-1", "edge-eu-1"]), 1).await?;
    distributions_are_applied_read_back_and_deleted(&stage).await?;
    the_status_has_everyone(&stage).await?;
    stage.end().await
}

/// A site as people write it, with little more than what it needs.
fn site(stage: &Stage) -> String {
    let (ip, port) = (stage.origin.address.ip(), stage.origin.address.port());
    format!(
        "# Our shop.\n[[distribution]]\nname = \"demo\"\naliases = [\"demo.example\"]\n\n\
         [[distribution.origins]]\nid = \"web\"\ndomain_name = \"{ip}\"\nhttp_port = {port}\n\n\
         [distribution.default_cache_behavior]\ntarget_origin_id = \"web\"\n"
    )
}

async fn distributions_are_applied_read_back_and_deleted(stage: &Stage) -> Result<()> {
    let node = stage.mesh.node(&name("edge-eu-1"));
    let (door, at) = (node.http, node.admin);
    let written = stage.directory().join("site.toml");
    std::fs::write(&written, site(stage))?;
    let apply = |file: &std::path::Path| file.display().to_string();
    let (file, none) = (apply(&written), "[]");

    let dry = shoal_at(at, &["apply", "-f", &file, "--dry-run"]).await?.well()?;
    ensure!(dry == "distribution demo created (dry run: nothing was written)\n", "{dry}");
    let all = shoal_at(at, &["get", "distributions", "-o", "json"]).await?.well()?;
    ensure!(all.trim() == none, "a dry run made {all}");

    let made = shoal_at(at, &["apply", "-f", &file]).await?.well()?;
    ensure!(made == "distribution demo created\n", "{made}");
    stage.is_served("/page", 0).await?;
    let toml = shoal_at(at, &["get", "distributions", "-o", "toml"]).await?.well()?;
    let read_back = stage.directory().join("read-back.toml");
    std::fs::write(&read_back, &toml)?;
    let same = shoal_at(at, &["apply", "-f", &apply(&read_back)]).await?.well()?;
    ensure!(same == "distribution demo unchanged\n", "{same}");
    let again = shoal_at(at, &["get", "distribution", "demo"]).await?.well()?;
    ensure!(again == toml, "{again}\nis not\n{toml}");
    let json = shoal_at(at, &["get", "distributions", "demo", "-o", "json"]).await?.well()?;
    let parsed: Vec<Distribution> = serde_json::from_str(&json)?;
    ensure!(parsed.len() == 1 && parsed[0].name.as_str() == "demo", "{json}");
    the_receipt_says_it_all(stage).await?;

    let gone = shoal_at(at, &["delete", "distribution", "demo"]).await?.well()?;
    ensure!(gone == "distribution demo deleted\n", "{gone}");
    let answer = get(door, "/page").await?;
    ensure!(answer.status == StatusCode::MISDIRECTED_REQUEST, "{}", answer.status);
    shoal_at(at, &["get", "distribution", "demo"]).await?.refuses(&["demo"])?;
    shoal_at(at, &["delete", "distribution", "demo"]).await?.refuses(&["demo"])?;
    shoal_at(at, &["purge", "/x", "-d", "demo"]).await?.refuses(&["demo"])
}

async fn the_receipt_says_it_all(stage: &Stage) -> Result<()> {
    let node = stage.mesh.node(&name("edge-eu-1"));
    let receipt = purge(node.admin, "/page", &["--idempotency-key=release-7"]).await?;
    let mut applied: Vec<&str> = receipt.applied.iter().map(|node| node.node.as_str()).collect();
    applied.sort_unstable();
    ensure!(applied == ["edge-eu-1", "mid-eu-1"], "{receipt:?}");
    ensure!(receipt.idempotency_key == "release-7" && receipt.id.len() == 32, "{receipt:?}");
    ensure!(receipt.level >= model::Level::Applied && receipt.pending.is_empty(), "{receipt:?}");
    ensure!(receipt.log_index > 0 && receipt.epoch == 0, "{receipt:?}");

    let committed = purge(node.admin, "/page", &["--wait=committed"]).await?;
    ensure!(committed.level >= model::Level::Committed, "{committed:?}");
    let all = ["purge", "--all", "--distribution=demo"];
    let text = shoal_at(node.admin, &all).await?.well()?;
    ensure!(text.starts_with("purge fenced at log index "), "{text}");
    for node in ["edge-eu-1 applied in ", "mid-eu-1 applied in "] {
        ensure!(text.contains(node), "{text}");
    }
    Ok(())
}

async fn the_status_has_everyone(stage: &Stage) -> Result<()> {
    for node in &stage.mesh.nodes {
        let json = shoal_at(node.admin, &["status", "--json"]).await?.well()?;
        let status: Status = serde_json::from_str(&json)?;
        let text = shoal_at(node.admin, &["status"]).await?.well()?;
        for known in &stage.mesh.nodes {
            let name = known.spec.name.as_str();
            let line = status.nodes.iter().find(|node| node.name == name);
            let line = line.with_context(|| format!("{name} is not in {json}"))?;
            ensure!(line.alive && line.http == Some(known.http), "{line:?}");
            ensure!(line.admin == Some(known.admin), "{line:?}");
            ensure!(text.contains(name), "{name} is not in {text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_program_explains_itself() -> Result<()> {
    let commands =
        ["demo", "node", "ca", "apply", "get", "delete", "purge", "status", "completions", "man"];
    let help = shoal(&["--help"]).await?.well()?;
    for command in commands {
        ensure!(help.contains(&format!("  {command} ")), "{command} is not in {help}");
        let own = shoal(&[command, "--help"]).await?.well()?;
        ensure!(own.contains(&format!("Usage: shoal {command}")), "{own}");
    }
    let completions = shoal(&["completions", "bash"]).await?.well()?;
    ensure!(completions.contains("complete -F _shoal"), "{completions}");
    let manual = shoal(&["man"]).await?.well()?;
    ensure!(manual.contains(".TH shoal 1") && manual.contains("purge"), "{manual}");
    let version = shoal(&["--version"]).await?.well()?;
    ensure!(version == format!("shoal {}\n", env!("CARGO_PKG_VERSION")), "{version}");
    Ok(())
}
