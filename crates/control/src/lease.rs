//! Leases: how long a node may serve copies without hearing of later purges, and when the mesh
//! knows that nobody can serve what a purge covers.
//!
//! The leader mints a [`Token`] by a round to a quorum (R6); every parent passes it on, aged, to
//! its children (R7, R8), and remembers to whom ([`Holders`], R11). Children acknowledge what they
//! have applied; a parent acknowledges the least of its own and theirs (R12). So what the leader
//! has heard acknowledged binds everybody who holds a token. Pure values: time comes in as
//! [`Moment`]s of one node's own clock, and only ages travel.

use std::collections::BTreeMap;
use std::time::Duration;

use model::limits::HOLDERS_MAX;
use model::{LogPosition, Moment, NodeName};

/// How far a clock's rate may be off, as a fraction: 1 in this many (10 %).
const DRIFT: u32 = 10;

/// How long to wait until every lease of length `lease` that was granted before has run out,
/// however slow its holder's clock and fast ours: `T (1 + ρ) / (1 − ρ)`.
pub fn wait_for(lease: Duration) -> Duration {
    lease * (DRIFT + 1) / (DRIFT - 1)
}

/// "Every entry committed `age` ago or earlier stands at `through` or before it."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The leader's term.
    pub term: u64,
    /// The last position that it vouches for.
    pub through: LogPosition,
    /// How old it is; always an over-estimate.
    pub age: Duration,
    /// How old it may become (R19).
    pub lease: Duration,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// The node has not applied what the token vouches for (R7, R9).
    Behind,
    /// The one held is as fresh.
    NotFresher,
}

/// The token that a node holds. In memory only: a new process holds none (R10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease(Option<Held>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    term: u64,
    through: LogPosition,
    asked_at: Moment,
    age: Duration,
    lease: Duration,
}

impl Held {
    fn age_at(&self, now: Moment) -> Duration {
        self.age.saturating_add(now.since(self.asked_at))
    }
}

impl Lease {
    /// Takes `token`, the answer to a request sent at `asked_at`, on a node that has applied
    /// `applied`. Its age counts from then (R8).
    pub fn take(
        &mut self,
        token: Token,
        asked_at: Moment,
        applied: LogPosition,
    ) -> Result<(), Untaken> {
        let Token { term, through, age, lease } = token;
        if applied < through {
            return Err(Untaken::Behind);
        }
        let taken = Held { term, through, asked_at, age, lease };
        let fresher = |held: Held| taken.valid_until() > held.valid_until();
        if !self.0.is_none_or(fresher) {
            return Err(Untaken::NotFresher);
        }
        self.0 = Some(taken);
        Ok(())
    }

    /// The last moment at which copies may be served on its strength (R9); none without a token.
    pub fn valid_until(&self) -> Option<Moment> {
        self.0.and_then(|held| held.valid_until())
    }

    /// The age of the token held.
    pub fn age_at(&self, now: Moment) -> Option<Duration> {
        self.0.map(|held| held.age_at(now))
    }

    /// What a child that asks `now` is given, while it is worth anything (R8: the age is passed on,
    /// never reset).
    pub fn grant(&self, now: Moment) -> Option<Token> {
        let held = self.0?;
        let age = held.age_at(now);
        let Held { term, through, lease, .. } = held;
        (age <= lease).then_some(Token { term, through, age, lease })
    }

    /// Lets go of the token.
    pub fn drop_token(&mut self) {
        self.0 = None;
    }
}

impl Held {
    /// Nothing if it was too old when it was asked for.
    fn valid_until(&self) -> Option<Moment> {
        self.lease.checked_sub(self.age).map(|left| self.asked_at.plus(left))
    }
}

/// A process that was granted tokens: a node and the number it drew when it started. A process that
/// starts anew is another holder (R11).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The node.
    pub node: NodeName,
    /// Drawn at random by each process.
    pub incarnation: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    granted_at: Moment,
    lease: Duration,
    asked: u64,
    acked: LogPosition,
}

