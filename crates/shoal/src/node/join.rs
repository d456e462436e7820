//! Entering the mesh: forming it, or joining it through a seed, by the log either way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use consensus::{ConsensusError, Group};
use control::{Command, CommandId, Refusal};
use follow::{Follow, Replica, SubmitError};
use model::{Level, Member};
use transport::{LinkError, Links, Target};
use wire::hello::{Mesh, Reason};

use crate::config::Config;
use crate::node::ground::Ground;

const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(500);

/// Refuses a bootstrap where there is nothing to form.
pub(super) async fn check_bootstrap(
    config: &Config,
    links: &Links,
    replica: &Replica,
) -> anyhow::Result<()> {
    if replica.state().mesh().is_some() {
        return Ok(());
    }
    if !config.bootstrap && config.seeds.is_empty() {
        bail!(
            "this node belongs to no mesh yet: \
             give a --seed HOST:PORT of one, or form a new one with --bootstrap"
        );
    }
    if !config.bootstrap {
        return Ok(());
    }
    for seed in resolve(&config.seeds).await {
        let target = Target::Seed(seed);
        let asking = links.identify(&target);
        if let Ok(Ok(peer)) = tokio::time::timeout(Duration::from_secs(2), asking).await {
            bail!(
                "{} at {seed} already runs a node of this mesh: \
                 start without --bootstrap to join it",
                peer.name
            );
        }
    }
    Ok(())
}

/// How this node enters.
pub(super) struct Entrance {
    /// By forming the mesh.
    pub(super) bootstrap: bool,
    /// The mesh, as the certificate names it.
    pub(super) mesh: Mesh,
    /// What the roster is to say of it.
    pub(super) me: Member,
    /// Through whom it joins.
    pub(super) seeds: Vec<String>,
    /// The Raft group that it founds.
    pub(super) group: Group,
    /// Set once it has.
    pub(super) founded: Arc<AtomicBool>,
    /// How long nodes may serve without hearing of later purges, if it forms the mesh.
    pub(super) lease: Duration,
}

impl Entrance {
    /// As the configuration says.
    pub(super) fn of(config: &Config, ground: &Ground) -> Entrance {
        Entrance {
            bootstrap: config.bootstrap,
            mesh: ground.mesh.clone(),
            me: ground.me.clone(),
            seeds: config.seeds.clone(),
            group: ground.group.clone(),
            founded: ground.founded.clone(),
            lease: config.lease,
        }
    }
}

/// Enters the roster, or makes sure that the roster has this node as it is now. Then hears no more
/// of it.
pub(super) async fn enter(
    entrance: Entrance,
    links: Links,
    follow: Arc<Follow>,
) -> anyhow::Result<()> {
    let Entrance { bootstrap, mesh, me, seeds, group, founded, lease } = entrance;
    let formed = follow.replica.state().mesh().is_some();
    if bootstrap && !formed {
        found(&group, &founded).await?;
        return form(&mesh, &me, &follow, lease).await;
    }
    if bootstrap {
        tracing::info!("this directory belongs to a mesh already: --bootstrap changes nothing");
    }
    let greeting = greet_seeds(&links, &follow, &seeds);
    let joining = join(&me, &follow);
    tokio::select! {
        biased;
        joined = joining => joined,
        unwelcome = greeting => Err(unwelcome),
    }
}

async fn found(group: &Group, founded: &AtomicBool) -> anyhow::Result<()> {
    // Said beforehand: what leads from here on has no predecessor.
    founded.store(true, Ordering::Release);
    match group.bootstrap().await {
        Ok(()) => Ok(()),
        Err(ConsensusError::AlreadyMember { .. }) => {
            founded.store(false, Ordering::Release);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

async fn form(mesh: &Mesh, me: &Member, follow: &Follow, lease: Duration) -> anyhow::Result<()> {
    let lease_ms = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
    let command = Command::Form { mesh: mesh.to_string(), founder: me.clone(), lease_ms };
    let id = CommandId(follow.host.dice());
    match follow::submit(follow, id, command, Level::Committed, PATIENCE).await {
        Ok(_) | Err(SubmitError::Refused(Refusal::AlreadyFormed)) => {
            tracing::info!(%mesh, "formed a new mesh");
            Ok(())
        }
        Err(error) => Err(error).context("the mesh could not be formed"),
    }
}

/// Keeps the way to the seeds known for as long as this node has no place in the roster.
/// Ends when a seed says that this node must not join as it is.
async fn greet_seeds(links: &Links, follow: &Follow, seeds: &[String]) -> anyhow::Error {
    loop {
        for seed in resolve(seeds).await {
            let target = Target::Seed(seed);
            let asking = links.identify(&target);
            match tokio::time::timeout(PATIENCE, asking).await {
                Ok(Ok(peer)) => follow.add_seed(peer.name),
                Ok(Err(
                    error @ LinkError::Unwelcome {
                        reason: Reason::Twin | Reason::Mesh | Reason::Name,
                        ..
                    },
                )) => return error.into(),
                Ok(Err(error)) => {
                    let error = anyhow::Error::new(error);
                    tracing::warn!(%seed, "cannot join through this seed: {error:#}");
                }
                Err(_) => tracing::warn!(%seed, "this seed does not answer"),
            }
        }
        tokio::time::sleep(RETRY * 4).await;
    }
}

async fn join(me: &Member, follow: &Follow) -> anyhow::Result<()> {
    loop {
        if follow.replica.state().member(&me.name) == Some(me) {
            return Ok(());
        }
        let command = Command::Join { member: me.clone(), replaces: None };
        let id = CommandId(follow.host.dice());
        match follow::submit(follow, id, command, Level::Committed, PATIENCE).await {
            Ok(receipt) => {
                tracing::info!(position = %receipt.progressed.position, "in the roster");
                return Ok(());
            }
            Err(SubmitError::Refused(refusal)) => return Err(refusal.into()),
            Err(SubmitError::Unacceptable(reason)) => {
                tracing::warn!(reason, "not in the roster yet");
            }
            Err(SubmitError::Unknown { reason, .. }) => {
                tracing::info!(reason, "not in the roster yet");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// The addresses behind `HOST:PORT`; names that do not resolve are tried again by whoever calls
/// again.
pub(super) async fn resolve(seeds: &[String]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for seed in seeds {
        match tokio::net::lookup_host(seed).await {
            Ok(found) => addresses.extend(found),
            Err(error) => tracing::warn!(seed, %error, "this seed has no address"),
        }
    }
    addresses
}
