//! Mutants between nodes: answers edited, bodies ended too well, acknowledgements exaggerated.
//!
//! Each wraps the honest port and changes one thing on its way through. None of them invents a
//! message that the honest port would not have passed on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use follow::{Channel, Disconnected, Replica};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt, future, stream};
use model::{LogPosition, NodeName};
use serve::{PeerAnswer, PeerError};
use wire::exchange::{Answer, Failure, Question};
use wire::log::{Ask, Fate, Submission, Subscribe, Told, Up};

type Answered = Result<PeerAnswer, PeerError>;

/// Edits what peers answer.
pub(super) struct Meddler {
    /// The honest port.
    pub(super) inner: Arc<dyn serve::Peers>,
    /// What is done to each answer.
    pub(super) meddle: fn(&Replica, Answered) -> Answered,
    /// What the asker has applied.
    pub(super) replica: Arc<Replica>,
}

impl serve::Peers for Meddler {
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        patience: Duration,
        interim: Option<serve::Interim>,
    ) -> BoxFuture<'static, Answered> {
        let (meddle, replica) = (self.meddle, self.replica.clone());
        let answered = self.inner.ask(to, question, patience, interim);
        answered.map(move |answered| meddle(&replica, answered)).boxed()
    }
}

/// The answer is taken to be as fresh as its asker.
pub(super) fn restamp(replica: &Replica, answered: Answered) -> Answered {
    answered.map(|PeerAnswer { mut answer, body }| {
        if let Answer::Response(head) = &mut answer {
            head.as_of = replica.applied();
        }
        PeerAnswer { answer, body }
    })
}

/// A break is taken for the end.
pub(super) fn clean_cut(_: &Replica, answered: Answered) -> Answered {
    answered.map(|PeerAnswer { answer, body }| {
        let body = body.take_while(|chunk| future::ready(chunk.is_ok())).boxed();
        PeerAnswer { answer, body }
    })
}

/// The origin is blamed for a peer that is gone.
pub(super) fn blame_origin(_: &Replica, answered: Answered) -> Answered {
    match answered {
        Err(PeerError::Unreachable(_)) => {
            let body = stream::empty().boxed();
            Ok(PeerAnswer { answer: Answer::Failed(Failure::Unreachable), body })
        }
        answered @ (Ok(_) | Err(PeerError::Broken(_))) => answered,
    }
}

/// Tells its parents that it has applied more than it has.
pub(super) struct Boaster(pub(super) Arc<dyn follow::Peers>);

impl follow::Peers for Boaster {
    fn submit(
        &self,
        to: &NodeName,
        submission: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>> {
        self.0.submit(to, submission)
    }

    fn ask(
        &self,
        to: &NodeName,
        ask: Ask,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Told, Disconnected>> {
        self.0.ask(to, ask, patience)
    }

    fn follow(
        &self,
        to: &NodeName,
        subscribe: Subscribe,
    ) -> BoxFuture<'static, Result<Channel, Disconnected>> {
        let boast = |frame: Bytes| {
            let further = |at: LogPosition| LogPosition::new(at.epoch(), at.index() + 2);
            match Up::decode(&frame) {
                Ok(Up::Acknowledge { through, mut news }) => {
                    news.iter_mut().for_each(|one| one.applied = further(one.applied));
                    Up::Acknowledge { through: further(through), news }.encode()
                }
                Ok(Up::Ask(_) | Up::Release(_) | Up::Tentative(_)) | Err(_) => frame,
            }
        };
        let channel = self.0.follow(to, subscribe);
        let dress = move |Channel { outgoing, incoming }| {
            let outgoing = outgoing.with(move |frame| future::ready(Ok(boast(frame))));
            Channel { outgoing: Box::pin(outgoing), incoming }
        };
        channel.map(move |channel| channel.map(dress)).boxed()
    }
}
