//! The answering side of a conversation: a process takes a call and does what the real one does.
//!
//! What comes in is decoded as foreign bytes are; what does not decode ends the conversation. The
//! task belongs to the process, and ends with it.

use bytes::Bytes;
use follow::{Channel, Disconnected};
use futures_util::{SinkExt, StreamExt, sink};
use model::{Instance, NodeName};
use serve::Chunk;
use wire::exchange::Question;
use wire::log::{Ask, Submission};

use super::pipe::Broken;
use super::{Call, Line, Listener};
use crate::mutants::{Mutant, forget_the_dead};

/// Takes one call, to its end.
pub(super) async fn take(listener: Listener, caller: NodeName, call: Call, line: Line) {
    match call {
        Call::Exchange => question(&listener, line).await.unwrap_or_default(),
        Call::Ask => ask(&listener, line).await.unwrap_or_default(),
        Call::Submit => submission(&listener, line).await.unwrap_or_default(),
        Call::Follow => {
            let mut channel = line.into_channel();
            if listener.mutant == Some(Mutant::ForgetTheDead) {
                channel = forget_the_dead(caller.clone(), channel);
            }
            follow::feed(&listener.follow, caller, channel).await;
        }
        Call::Raft(from) => message(&listener, from, line).await.unwrap_or_default(),
    }
}

/// `None`: the conversation ended early.
async fn question(listener: &Listener, mut line: Line) -> Option<()> {
    let frame = line.back.next().await?.ok()?;
    let question = Question::decode(&frame).ok()?;
    let (answer, body) = serve::peer::answer(&listener.world, question, None).await;
    line.out.send(answer.encode()).await.ok()?;
    let mut body = body.into_stream();
    while let Some(chunk) = body.next().await {
        match chunk.ok()? {
            Chunk::Data(frame) => line.out.send(frame).await.ok()?,
            Chunk::Trailers(_) => {}
        }
    }
    line.out.finish();
    Some(())
}

async fn submission(listener: &Listener, mut line: Line) -> Option<()> {
    let frame = line.back.next().await?.ok()?;
    let submission = Submission::decode(&frame).ok()?;
    let fate = follow::accept(&listener.follow, submission).await;
    line.out.send(fate.encode()).await.ok()?;
    line.out.finish();
    Some(())
}

async fn ask(listener: &Listener, mut line: Line) -> Option<()> {
    let frame = line.back.next().await?.ok()?;
    let told = follow::answer(&listener.follow, Ask::decode(&frame).ok()?).await;
    line.out.send(told.encode()).await.ok()?;
    line.out.finish();
    Some(())
}

async fn message(listener: &Listener, from: Instance, mut line: Line) -> Option<()> {
    let frame = line.back.next().await?.ok()?;
    let answer = listener.ground.as_ref()?.group.receive(from, frame).await;
    line.out.send(answer).await.ok()?;
    line.out.finish();
    Some(())
}

impl Line {
    /// The conversation as the two halves that `follow` speaks through.
    pub(super) fn into_channel(self) -> Channel {
        let gone = |broken: Broken| Disconnected(broken.to_string());
        let outgoing = sink::unfold(self.out, move |out, frame: Bytes| async move {
            out.send(frame).await.map(|()| out)
        });
        let outgoing = Box::pin(outgoing.sink_map_err(gone));
        let incoming = self.back.map(move |frame| frame.map_err(gone)).boxed();
        Channel { outgoing, incoming }
    }
}
