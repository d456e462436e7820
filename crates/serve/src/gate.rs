//! The gate (rule R5): whether content may leave this node, by what the node knows of purges and by
//! how fresh that knowledge is. Whoever writes a body needs the [`ServePermit`] that only it gives.
//!
//! Content is *proven as of* a moment when no purge committed before it covers the content. A lease
//! proves, as of its token's time, every copy that passes the map; an answer of the origin is
//! proven as of when the question left, less the age that it has. Without a lease a copy's proof
//! may be as old as a lease may be: the loss of the log turns every lifetime into that, and no more
//! (R23).

use std::time::Duration;

use control::Standing;
use http::header::AGE;
use model::limits::CONFIRM;
use model::object::Head;
use model::{Attributes, LogPosition, Moment, Tags, WhenFenced};

use crate::fill::{Fill, Opening};
use crate::lookup::Copy;
use crate::want::{Effort, Footing, Want};
use crate::world::{Knowledge, World};

/// Of a lease, the part that copies come due early by, so that not all of them do at once.
const JITTER: u32 = 5;

/// How long ago something was known to be proven, and when that was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    age: Duration,
    at: Moment,
}

impl Proof {
    /// Proven at that moment.
    pub(crate) fn at(at: Moment) -> Proof {
        Proof { age: Duration::ZERO, at }
    }

    /// What the head of a response says.
    pub(crate) fn of(head: &Head) -> Proof {
        Proof { age: head.proof_age, at: head.requested_at }
    }

    /// How long ago that is.
    pub(crate) fn age_at(self, now: Moment) -> Duration {
        self.age.saturating_add(now.since(self.at))
    }

    /// What has that head is no better proven than this.
    pub(crate) fn weaken(self, head: &mut Head, now: Moment) {
        let older = self.age_at(now).saturating_sub(head.proof_age_at(now));
        head.proof_age = head.proof_age.saturating_add(older);
    }
}

/// The permission to send content out. It cannot be made outside the gate.
#[derive(Debug)]
pub(crate) struct ServePermit {
    judged_at: LogPosition,
    proof: Proof,
    runs_from: Proof,
    vouched_until: Moment,
}

impl ServePermit {
    /// No purge up to this position speaks against the content.
    pub(crate) fn judged_at(&self) -> LogPosition {
        self.judged_at
    }

    /// Since when the content is proven.
    pub(crate) fn proof(&self) -> Proof {
        self.proof
    }

    /// From when a node without a lease counts how long it may go on sending.
    pub(crate) fn runs_from(&self) -> Proof {
        self.runs_from
    }

    /// Until when the lease at hand vouches for it.
    pub(crate) fn vouched_until(&self) -> Moment {
        self.vouched_until
    }
}

/// What may be done with a copy.
#[derive(Debug)]
pub(crate) enum Gate {
    /// Serve it, as far as purges go.
    Serve(ServePermit),
    /// Serve it as what is stale: a soft purge covers it, noticed so long ago.
    Softened(ServePermit, Duration),
    /// Nothing, before the origin was asked: a purge that is not known here may cover it.
    Unproven,
    /// Nothing ever again.
    Old,
}

/// What may be done with a response that arrives.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Give it to the request.
    Admitted(ServePermit),
    /// Start over: a purge overtook it.
    Overtaken,
    /// Start over and ask the origin itself: whoever answered had it from before the fetch began.
    FromBefore,
}

/// Whether the request ends here: without fresh knowledge its distribution wants no answer.
pub(crate) fn refuses(world: &World, want: &Want) -> bool {
    want.distribution.purging.when_fenced == WhenFenced::Refuse
        && !Judge::new(world, want).is_vouched_for()
}

/// One look at what is known, and at the clock after it, on behalf of one request.
pub(crate) struct Judge<'a> {
    known: Knowledge,
    now: Moment,
    want: &'a Want,
    /// When the voters were asked for all that is known, if they were.
    confirmed_at: Option<Moment>,
}

