//! The peer side: the same story one tier up. A question comes in, an answer and a body go out.
//!
//! Rule R2: nobody answers from behind the asker. A node that has applied less waits a moment, and
//! then says so.

use std::sync::Arc;

use http::Method;
use model::limits::CATCH_UP;
use wire::exchange::{Answer, Failure, Question};

use crate::account::Account;
use crate::body::Body;
use crate::refusal::Refusal;
use crate::respond;
use crate::want::{Asker, Effort, Footing, Resolved, Want};
use crate::world::{Interim, World};

/// Answers a peer's question; what overtakes the answer goes to `interim`.
pub async fn answer(
    world: &Arc<World>,
    question: Question,
    interim: Option<Interim>,
) -> (Answer, Body) {
    if !world.tiers.contains(question.tier) {
        return (Answer::Failed(Failure::Misdirected), Body::Empty);
    }
    if !world.ledger.reach(question.applied, CATCH_UP).await {
        return (Answer::Behind(world.ledger.state().applied()), Body::Empty);
    }
    let Some(want) = want(world, question, interim) else {
        return (Answer::Failed(Failure::Misdirected), Body::Empty);
    };
    let mut account = Account::open(world.host.now(), want.tier, Method::GET);
    account.note(&want.attributes);
    let (answer, body) = match crate::obtain(world, &want, &mut account).await {
        Ok(obtained) => respond::to_peer(world, &want, obtained, &mut account),
        Err(refusal) => {
            account.detail = Some(refusal.detail());
            account.status = refusal.status();
            (Answer::Failed(failure_of(&refusal)), Body::Empty)
        }
    };
    account.close(world.host.now(), account.status, body.bytes());
    world.journal.record(&account);
    (answer, body)
}

fn want(world: &World, question: Question, interim: Option<Interim>) -> Option<Want> {
    let distribution =
        world.ledger.state().distribution(&question.attributes.distribution)?.clone();
    let attributes = Arc::new(question.attributes);
    let Resolved { kept, place } = Resolved::of(&distribution, &attributes);
    let behavior = distribution.behavior_at(place);
    Some(Want {
        key: policy::key(behavior, &kept, &question.headers),
        tier: question.tier,
        asker: Asker::Peer,
        distribution,
        attributes,
        kept,
        place,
        headers: question.headers,
        applied: question.applied,
        settles_for: None,
        arrived_at: world.host.now(),
        footing: Footing::Leased,
        effort: Effort::Ordinary,
        interim,
        asked: Method::GET,
        slice: question.slice,
        coding: None,
    })
}

fn failure_of(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::Failed(failure) => *failure,
        Refusal::OnlyIfCached => Failure::TimedOut,
        Refusal::Restarted | Refusal::Fenced => Failure::Overloaded,
        Refusal::Host
        | Refusal::Target
        | Refusal::Token
        | Refusal::Purge
        | Refusal::Method
        | Refusal::Loop
        | Refusal::Expectation
        | Refusal::Headers
        | Refusal::Body
        | Refusal::Denied(_)
        | Refusal::NotAnEdge
        | Refusal::UnknownHost => Failure::Misdirected,
    }
}
