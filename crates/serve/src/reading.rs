//! Reading a fill: what came is judged on arrival, by the gate and by what the request selects.
//!
//! Whoever started the fetch takes what comes; whoever joined it only what is shared and of its own
//! variant.
//! A failure may be covered by a stale copy, at the viewer's own edge and nowhere else.

use caching::Vary;
use model::CacheKey;
use model::object::Head;
use wire::exchange::Failure;

use crate::account::{Account, Verdict};
use crate::fill::{Absent, Brings, Opening, Reader, Sharing};
use crate::gate::{Arrival, Judge};
use crate::lookup::{self, Found};
use crate::obtained::Obtained;
use crate::refusal::Refusal;
use crate::slice::{Opened, Sliced};
use crate::want::{Asker, Want};
use crate::world::World;

/// What came of reading a fill.
pub(crate) enum Reading {
    /// A response to give.
    Here(Obtained),
    /// The stored copy will do, since what arrived is worse.
    Stale,
    /// What arrived is not for this request: start over.
    Again,
    /// What arrived is older than the fetch that brought it: start over, straight to the origin.
    Anew,
    /// What arrived is for one request only, and not for this one.
    Alone,
    /// Nothing arrived.
    Failed(Failure),
}

/// Reads the fill that this request started: whatever arrives is its answer, unless a purge has
/// overtaken it.
pub(crate) async fn lead(
    world: &World,
    want: &Want,
    reader: Reader,
    account: &mut Account,
) -> Reading {
    read(world, want, reader, account, |_| None).await
}

/// Reads a fill that another request started: only what is shareable and of this request's variant
/// will do.
pub(crate) async fn follow(
    world: &World,
    want: &Want,
    reader: Reader,
    account: &mut Account,
) -> Reading {
    account.collapsed = true;
    let judge = |opening: &Opening| match opening.sharing {
        Sharing::Nobody(_) => Some(Reading::Alone),
        Sharing::Variant(key) if key == variant(want, &opening.head) => None,
        Sharing::Variant(_) => Some(Reading::Again),
    };
    match read(world, want, reader, account, judge).await {
        Reading::Here(obtained) => Reading::Here(obtained.for_others(want)),
        other => other,
    }
}

pub(crate) fn variant(want: &Want, head: &Head) -> CacheKey {
    match caching::vary(&head.headers) {
        Vary::None | Vary::Any => want.key,
        Vary::Fields(fields) => caching::variant_key(&want.key, &fields, &want.headers),
    }
}

async fn read(
    world: &World,
    want: &Want,
    reader: Reader,
    account: &mut Account,
    objection: impl Fn(&Opening) -> Option<Reading>,
) -> Reading {
    let opening = match reader.opening().await {
        Ok(opening) => opening,
        Err(Absent::Failed(failure)) => return Reading::Failed(failure),
        Err(Absent::Overtaken) => return Reading::Again,
    };
    let judge = Judge::of_arrival(world, want, &opening.head).await;
    let head = &opening.head;
    let is_kept = judge.lets_keep(head.as_of, &opening.tags, lookup::born_at(head));
    let judged = match judge.arrival(reader.fill(), &opening) {
        Arrival::Admitted(permit) => objection(&opening).map_or(Ok(permit), Err),
        Arrival::Overtaken => Err(Reading::Again),
        Arrival::FromBefore => Err(Reading::Anew),
    };
    let permit = match judged {
        Ok(permit) => permit,
        Err(objection) => {
            account.collapsed = false;
            return objection;
        }
    };
    account.source = opening.source.clone();
    match opening.sharing {
        Sharing::Variant(_) => account.stored = is_kept,
        Sharing::Nobody(reason) => account.detail = Some(reason),
    }
    if let (true, Verdict::Forwarded(why)) = (opening.revalidated, account.verdict) {
        account.verdict = Verdict::Revalidated(why);
    }
    let brings = opening.brings.clone();
    Reading::Here(match brings {
        Brings::Whole => Obtained::Filling(opening, reader, permit),
        Brings::Slice(manifest, number) => {
            let as_of = opening.head.as_of;
            let start = number.map(|number| (number, Opened::Coming(reader, as_of)));
            Obtained::Sliced(Sliced { manifest, opening: Some(opening), start }, permit)
        }
    })
}

impl Reading {
    /// Chooses the stored copy over a failure, where its terms allow (RFC 5861 §4). Only the
    /// viewer's own edge may choose so: tiers above tell the truth.
    pub(crate) fn or_stale(self, world: &World, found: &mut Found, want: &Want) -> Reading {
        let status = match &self {
            Reading::Failed(failure) => Refusal::Failed(*failure).status(),
            Reading::Here(obtained) => obtained.head().status,
            Reading::Again | Reading::Anew | Reading::Alone | Reading::Stale => return self,
        };
        if !caching::is_failure(status) || want.asker == Asker::Peer {
            return self;
        }
        found.judge_again(world, want);
        let now = world.host.now();
        if !found.facts(now).is_some_and(caching::may_serve_on_error) {
            return self;
        }
        found.excuse(want, status, now);
        Reading::Stale
    }
}
