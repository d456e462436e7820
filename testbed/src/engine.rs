//! The Docker engine: one container for each node, in a network namespace of its own that the link
//! emulator connects.
//!
//! A container is made anew for every start, since its disk is a directory of ours that is mounted
//! into it at the same path; so a start with another clock or program is nothing special. It waits
//! for its network before it becomes the node.

use std::path::Path;

use anyhow::Context;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use model::NodeName;

use crate::scene::Scene;
use crate::tool;

/// Built on demand, from `testbed/Dockerfile`.
pub(crate) const IMAGE: &str = "shoal-testbed";
/// What the Dockerfile is built on unless something else is asked for.
const BASES: [&str; 2] = ["debian:bookworm-slim", "shoal-base"];
/// The recipe, so that the program needs no checkout.
pub(crate) const DOCKERFILE: &str = include_str!("../Dockerfile");
/// Held back until the emulator has connected the container.
const ENTRY: &str = r#"until [ -e "$0/connected" ]; do sleep 0.02; done
exec "$@" >>"$0/../../logs/$(basename "$0").txt" 2>&1"#;

/// The engine of this machine.
#[derive(Clone)]
pub(crate) struct Engine {
    docker: Docker,
}

/// How a node is to be run.
pub(crate) struct Order<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [String],
    pub(crate) environment: &'a [(String, String)],
}

impl Engine {
    /// Finds it.
    pub(crate) async fn find() -> anyhow::Result<Engine> {
        let docker = Docker::connect_with_defaults()?;
        docker.ping().await.context("no Docker engine answers on this machine")?;
        Ok(Engine { docker })
    }

    /// Builds the image around `program`.
    pub(crate) async fn build(scene: &Scene, program: &Path) -> anyhow::Result<()> {
        let context = scene.state.join("image");
        std::fs::create_dir_all(&context)?;
        std::fs::write(context.join("Dockerfile"), DOCKERFILE)?;
        std::fs::copy(program, context.join("shoal"))?;
        let base = match std::env::var("TESTBED_BASE") {
            Ok(base) => base,
            Err(_) => base().await,
        };
        let (base, place) = (format!("BASE={base}"), context.display().to_string());
        let words = ["build", "-t", IMAGE, "--build-arg", &base, &place];
        let advice = "the image cannot be built; without a registry, make a base by \
            testbed/base-image first";
        tool::run("docker", &words).await.context(advice)?;
        // What had the name before has none now, and would be left for good.
        let unnamed = ["image", "prune", "--force", "--filter", "label=shoal.testbed=image"];
        tool::attempt("docker", &unnamed).await;
        Ok(())
    }

    /// Starts a container that waits for its network; its process id on this machine.
    pub(crate) async fn start(&self, scene: &Scene, order: Order<'_>) -> anyhow::Result<u32> {
        let (cell, home) = (scene.cell(order.name), scene.home(order.name));
        self.remove(&cell).await;
        let state = scene.state.display();
        let program = order.program.display().to_string();
        let inside = match order.program.starts_with(&scene.state) {
            true => vec!["/bin/sh".into(), "-c".into(), ENTRY.into(), home.display().to_string()],
            false => anyhow::bail!("{program} is not below {state}: containers do not see it"),
        };
        let command = inside.into_iter().chain([program]).chain(order.arguments.iter().cloned());
        let environment = order.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let mut binds = vec![format!("{state}:{state}")];
        if let Some(library) = crate::crew::clock_library() {
            binds.push(format!("{library}:{library}:ro"));
        }
        let config = ContainerCreateBody {
            image: Some(IMAGE.into()),
            hostname: Some(order.name.to_string()),
            entrypoint: Some(command.collect()),
            env: Some(environment.collect()),
            labels: Some([("shoal.testbed".to_owned(), scene.label())].into()),
            host_config: Some(HostConfig {
                network_mode: Some("none".into()),
                binds: Some(binds),
                init: Some(false),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&cell).build();
        self.docker.create_container(Some(options), config).await?;
        self.docker.start_container(&cell, None::<StartContainerOptions>).await?;
        let seen = self.docker.inspect_container(&cell, None).await?;
        let id = seen.state.and_then(|state| state.pid).unwrap_or(0);
        u32::try_from(id).ok().filter(|id| *id > 0).with_context(|| format!("{cell} has ended"))
    }

    pub(crate) async fn signal(&self, cell: &str, signal: &str) -> anyhow::Result<()> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        Ok(self.docker.kill_container(cell, Some(options)).await?)
    }

    pub(crate) async fn pause(&self, cell: &str) -> anyhow::Result<()> {
        Ok(self.docker.pause_container(cell).await?)
    }

    pub(crate) async fn unpause(&self, cell: &str) -> anyhow::Result<()> {
        Ok(self.docker.unpause_container(cell).await?)
    }

    /// Whether there was one does not matter.
    pub(crate) async fn remove(&self, cell: &str) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        drop(self.docker.remove_container(cell, Some(options)).await);
    }

    /// Removes all containers of one testbed.
    pub(crate) async fn sweep(&self, tag: &str) -> anyhow::Result<()> {
        let filters = [("label".to_owned(), vec![format!("shoal.testbed={tag}")])].into();
        let filters: std::collections::HashMap<String, Vec<String>> = filters;
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        for container in self.docker.list_containers(Some(options)).await? {
            if let Some(id) = container.id {
                self.remove(&id).await;
            }
        }
        Ok(())
    }
}

/// The usual base where it is at hand or can be had; otherwise what `testbed/base-image` made.
async fn base() -> String {
    let [usual, own] = BASES;
    let is_there = tool::run("docker", &["image", "inspect", usual]).await.is_ok();
    let has_own = tool::run("docker", &["image", "inspect", own]).await.is_ok();
    if !is_there && has_own { own.into() } else { usual.into() }
}
