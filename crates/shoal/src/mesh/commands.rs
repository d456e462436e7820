//! Commands going up and the log coming down, on the control lane.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use follow::{Disconnected, Follow};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, sink};
use model::NodeName;
use transport::{Channel, LinkError, Links, PeerIdentity, Refused, Sender, Target};
use wire::hello::Kind;
use wire::log::{Ask, Fate, Submission, Subscribe, Told};

/// Beyond what the asker waits itself, for the word to arrive.
const GRACE: Duration = Duration::from_secs(1);

/// The other nodes, as the command story speaks to them.
pub(crate) struct Commands {
    /// Where they are reached.
    pub(crate) links: Links,
}

fn gone(error: LinkError) -> Disconnected {
    Disconnected(error.to_string())
}

impl follow::Peers for Commands {
    fn submit(
        &self,
        to: &NodeName,
        submission: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>> {
        let (links, target) = (self.links.clone(), Target::Node(to.clone()));
        async move {
            let deadline = Duration::from_millis(submission.patience_ms) + GRACE;
            match links.call(&target, Kind::Submit, submission.encode(), deadline).await {
                Ok(answer) => Fate::decode(&answer).map_err(|e| Disconnected(e.to_string())),
                Err(LinkError::Refused(reason)) => Ok(Fate::Refused(reason)),
                Err(error) => Err(gone(error)),
            }
        }
        .boxed()
    }

    fn ask(
        &self,
        to: &NodeName,
        ask: Ask,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Told, Disconnected>> {
        let (links, target) = (self.links.clone(), Target::Node(to.clone()));
        async move {
            let told = links.call(&target, Kind::Ask, ask.encode(), patience).await;
            Told::decode(&told.map_err(gone)?).map_err(|error| Disconnected(error.to_string()))
        }
        .boxed()
    }

    fn follow(
        &self,
        to: &NodeName,
        subscribe: Subscribe,
    ) -> BoxFuture<'static, Result<follow::Channel, Disconnected>> {
        let (links, target) = (self.links.clone(), Target::Node(to.clone()));
        async move {
            let mut channel = links.open(&target, Kind::Follow).await.map_err(gone)?;
            channel.sender.send(subscribe.encode()).await.map_err(gone)?;
            Ok(story_channel(channel))
        }
        .boxed()
    }
}

/// A channel as the command story holds it.
fn story_channel(channel: Channel) -> follow::Channel {
    let Channel { sender, receiver } = channel;
    let send = |mut sender: Sender, frame: Bytes| async move {
        sender.send(frame).await.map_err(gone)?;
        Ok::<Sender, Disconnected>(sender)
    };
    let incoming = super::frames(receiver).map_err(gone);
    follow::Channel { outgoing: Box::pin(sink::unfold(sender, send)), incoming: incoming.boxed() }
}

/// Takes a command from a peer.
pub(crate) async fn accept(
    node: Arc<Follow>,
    from: PeerIdentity,
    request: Bytes,
) -> Result<Bytes, Refused> {
    let submission = Submission::decode(&request).map_err(|e| Refused(e.to_string()))?;
    let PeerIdentity { name, region, tiers, .. } = from;
    let speaker = follow::Speaker { name, region, tiers };
    let submission = follow::vet(&node, &speaker, submission).map_err(Refused)?;
    Ok(follow::accept(&node, submission).await.encode())
}

/// Answers a peer's small question.
pub(crate) async fn answer(node: Arc<Follow>, request: Bytes) -> Result<Bytes, Refused> {
    let ask = Ask::decode(&request).map_err(|error| Refused(error.to_string()))?;
    Ok(follow::answer(&node, ask).await.encode())
}

/// Feeds a peer that follows.
pub(crate) async fn feed(node: Arc<Follow>, from: PeerIdentity, channel: Channel) {
    follow::feed(&node, from.name, story_channel(channel)).await;
}
