//! Questions and answers between tiers, on the bulk lane: perhaps hints, a frame with the head,
//! then the body as frames.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use model::NodeName;
use model::limits::{CONNECT_PATIENCE, HINTS_MAX, INTERIMS_MAX};
use serve::{Body, BodyError, BodyStream, Chunk, Interim, PeerAnswer, PeerError, World};
use tokio::sync::mpsc;
use tokio::time::timeout;
use transport::{Channel, LinkError, Links, Receiver, Target};
use wire::exchange::{Hint, Opening, Question};
use wire::hello::Kind;

/// How long a peer may take to say what it wants once it has opened a stream.
const QUESTION: Duration = Duration::from_secs(5);

/// The other nodes, as the request story asks them.
pub(crate) struct Exchange {
    /// Where they are reached.
    pub(crate) links: Links,
}

impl serve::Peers for Exchange {
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        patience: Duration,
        interim: Option<Interim>,
    ) -> BoxFuture<'static, Result<PeerAnswer, PeerError>> {
        let (links, target) = (self.links.clone(), Target::Node(to.clone()));
        async move {
            let late = || PeerError::Broken("no answer in time".into());
            let asking = ask(&links, &target, &question, interim);
            timeout(patience, asking).await.unwrap_or_else(|_| Err(late()))
        }
        .boxed()
    }
}

async fn ask(
    links: &Links,
    to: &Target,
    question: &Question,
    interim: Option<Interim>,
) -> Result<PeerAnswer, PeerError> {
    let opening = timeout(CONNECT_PATIENCE, links.open(to, Kind::Exchange)).await;
    let opening = opening.unwrap_or(Err(LinkError::Silent(CONNECT_PATIENCE)));
    let Channel { mut sender, mut receiver } = opening.map_err(failure)?;
    sender.send(question.encode()).await.map_err(failure)?;
    sender.finish().await.map_err(failure)?;
    receiver.admitted().await.map_err(failure)?;
    for _ in 0..=HINTS_MAX {
        let frame = receiver.next().await.map_err(failure)?;
        let frame = frame.ok_or_else(|| PeerError::Broken("an empty answer".into()))?;
        match Opening::decode(&frame).map_err(|error| PeerError::Broken(error.to_string()))? {
            Opening::Answer(answer) => {
                return Ok(PeerAnswer { answer, body: body_of(receiver) });
            }
            Opening::Hint(Hint { status, headers }) => {
                interim.iter().for_each(|interim| interim(status, headers.clone()));
            }
        }
    }
    Err(PeerError::Broken("hints without an answer".into()))
}

/// Frames until the END frame; a stream that stops without one breaks the body.
fn body_of(receiver: Receiver) -> BodyStream {
    let data = |frame: Result<_, LinkError>| match frame {
        Ok(data) => Ok(Chunk::Data(data)),
        Err(LinkError::GivenUp) => Err(BodyError::GivenUp),
        Err(error) => Err(BodyError::Broken(error.to_string())),
    };
    super::frames(receiver).map(data).boxed()
}

/// Whether to doubt the peer, or only this exchange.
fn failure(error: LinkError) -> PeerError {
    match &error {
        LinkError::Unknown(_)
        | LinkError::Address(..)
        | LinkError::Unreachable(..)
        | LinkError::Unwelcome { .. }
        | LinkError::Elsewhere { .. }
        | LinkError::Silent(_)
        | LinkError::Lost(_) => PeerError::Unreachable(error.to_string()),
        LinkError::Broken
        | LinkError::GivenUp
        | LinkError::Stopped
        | LinkError::Malformed
        | LinkError::TooLong(..)
        | LinkError::Refused(_)
        | LinkError::Deadline
        | LinkError::Crowded => PeerError::Broken(error.to_string()),
    }
}

/// Answers one question, unless the asker loses interest first.
pub(crate) async fn answer(world: Arc<World>, channel: Channel) {
    let Channel { mut sender, mut receiver } = channel;
    let Ok(Ok(Some(frame))) = timeout(QUESTION, receiver.next()).await else { return };
    let Ok(question) = Question::decode(&frame) else {
        tracing::debug!("a question that does not decode");
        return;
    };
    let mut stopped = pin!(sender.stopped());
    let (hint, mut hints) = mpsc::channel(INTERIMS_MAX);
    let interim = move |status, headers| {
        // Hints that the asker is too slow for are dropped: they are but hints.
        let _ = hint.try_send(Hint { status, headers });
    };
    let mut answering = pin!(serve::peer::answer(&world, question, Some(Arc::new(interim))));
    let mut told = 0;
    let (answer, body) = loop {
        tokio::select! {
            biased;
            Some(hint) = hints.recv(), if told < HINTS_MAX => {
                told += 1;
                if sender.send(hint.encode()).await.is_err() {
                    return;
                }
            }
            answer = answering.as_mut() => break answer,
            () = stopped.as_mut() => return,
        }
    };
    if sender.send(answer.encode()).await.is_ok() {
        send_body(sender, body).await;
    }
}

/// A sender that is dropped before its end resets the stream: what was cut short looks cut short.
async fn send_body(mut sender: transport::Sender, body: Body) {
    let mut body = body.into_stream();
    while let Some(chunk) = body.next().await {
        let sent = match chunk {
            Ok(Chunk::Data(data)) => sender.send(data).await.is_ok(),
            Ok(Chunk::Trailers(_)) => true,
            Err(BodyError::GivenUp) => return sender.give_up(),
            Err(BodyError::Broken(_)) => false,
        };
        if !sent {
            return;
        }
    }
    if let Err(error) = sender.finish().await {
        tracing::debug!(%error, "the asker left before the end of the body");
    }
}
