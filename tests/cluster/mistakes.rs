//! Mistakes: a node that cannot start ends with exit code 1 and a sentence that says what to do,
//! and the mesh that runs does not feel it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use shoal::local::Spec;

use crate::cluster::program::{Said, shoal};
use crate::cluster::stage::{Stage, cast, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_start_says_why_and_disturbs_nobody() -> Result<()> {
    let stage = Stage::serving(&two(), 1).await?;
    let tls_dir = format!("--dir={}", file(&stage, "tls").display());
    let issue = ["ca", "issue", "mid-eu-9", "--region=eu", "--tiers=regional", &tls_dir];
    shoal(&issue).await?.well()?;
    wrong_beginnings(&stage).await.context("wrong beginnings")?;
    ports_in_use(&stage).await.context("ports in use")?;
    wrong_files(&stage).await.context("wrong files")?;
    undisturbed(stage).await
}

/// The name is taken by a node that lives, whoever is asked to let the second one in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_of_a_name_is_refused_whoever_it_asks() -> Result<()> {
    let stage = Stage::serving(&two(), 1).await?;
    for seed in ["mid-eu-1", "edge-eu-1"] {
        let twin = Newcomer::new(&stage, "edge-eu-1").joining(&stage, seed);
        let asked = || format!("through {seed}");
        let said = twin.run().await.with_context(asked)?;
        said.refuses(&["edge-eu-1", "stop"]).with_context(asked)?;
    }
    undisturbed(stage).await
}

fn two() -> Vec<Spec> {
    cast(&["mid-eu-1", "edge-eu-1"])
}

async fn undisturbed(stage: Stage) -> Result<()> {
    stage.settled(1).await?;
    stage.is_served("/page", 0).await?;
    let status = stage.status(stage.anyone()?).await?;
    ensure!(status.nodes.len() == 2, "{:?}", status.nodes);
    stage.end().await
}

/// A node with ports and a data directory of its own.
struct Newcomer {
    arguments: Vec<String>,
}

impl Newcomer {
    fn new(stage: &Stage, name: &str) -> Newcomer {
        let mut newcomer = Newcomer { arguments: vec!["node".into()] };
        let directory = |what: &str| stage.directory().join(what).display().to_string();
        newcomer.set("name", name);
        newcomer.set("tls-dir", directory("tls"));
        newcomer.set("data-dir", directory("newcomer"));
        for port in ["listen", "http", "admin-listen"] {
            newcomer.set(port, "127.0.0.1:0");
        }
        newcomer
    }

    /// Sets or replaces a flag.
    fn set(&mut self, flag: &str, value: impl ToString) {
        let start = format!("--{flag}=");
        self.arguments.retain(|argument| !argument.starts_with(&start));
        self.arguments.push(format!("{start}{}", value.to_string()));
    }

    fn with(mut self, flag: &str, value: impl ToString) -> Newcomer {
        self.set(flag, value);
        self
    }

    /// A seed among those who run.
    fn joining(self, stage: &Stage, seed: &str) -> Newcomer {
        self.with("seed", stage.mesh.node(&name(seed)).mesh_address)
    }

    fn forming(mut self) -> Newcomer {
        self.arguments.push("--bootstrap".into());
        self
    }

    async fn run(self) -> Result<Said> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        shoal(&arguments).await
    }
}

async fn wrong_beginnings(stage: &Stage) -> Result<()> {
    let second = Newcomer::new(stage, "mid-eu-9").joining(stage, "mid-eu-1").forming();
    second.run().await?.refuses(&["mid-eu-1", "already runs", "without --bootstrap"])?;
    let lost = Newcomer::new(stage, "mid-eu-9");
    lost.run().await?.refuses(&["no mesh", "--seed", "--bootstrap"])
}

async fn ports_in_use(stage: &Stage) -> Result<()> {
    let taken = stage.mesh.node(&name("mid-eu-1"));
    for (flag, address) in
        [("listen", taken.mesh_address), ("http", taken.http), ("admin-listen", taken.admin)]
    {
        let newcomer = Newcomer::new(stage, "mid-eu-9").joining(stage, "mid-eu-1");
        let said = newcomer.with(flag, address).run().await?;
        said.refuses(&[&address.to_string(), "in use"]).with_context(|| flag.to_owned())?;
    }
    Ok(())
}

async fn wrong_files(stage: &Stage) -> Result<()> {
    let joining = |name: &str| Newcomer::new(stage, name).joining(stage, "mid-eu-1");
    let uncertified = joining("mid-eu-8").run().await?;
    let file = file(stage, "tls/mid-eu-8.pem");
    uncertified.refuses(&[&shown(&file), "shoal ca issue"])?;

    let config = written(stage, "mistyped.toml", "[http]\nlissten = \"127.0.0.1:0\"\n")?;
    let mistyped = joining("mid-eu-9").with("config", shown(&config)).run().await?;
    mistyped.refuses(&[&shown(&config), "lissten"])?;

    // A mode that forbids writing would not stop root, who runs tests in containers.
    let plain = written(stage, "plain", "not a directory")?.join("data");
    let homeless = joining("mid-eu-9").with("data-dir", shown(&plain)).run().await?;
    homeless.refuses(&["data directory", &shown(&plain)])
}

fn file(stage: &Stage, name: &str) -> PathBuf {
    stage.directory().join(name)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn written(stage: &Stage, name: &str, text: &str) -> Result<PathBuf> {
    let path = file(stage, name);
    std::fs::write(&path, text)?;
    Ok(path)
}
