//! The wires between the nodes of a lab: a question becomes bytes, and `peer::answer` of the node
//! that it was sent to answers it, in bytes again.
//!
//! Faults are put in line per node; each spoils one exchange.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use model::{NodeName, Tier};
use wire::exchange::{Answer, Question};

use super::viewer::fields;
use crate::{Body, BodyError, PeerAnswer, PeerError, World};

/// What lies between the nodes.
#[derive(Default)]
pub(super) struct Wires {
    worlds: Mutex<BTreeMap<NodeName, Arc<World>>>,
    faults: Mutex<BTreeMap<String, VecDeque<Fault>>>,
    asked: Mutex<Vec<Asked>>,
}

/// A question that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// By whom.
    pub(super) from: String,
    /// Whom.
    pub(super) to: String,
    /// In which tier.
    pub(super) tier: Tier,
}

/// What goes wrong once.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// No connection.
    Unreachable,
    /// The connection holds, the exchange fails.
    Broken,
    /// The body breaks off after so many chunks.
    BreaksAfter(usize),
    /// The node says this instead.
    Says(Answer, &'static str),
}

impl Wires {
    /// Puts a node on the wires.
    pub(super) fn attach(&self, world: Arc<World>) {
        self.worlds.lock().unwrap().insert(world.name.clone(), world);
    }

    /// The port of the node called `from`.
    pub(super) fn end_at(self: &Arc<Self>, from: &NodeName) -> Arc<dyn crate::Peers> {
        Arc::new(End { wires: Arc::downgrade(self), from: from.to_string() })
    }

    /// The next question to `to` that has no fault yet meets `fault`.
    pub(super) fn spoil(&self, to: &str, fault: Fault) {
        self.faults.lock().unwrap().entry(to.into()).or_default().push_back(fault);
    }

    /// Every question so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Those whom the node called `from` asked.
    pub(super) fn asked_by(&self, from: &str) -> Vec<String> {
        let by = self.asked().into_iter().filter(|asked| asked.from == from);
        by.map(|asked| asked.to).collect()
    }

    fn note(&self, from: &str, to: &NodeName, tier: Tier) -> Option<Fault> {
        let asked = Asked { from: from.into(), to: to.to_string(), tier };
        self.asked.lock().unwrap().push(asked);
        self.faults.lock().unwrap().get_mut(to.as_str())?.pop_front()
    }
}

struct End {
    wires: std::sync::Weak<Wires>,
    from: String,
}

impl crate::Peers for End {
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        _patience: Duration,
        interim: Option<crate::Interim>,
    ) -> BoxFuture<'static, Result<PeerAnswer, PeerError>> {
        let wires = self.wires.upgrade().expect("the lab still stands");
        let fault = wires.note(&self.from, to, question.tier);
        let world = wires.worlds.lock().unwrap()[to].clone();
        let question = Question::decode(&question.encode()).unwrap();
        async move {
            let cut = match fault {
                None => usize::MAX,
                Some(Fault::BreaksAfter(chunks)) => chunks,
                Some(Fault::Unreachable) => return Err(PeerError::Unreachable("cut".into())),
                Some(Fault::Broken) => return Err(PeerError::Broken("reset".into())),
                Some(Fault::Says(answer, content)) => {
                    let body = Body::from_bytes(content.into()).into_stream();
                    return Ok(PeerAnswer { answer, body });
                }
            };
            let (answer, body) = crate::peer::answer(&world, question, interim).await;
            let answer = Answer::decode(&answer.encode()).unwrap();
            let body = body.into_stream();
            let body = match cut {
                usize::MAX => body,
                chunks => {
                    let end = stream::iter([Err(BodyError::Broken("the peer is gone".into()))]);
                    body.take(chunks).chain(end).boxed()
                }
            };
            Ok(PeerAnswer { answer, body })
        }
        .boxed()
    }
}

/// An answer's head as a peer might send it.
pub(super) fn head(lines: &str, as_of: model::LogPosition, body_bytes: u64) -> Answer {
    Answer::Response(wire::exchange::AnswerHead {
        status: http::StatusCode::OK,
        headers: fields(lines),
        as_of,
        age: Duration::ZERO,
        proof_age: Duration::ZERO,
        body_bytes: Some(body_bytes),
        trail: String::new(),
    })
}
