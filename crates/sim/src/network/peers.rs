//! The calling side: the network as one node's `Peers` ports see it.
//!
//! A refused or silent peer is told apart from one whose conversation broke, as the real transport
//! does it: the first may be doubted, the second may only have been unlucky.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use follow::{Channel, Disconnected};
use futures_util::future::{BoxFuture, Either, select};
use futures_util::{FutureExt, SinkExt, StreamExt, future, stream};
use model::{NodeName, Path, Tier};
use serve::{BodyError, Chunk, PeerAnswer, PeerError};
use wire::exchange::{Answer, Question};
use wire::log::{Ask, Down, Fate, Submission, Subscribe, Told, Up};

use super::pipe::Broken;
use super::{Call, Line, Network, Way};
use crate::scenario::Heralds;

/// One node, calling others.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The network.
    pub(crate) network: Arc<Network>,
    /// The node that calls.
    pub(crate) node: usize,
}

impl Caller {
    fn hears_heralds(&self) -> bool {
        self.network.setting.scenario.heralds == Heralds::Heard
    }

    fn way(&self, to: &NodeName) -> Option<Way> {
        self.network.place_of(to).map(|to| Way { from: self.node, to })
    }
}

impl serve::Peers for Caller {
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        patience: Duration,
        _interim: Option<serve::Interim>,
    ) -> BoxFuture<'static, Result<PeerAnswer, PeerError>> {
        let (network, way) = (self.network.clone(), self.way(to));
        async move {
            let Some(way) = way else {
                return Err(PeerError::Unreachable("nobody has that name".into()));
            };
            let timeout = network.setting.clock.sleep(patience);
            let what = (question.tier, question.attributes.path.clone());
            let answered = match select(ask(&network, way, question).boxed(), timeout).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(PeerError::Broken("no head in time".into())),
            };
            network.note_answer(way, what, &answered);
            answered
        }
        .boxed()
    }
}

impl Network {
    fn note_answer(
        &self,
        Way { from, to }: Way,
        (tier, path): (Tier, Path),
        answered: &Result<PeerAnswer, PeerError>,
    ) {
        let [from, to] = [from, to].map(|node| self.setting.name(node));
        let said = match answered {
            Err(error) => error.to_string(),
            Ok(PeerAnswer { answer: Answer::Response(head), .. }) => {
                format!("{}, as of {}", head.status.as_u16(), head.as_of)
            }
            Ok(PeerAnswer { answer, .. }) => format!("{answer:?}"),
        };
        self.setting.note(format_args!("{from} hears from {to}, its {tier}, of {path}: {said}"));
    }
}

async fn ask(
    network: &Arc<Network>,
    way: Way,
    question: Question,
) -> Result<PeerAnswer, PeerError> {
    let broken = |broken: Broken| PeerError::Broken(broken.to_string());
    let line = network.dial(way, Call::Exchange).await;
    let Line { out, mut back } = line.map_err(|why| PeerError::Unreachable(why.to_string()))?;
    out.send(question.encode()).await.map_err(broken)?;
    out.finish();
    let head = back.next().await.unwrap_or(Err(Broken)).map_err(broken)?;
    let answer = Answer::decode(&head).map_err(|error| PeerError::Broken(error.to_string()))?;
    let chunk = |frame: Result<_, Broken>| {
        frame.map(Chunk::Data).map_err(|broken| BodyError::Broken(broken.to_string()))
    };
    Ok(PeerAnswer { answer, body: back.map(chunk).boxed() })
}

impl follow::Peers for Caller {
    fn submit(
        &self,
        to: &NodeName,
        submission: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>> {
        let (network, way) = (self.network.clone(), self.way(to));
        async move {
            let Line { out, mut back } = dial(&network, way, Call::Submit).await?;
            out.send(submission.encode()).await.map_err(disconnected)?;
            out.finish();
            let fate = back.next().await.unwrap_or(Err(Broken)).map_err(disconnected)?;
            Fate::decode(&fate).map_err(disconnected)
        }
        .boxed()
    }

    fn ask(
        &self,
        to: &NodeName,
        ask: Ask,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Told, Disconnected>> {
        let (network, way) = (self.network.clone(), self.way(to));
        let way = way.filter(|_| self.hears_heralds() || !matches!(ask, Ask::Tentative(_)));
        async move {
            let timeout = network.setting.clock.sleep(patience);
            match select(ask_small(&network, way, ask).boxed(), timeout).await {
                Either::Left((told, _)) => told,
                Either::Right(_) => Err(Disconnected("no answer in time".into())),
            }
        }
        .boxed()
    }

    fn follow(
        &self,
        to: &NodeName,
        subscribe: Subscribe,
    ) -> BoxFuture<'static, Result<Channel, Disconnected>> {
        let (network, way) = (self.network.clone(), self.way(to));
        let hears = self.hears_heralds();
        async move {
            let line = dial(&network, way, Call::Follow).await?;
            line.out.send(subscribe.encode()).await.map_err(disconnected)?;
            let channel = line.into_channel();
            Ok(if hears { channel } else { without_heralds(channel) })
        }
        .boxed()
    }
}

/// Loses every purge that runs ahead of the log.
fn without_heralds(Channel { outgoing, incoming }: Channel) -> Channel {
    let is_kept = |up: &Bytes| !matches!(Up::decode(up), Ok(Up::Tentative(_)));
    let outgoing = outgoing.with_flat_map(move |up| {
        stream::iter(Some(up).filter(is_kept).map(Ok::<Bytes, Disconnected>))
    });
    let is_kept = |down: &Result<Bytes, Disconnected>| match down {
        Ok(down) => !matches!(Down::decode(down), Ok(Down::Tentative(_))),
        Err(_) => true,
    };
    let incoming = incoming.filter(move |down| future::ready(is_kept(down))).boxed();
    Channel { outgoing: Box::pin(outgoing), incoming }
}

async fn ask_small(
    network: &Arc<Network>,
    way: Option<Way>,
    ask: Ask,
) -> Result<Told, Disconnected> {
    let Line { out, mut back } = dial(network, way, Call::Ask).await?;
    out.send(ask.encode()).await.map_err(disconnected)?;
    out.finish();
    let told = back.next().await.unwrap_or(Err(Broken)).map_err(disconnected)?;
    Told::decode(&told).map_err(disconnected)
}

async fn dial(network: &Arc<Network>, way: Option<Way>, call: Call) -> Result<Line, Disconnected> {
    let way = way.ok_or_else(|| Disconnected("nobody has that name".into()))?;
    network.dial(way, call).await.map_err(disconnected)
}

fn disconnected(why: impl std::fmt::Display) -> Disconnected {
    Disconnected(why.to_string())
}