impl Entry {
    fn is_over_at(&self, now: Moment) -> bool {
        now.since(self.granted_at) > wait_for(self.lease)
    }
}

/// Whom this process has granted tokens that may still be in use, and what they have acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Holders(BTreeMap<Holder, Entry>);

impl Holders {
    /// Notes the grant that answers the request numbered `asked`, before it leaves. A new holder
    /// uses its token only once it has applied what the granter had (R7): so much counts as
    /// acknowledged.
    /// `false`: the table is full, and nothing may be granted.
    #[must_use]
    pub fn grant(
        &mut self,
        holder: Holder,
        asked: u64,
        now: Moment,
        lease: Duration,
        applied: LogPosition,
    ) -> bool {
        if self.0.len() >= HOLDERS_MAX && !self.0.contains_key(&holder) {
            return false;
        }
        let new = Entry { granted_at: now, lease, asked, acked: applied };
        let entry = self.0.entry(holder).or_insert(new);
        entry.granted_at = now;
        entry.asked = asked.max(entry.asked);
        entry.lease = lease.max(entry.lease);
        true
    }

    /// `holder` and everybody it granted tokens have applied `position`.
    pub fn acknowledge(&mut self, holder: &Holder, position: LogPosition) {
        if let Some(entry) = self.0.get_mut(holder) {
            entry.acked = entry.acked.max(position);
        }
    }

    /// `holder` has let go of every token that it asked for with numbers up to `asked`, and uses
    /// another parent's. A word that is overtaken by a later request releases nothing.
    pub fn release(&mut self, holder: &Holder, asked: u64) {
        if self.0.get(holder).is_some_and(|entry| entry.asked <= asked) {
            self.0.remove(holder);
        }
    }

    /// Forgets those whose last token has run out by now, and says who.
    pub fn expire(&mut self, now: Moment) -> Vec<Holder> {
        let over = self.0.iter().filter(|(_, entry)| entry.is_over_at(now));
        let over: Vec<Holder> = over.map(|(holder, _)| holder.clone()).collect();
        for holder in &over {
            self.0.remove(holder);
        }
        over
    }

    /// What every holder whose token may still be in use has acknowledged; `own` if there is none.
    /// This is what a node may acknowledge itself (R12).
    pub fn acknowledged(&self, own: LogPosition, now: Moment) -> LogPosition {
        let live = self.0.values().filter(|entry| !entry.is_over_at(now));
        live.map(|entry| entry.acked).fold(own, LogPosition::min)
    }

    /// When the next entry may run out, if there is one.
    pub fn next_end(&self) -> Option<Moment> {
        let ends = self.0.values();
        ends.map(|entry| entry.granted_at.plus(wait_for(entry.lease))).min()
    }

    /// Holders whose token may still be in use and who have not acknowledged `position`.
    pub fn silent(&self, position: LogPosition, now: Moment) -> Vec<NodeName> {
        let silent = self.0.iter().filter(|(_, e)| !e.is_over_at(now) && e.acked < position);
        silent.map(|(holder, _)| holder.node.clone()).collect()
    }
}

/// A leader's time in office: what it may conclude about everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Office {
    /// Its term.
    pub term: u64,
    /// When it learned that it leads.
    pub since: Moment,
    /// Whether an earlier leader may have granted tokens that this one does not know of (R12). Only
    /// the process that founded the mesh has no predecessor.
    pub follows_another: bool,
}

impl Office {
    /// The last position at which nobody can serve older content any more. `acknowledged` is what
    /// every holder has acknowledged and every node of the roster has applied: one without a lease
    /// may serve what its origin proved to it up to a lease ago (R23), so it has to be heard too.
    /// `committed` is the last position known to be committed [`wait_for`] a lease ago: by then
    /// leases and proofs of those who were not heard are over.
    pub fn fenced_through(
        &self,
        acknowledged: LogPosition,
        committed: LogPosition,
        lease: Duration,
        now: Moment,
    ) -> LogPosition {
        let waited = now.since(self.since) > wait_for(lease);
        match waited || !self.follows_another {
            true => acknowledged.max(committed),
            false => LogPosition::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
