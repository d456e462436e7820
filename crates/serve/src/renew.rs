//! Renewing a copy: what the tier above is asked about it, and what a 304 then means (rule R14).
//!
//! What a purge has done away with is never asked about. What a soft purge covers, or one that is
//! not known here may cover, is only asked about by a strong `ETag`: a weaker validator says that
//! the content will do, and that is just what the purge denies.

use caching::Validators;
use model::LogPosition;

use crate::gate::{Gate, Judge, Proof};
use crate::lookup::Copy;
use crate::walk::Answered;
use crate::want::Want;
use crate::world::World;

/// What a copy is asked about.
pub(crate) struct Question<'a> {
    copy: &'a Copy,
    /// What to send.
    pub(crate) validators: Validators,
    strength: Strength,
}

/// How much a validator must tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// That the content will do.
    Any,
    /// That every byte is the same: a purge covers the copy, or may cover it.
    Strong,
}

/// What a 304 says.
pub(crate) enum Confirmed<'a> {
    /// The copy is still good, and as old as it was. Unless that 304 also says that every byte is
    /// the same, it proves nothing of what this node has not applied, and the copy is no better
    /// proven than it was.
    Good(&'a Copy, Option<Proof>),
    /// The softened or doubtful copy is good again, as of that position (rule R14).
    GoodAgain(LogPosition),
    /// A purge has done away with the copy meanwhile.
    Purged,
    /// Nothing of the copy.
    Another,
}

/// What `copy` is asked about, if anything: not what a purge has done away with (rule R14).
pub(crate) fn question<'a>(world: &World, want: &Want, copy: &'a Copy) -> Option<Question<'a>> {
    let headers = &copy.object.head.headers;
    let (validators, strength) = match Judge::new(world, want).copy(copy) {
        Gate::Serve(_) => (Validators::of(headers), Strength::Any),
        Gate::Softened(..) | Gate::Unproven => (Validators::strong(headers), Strength::Strong),
        Gate::Old => return None,
    };
    (!validators.is_none()).then_some(Question { copy, validators, strength })
}

/// What `answer`, a 304 to `question`, says. The gate is asked again: a purge may have come
/// meanwhile (rule R14).
pub(crate) fn confirmed<'a>(
    world: &World,
    want: &Want,
    question: Question<'a>,
    answer: &Answered,
) -> Confirmed<'a> {
    let Question { copy, strength, .. } = question;
    let (ours, theirs) = (&copy.object.head.headers, &answer.head.headers);
    let judge = Judge::new(world, want);
    let gate = judge.copy(copy);
    match (gate, strength) {
        (Gate::Old, _) => Confirmed::Purged,
        (_, Strength::Any) if !caching::matches(ours, theirs) => Confirmed::Another,
        (_, Strength::Strong) if !caching::matches_strongly(ours, theirs) => Confirmed::Another,
        // What this node has not applied may hold a hard purge of the copy.
        (Gate::Softened(..) | Gate::Unproven, Strength::Strong) => {
            Confirmed::GoodAgain(answer.head.as_of.min(judge.applied()))
        }
        (Gate::Serve(permit), _) => {
            let is_proven = caching::matches_strongly(ours, theirs);
            Confirmed::Good(copy, (!is_proven).then_some(permit.proof()))
        }
        (Gate::Softened(..) | Gate::Unproven, _) => {
            Confirmed::Good(copy, Some(Proof::of(&copy.object.head)))
        }
    }
}
