//! The life of a request, on one screen. A viewer's begins in [`visit`], a peer's question in
//! [`peer::answer`]; both meet in `obtain`, which is the whole of a cache node: look it up, else
//! let one request fetch it one tier up and everyone read along.
//!
//! Nothing here knows sockets, clocks or files: they are ports in [`world`]. Decisions about HTTP
//! are `caching`'s, about owners `placement`'s, about purges `control`'s; this crate puts them in
//! order.

pub mod account;
pub mod body;
pub mod change;
pub mod collapse;
pub mod flights;
pub mod inventory;
pub mod lookup;
pub mod message;
pub mod peer;
pub mod world;

mod accept;
mod allowance;
mod assemble;
mod canary;
mod encode;
mod fill;
mod finish;
mod gate;
mod invalidate;
mod pass;
mod post;
mod purge;
mod refresh;
mod refusal;
mod reading;
mod obtained;
mod respond;
mod renew;
mod resume;
mod room;
mod slice;
mod store;
mod walk;
mod want;

use std::sync::Arc;

use caching::{Plan, RequestDirectives};
use model::Tier;
use model::limits::{RESTARTS_MAX, RESTARTS_STRICT_MAX};

pub use account::Account;
pub use body::{Body, BodyError, BodyStream, Chunk};
pub use change::Changes;
pub use collapse::Fills;
pub use flights::{Flights, stop_old};
pub use inventory::{judge, plan_purge, sweep};
pub use lookup::Entry;
pub use message::{Request, Response};
pub use policy::Scheme;
pub use purge::Purged;
pub use world::{
    Countries, Encoder, Encoders, Host, Interim, Journal, Knowledge, Ledger, Members, Mesh,
    NoCountries, OriginAnswer, OriginError, OriginRequest, Origins, PeerAnswer, PeerError, Peers,
    Store, World,
};

use accept::Visit;
use account::Verdict;
use collapse::{Company, Turn};
use finish::Finish;
use obtained::Obtained;
use reading::Reading;
use refusal::Refusal;
use slice::Entered;
use want::{Asker, Effort, Want};

/// Answers one viewer. There is always an answer: what goes wrong becomes a status and a sentence.
pub async fn visit(world: &Arc<World>, request: Request) -> Response {
    let mut account = Account::open(world.host.now(), Tier::Edge, request.method.clone());
    let response = match exchange(world, request, &mut account).await {
        Ok(response) => response,
        Err(refusal) => respond::refuse(world, &refusal, &mut account),
    };
    account.close(world.host.now(), response.status, response.body.bytes());
    world.journal.record(&account);
    response
}

async fn exchange(
    world: &Arc<World>,
    request: Request,
    account: &mut Account,
) -> Result<Response, Refusal> {
    let visit = accept::visit(world, request, account)?;
    if visit.method.as_str() == purge::PURGE {
        return purge::take(world, visit, account).await;
    }
    let finish = Finish::of(&visit, account);
    let answered = answer(world, visit, account).await;
    Ok(finish.answer(world, answered, account).await)
}

async fn answer(
    world: &Arc<World>,
    visit: Visit,
    account: &mut Account,
) -> Result<Response, Refusal> {
    visit.admit()?;
    if !visit.is_cacheable_method() {
        return pass::through(world, visit, account).await;
    }
    let distribution = visit.distribution.clone();
    let footing = accept::footing(world, &distribution).await;
    let want = visit.want(account.began, footing);
    if gate::refuses(world, &want) {
        return Err(Refusal::Fenced);
    }
    let obtained = obtain(world, &want, account).await?;
    canary::offer(world, &want, &obtained);
    Ok(respond::to_viewer(world, &visit.method, &want, obtained, account))
}

/// What `want` names: from the cache, or as it arrives; of a large object the slice with which the
/// answer begins.
async fn obtain(
    world: &Arc<World>,
    want: &Want,
    account: &mut Account,
) -> Result<Obtained, Refusal> {
    for _ in 0..RESTARTS_MAX {
        let obtained = find_or_fetch(world, want, account).await?;
        match slice::enter(world, want, obtained, account).await {
            Entered::Here(obtained) => return Ok(obtained),
            Entered::Again => {}
            Entered::Failed(failure) => return Err(Refusal::Failed(failure)),
        }
    }
    Err(Refusal::Restarted)
}

async fn find_or_fetch(
    world: &Arc<World>,
    want: &Want,
    account: &mut Account,
) -> Result<Obtained, Refusal> {
    let directives = RequestDirectives::of(&want.headers);
    let mut company = Company::Any;
    let arrival = world.ledger.state().applied();
    let mut revised = None;
    for restarts in 0..RESTARTS_MAX {
        if restarts == RESTARTS_STRICT_MAX {
            let want = revised.as_ref().unwrap_or(want);
            revised = Some(Want { settles_for: Some(arrival), ..want.clone() });
        }
        let want = revised.as_ref().unwrap_or(want);
        let mut found = lookup::find(world, want);
        let plan = caching::plan(&directives, found.facts(world.host.now()));
        let why = match (plan, want.asker) {
            (Plan::Serve, _) => return Ok(found.serve(account, Verdict::Hit)),
            (Plan::ServeStale(_), Asker::Viewer) => {
                refresh::later(world, want, &found);
                return Ok(found.serve(account, Verdict::Stale));
            }
            (Plan::Revalidate(why) | Plan::Fetch(why), Asker::Viewer)
                if found.is_excused(why, world.host.now()) =>
            {
                return Ok(found.serve(account, Verdict::Stale));
            }
            (Plan::ServeStale(why), Asker::Peer) => why,
            (Plan::Refuse, _) => return Err(Refusal::OnlyIfCached),
            (Plan::Revalidate(why) | Plan::Fetch(why), _) => found.why(why),
        };
        account.verdict = Verdict::Forwarded(why);
        let reading = match collapse::join(world, want, &found, company) {
            Turn::LookAgain => continue,
            Turn::Follow(reader) => reading::follow(world, want, reader, account).await,
            Turn::Lead(lead) => {
                let reader = refresh::begin(world, want, lead, &found);
                reading::lead(world, want, reader, account).await
            }
        };
        match reading.or_stale(world, &mut found, want) {
            Reading::Here(obtained) => return Ok(obtained),
            Reading::Stale => return Ok(found.serve(account, Verdict::Stale)),
            Reading::Again => {}
            Reading::Anew => {
                revised = Some(Want { effort: Effort::Anew, ..want.clone() });
            }
            Reading::Alone => company = Company::None,
            Reading::Failed(failure) => return Err(Refusal::Failed(failure)),
        }
    }
    Err(Refusal::Restarted)
}

#[cfg(test)]
mod tests;
