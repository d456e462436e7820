//! What a purge would remove, as every live node says of itself.

use std::time::Duration;

use admin::{Copies, Planned};
use control::{Command, CommandId, Envelope};
use follow::Follow;
use futures_util::future::join_all;
use model::{Invalidation, NodeName};
use wire::codec;
use wire::log::{Ask, Told};

/// How long a node may take to go through its cache.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks every live node, this one included.
pub(crate) async fn everywhere(follow: &Follow, purge: Invalidation) -> Vec<Planned> {
    let (copies, bytes) = follow.cache.plan(&purge);
    let own = Planned { node: follow.name.clone(), copies: Some(Copies { count: copies, bytes }) };
    let command = Command::Invalidate(purge);
    let command = codec::encode(&Envelope { id: CommandId(follow.host.dice()), command });
    let others = follow.members.peers().into_iter().filter(|peer| peer.alive);
    let others = others.map(|peer| peer.name).filter(|name| *name != follow.name);
    let asked = others.map(|name| ask(follow, name, Ask::Plan(command.clone())));
    let mut planned = join_all(asked).await;
    planned.push(own);
    planned.sort_by(|one, other| one.node.cmp(&other.node));
    planned
}

async fn ask(follow: &Follow, node: NodeName, ask: Ask) -> Planned {
    let copies = match follow.peers.ask(&node, ask, PATIENCE).await {
        Ok(Told::Planned { copies, bytes }) => Some(Copies { count: copies, bytes }),
        Ok(_) | Err(_) => None,
    };
    Planned { node, copies }
}