impl<'a> Judge<'a> {
    /// The clock is read last: a pause between the two makes knowledge older, never younger.
    pub(crate) fn new(world: &World, want: &'a Want) -> Judge<'a> {
        let known = world.ledger.knowledge();
        Judge { known, now: world.host.now(), want, confirmed_at: None }
    }

    /// The look at which a response is judged that arrives with `head`. Where it took longer than a
    /// lease to come, to a node without one, the voters are asked first: one that was paused or cut
    /// off meanwhile learns what it has missed, if it can, before a byte goes out.
    pub(crate) async fn of_arrival(world: &World, want: &'a Want, head: &Head) -> Judge<'a> {
        let asked_at = {
            let judge = Judge::new(world, want);
            let is_late = judge.is_spent(Proof::of(head));
            if !is_late || judge.is_vouched_for() || judge.is_stale_ok() {
                return judge;
            }
            judge.now
        };
        let is_confirmed = world.ledger.confirm(CONFIRM).await;
        Judge { confirmed_at: is_confirmed.then_some(asked_at), ..Judge::new(world, want) }
    }

    /// When this look was taken.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// The log applied here.
    pub(crate) fn applied(&self) -> LogPosition {
        self.known.state.applied()
    }

    /// Whether this node serves copies that nothing vouches for.
    pub(crate) fn is_lenient(&self) -> bool {
        !self.is_vouched_for() && self.is_stale_ok()
    }

    /// What may be done with `copy`. One compare of positions, unless the log moved on since the
    /// last time, one of times, and one with the last tentative purge.
    pub(crate) fn copy(&self, copy: &Copy) -> Gate {
        let standing = self.standing_of(copy);
        if standing == Standing::Old {
            return Gate::Old;
        }
        let proof = Proof::of(&copy.object.head);
        if !self.is_vouched_for() && proof.age_at(self.now) > self.copy_proof_age_max() {
            match self.is_stale_ok() {
                true => {}
                false => return Gate::Unproven,
            }
        }
        let permit = self.permit(self.applied().max(copy.object.head.as_of), proof);
        match standing {
            Standing::Good | Standing::Old => Gate::Serve(permit),
            Standing::Softened => {
                let since = copy.softened_at.get_or_init(|| self.now);
                Gate::Softened(permit, self.now.since(*since))
            }
        }
    }

    /// What purges say of a slice. Whether it may be served is for its manifest to say.
    pub(crate) fn slice(&self, slice: &Copy) -> Standing {
        self.standing_of(slice)
    }

    fn standing_of(&self, copy: &Copy) -> Standing {
        let Copy { object, checked, born_at, .. } = copy;
        let (attributes, tags) = (&object.attributes, &object.tags);
        let (applied, reached) = (self.applied(), checked.reached());
        let mut standing = Standing::Good;
        if reached < applied {
            standing = self.known.state.standing(attributes, tags, reached);
            if standing == Standing::Good {
                checked.raise(applied);
            }
        }
        let as_of = object.head.as_of;
        let of = |asked: &Attributes| {
            let standing = self.known.state.standing(asked, &Tags::NONE, as_of);
            standing.max(self.known.tentative.standing(asked, &Tags::NONE, *born_at))
        };
        let by_its_names = self.known.tentative.standing(attributes, tags, *born_at);
        standing.max(by_its_names).max(self.want.asked_standing(of))
    }

    /// Whether the request may wait for `fill` (rule R4): no purge known by now covers it, and it
    /// began late enough for what the request rests on.
    pub(crate) fn lets_join(&self, fill: &Fill) -> bool {
        let origin = fill.provenance();
        let began_since = fill.began_at >= self.want.arrived_at;
        if self.want.effort == Effort::Anew {
            return fill.effort == Effort::Anew && began_since;
        }
        let tentative = &self.known.tentative;
        let tentative = self.want.tentative_standing(tentative, &origin.tags, fill.began_at);
        tentative == Standing::Good
            && self.is_current(origin.as_of, &origin.tags)
            && self.accepts(origin.proof)
    }

    /// Whether a response that reflects `as_of` may be used for the request.
    pub(crate) fn is_current(&self, as_of: LogPosition, tags: &Tags) -> bool {
        self.settles_for(as_of) || self.is_good(as_of, tags)
    }

    fn settles_for(&self, as_of: LogPosition) -> bool {
        self.want.settles_for.is_some_and(|arrival| as_of >= arrival)
    }

    fn is_good(&self, as_of: LogPosition, tags: &Tags) -> bool {
        self.want.standing(&self.known.state, tags, as_of) == Standing::Good
    }

    /// What may be done with what `fill` brought. A purge that is only tentative turns nobody away
    /// who waited already when it was heard of.
    pub(crate) fn arrival(&self, fill: &Fill, opening: &Opening) -> Arrival {
        let Opening { head, tags, .. } = opening;
        let proof = Proof::of(head);
        let asked_anew = opening.effort != Effort::Ordinary;
        let is_anew = asked_anew && fill.began_at >= self.want.arrived_at;
        if self.was_heard_of_between(tags, fill.began_at) {
            return Arrival::Overtaken;
        }
        if !self.is_current(head.as_of, tags) {
            let raced = !self.is_good(fill.started, tags);
            return match (is_anew, raced) {
                (true, false) => Arrival::Admitted(self.exception(proof)),
                (true, true) if self.want.settles_for.is_some() => {
                    Arrival::Admitted(self.exception(proof))
                }
                (false, false) if head.headers.contains_key(AGE) => Arrival::FromBefore,
                (_, _) => Arrival::Overtaken,
            };
        }
        match self.accepts(proof) {
            true if self.is_good(head.as_of, tags) => {
                Arrival::Admitted(self.permit(self.applied().max(head.as_of), proof))
            }
            true => Arrival::Admitted(self.exception(proof)),
            false if is_anew => Arrival::Admitted(self.exception(proof)),
            false => Arrival::FromBefore,
        }
    }

    /// Whether a tentative purge of what has these tags was heard of after that moment, and before
    /// the request came: nobody knew the tags when it joined.
    fn was_heard_of_between(&self, tags: &Tags, began_at: Moment) -> bool {
        let tentative = &self.known.tentative;
        let since = |moment| self.want.tentative_standing(tentative, tags, moment);
        since(began_at) != Standing::Good && since(self.want.arrived_at) == Standing::Good
    }

    /// For what the origin was asked after the request came, and that a purge known by now covers,
    /// or that says itself that it is older: later purges count, and the time from here on.
    fn exception(&self, proof: Proof) -> ServePermit {
        let vouched_until = self.known.valid_until.unwrap_or(Moment::START);
        let (judged_at, runs_from) = (self.applied(), Proof::at(self.now));
        ServePermit { judged_at, proof, runs_from, vouched_until }
    }

    fn permit(&self, judged_at: LogPosition, own: Proof) -> ServePermit {
        let by_lease = self.known.valid_until.map(|until| {
            let left = until.since(self.now);
            let overdue = self.now.since(until);
            let age = self.known.state.lease().saturating_sub(left).saturating_add(overdue);
            Proof { age, at: self.now }
        });
        let by_voters = match self.want.footing {
            Footing::Confirmed => Some(Proof::at(self.want.arrived_at)),
            Footing::Leased | Footing::Unconfirmed => self.confirmed_at.map(Proof::at),
        };
        let proofs = [Some(own), by_lease, by_voters].into_iter().flatten();
        let proof = proofs.min_by_key(|proof| proof.age_at(self.now)).unwrap_or(own);
        let vouched_until = self.known.valid_until.unwrap_or(Moment::START);
        // A slow origin's answer may use up a lease on its way: it still has one to go out in.
        let runs_from = if self.is_spent(proof) { Proof::at(self.now) } else { proof };
        ServePermit { judged_at, proof, runs_from, vouched_until }
    }

    /// Whether that was proven longer than a lease ago.
    fn is_spent(&self, proof: Proof) -> bool {
        proof.age_at(self.now) > self.known.state.lease()
    }

    fn is_vouched_for(&self) -> bool {
        match self.want.footing {
            Footing::Leased => self.known.valid_until.is_some_and(|until| self.now <= until),
            Footing::Confirmed => true,
            Footing::Unconfirmed => false,
        }
    }

    fn is_stale_ok(&self) -> bool {
        self.want.distribution.purging.when_fenced == WhenFenced::StaleOk
    }

    fn accepts(&self, proof: Proof) -> bool {
        let since_arrival = self.now.since(self.want.arrived_at);
        let longest = match self.want.footing {
            Footing::Leased | Footing::Confirmed => self.known.state.lease().max(since_arrival),
            Footing::Unconfirmed => since_arrival,
        };
        self.is_vouched_for() || proof.age_at(self.now) <= longest || self.is_stale_ok()
    }

    /// Of a copy's proof, when nothing else vouches for it; up to a fifth less than a lease, by the
    /// key, the same on every node.
    fn copy_proof_age_max(&self) -> Duration {
        let since_arrival = self.now.since(self.want.arrived_at);
        let [first, ..] = self.want.key.as_bytes();
        let lease = self.known.state.lease();
        let early = lease / JITTER / u32::from(u8::MAX) * u32::from(*first);
        match self.want.footing {
            Footing::Leased | Footing::Confirmed => (lease - early).max(since_arrival),
            Footing::Unconfirmed => since_arrival,
        }
    }

    /// Whether what reflects `as_of`, and was made at `born_at`, may be kept: no purge known by
    /// now, not even a tentative one, has done away with it.
    pub(crate) fn lets_keep(&self, as_of: LogPosition, tags: &Tags, born_at: Moment) -> bool {
        let standing = self.want.standing(&self.known.state, tags, as_of);
        let tentative = self.want.tentative_standing(&self.known.tentative, tags, born_at);
        standing.max(tentative) != Standing::Old
    }
}
