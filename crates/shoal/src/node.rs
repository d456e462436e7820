//! A node, put together: disk and identity, links, the log; gossip and the two stories; the two
//! doors. And taken apart again.
//!
//! The order matters and is the whole of this file: nothing is answered before what it needs is
//! there.

mod background;
pub(crate) mod directory;
pub(crate) mod ground;
mod join;
pub(crate) mod stories;
pub(crate) mod succession;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::countries;
use crate::desk::Desk;
use crate::signals;
use ground::Ground;
use stories::Stories;

/// How long the word that this node serves no more may take to leave.
const FAREWELL: Duration = Duration::from_millis(100);

/// Runs a node until it is told to stop.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let countries = countries::read(config.countries_file.as_deref())?;
    let listener = gateway::Listener::bind(config.http)?;
    let token = config.token_file.as_deref().map(admin::Token::read).transpose()?;
    let door = admin::Door::bind(config.admin, token).await?;
    let (http, admin) = (listener.local_addr(), door.address());

    let ground = Ground::lay(&config).await?;
    join::check_bootstrap(&config, &ground.links, &ground.replica).await?;
    let stories = Stories::begin(&config, &ground, countries).await?;

    let mut tasks = JoinSet::new();
    let entrance = join::Entrance::of(&config, &ground);
    tasks.spawn(join::enter(entrance, ground.links.clone(), stories.follow.clone()));
    background::start(&mut tasks, &config, &ground, &stories, [http, admin]);

    let closing = CancellationToken::new();
    let desk = Arc::new(Desk::of(&ground, &stories));
    let visit = Arc::new(stories.world.clone());
    let operators = tokio::spawn(door.serve(desk, closing.clone().cancelled_owned()));
    let viewers = tokio::spawn(listener.serve(visit, config.limits, closing.clone()));
    let me = &ground.me;
    tracing::info!(
        name = %me.name, region = %me.region, tiers = %me.tiers, peers = %me.address, %http, %admin,
        "node started"
    );

    let ended = tokio::select! {
        biased;
        () = stop => Ok(()),
        failed = first_failure(&mut tasks) => Err(failed),
    };
    tracing::info!("stopping: finishing what is under way");
    closing.cancel();
    drop(viewers.await);
    drop(operators.await);
    // Whoever waits for a purge does not have to wait for a process that has ended.
    stories.follow.retire();
    tokio::time::sleep(FAREWELL).await;
    tasks.shutdown().await;
    ground.group.shutdown().await;
    ground.links.close().await;
    ended
}

/// Background tasks do not end by themselves; one that fails has a reason to stop the node.
async fn first_failure(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    loop {
        match tasks.join_next().await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return error,
            Some(Err(error)) => {
                return anyhow::Error::new(error).context("a task of the node failed");
            }
            None => std::future::pending().await,
        }
    }
}
