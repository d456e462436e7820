//! Tentative purges: commands that are on their way into the log, heard of before they are in it
//! (rule R24).
//!
//! They have no position yet, so they count by this node's own clock: what was fetched before one
//! was heard of is covered by it. Forgetting one is harmless, since the log brings it again; so is
//! keeping one that never enters the log. No acknowledgement ever counts them.

use std::time::Duration;

use imbl::OrdMap;
use model::{Attributes, DistributionName, Effect, Invalidation, Moment, Tags};

use crate::epochs::{Purged, Standing};

/// How long a purge is remembered at least; the log has brought it long before.
const LIFE: Duration = Duration::from_secs(15);
/// Scopes remembered at once; beyond it everything of a distribution that purges more is covered.
const SCOPES_MAX: usize = 100_000;

type Heard = OrdMap<DistributionName, [Purged<Moment>; 2]>;

/// The purges heard of.
#[derive(Clone, Debug, Default)]
pub struct Tentative {
    young: Heard,
    old: Heard,
    scopes: usize,
    turned_at: Moment,
    newest: Moment,
}

impl Tentative {
    /// Notes a purge heard of at `now`.
    pub fn note(&mut self, purge: &Invalidation, now: Moment) {
        if now.since(self.turned_at) > LIFE {
            self.old = std::mem::take(&mut self.young);
            (self.scopes, self.turned_at) = (0, now);
        }
        self.newest = self.newest.max(now);
        self.scopes += purge.scopes.len();
        let [hard, soft] = self.young.entry(purge.distribution.clone()).or_default();
        let covered = match purge.effect {
            Effect::Hard => hard,
            Effect::Soft => soft,
        };
        match self.scopes > SCOPES_MAX {
            true => covered.raise_floor(now),
            false => purge.scopes.iter().for_each(|scope| {
                // Whether the distribution merges slashes is for the log to say: both are covered.
                covered.purge(scope, now);
                covered.purge(&scope.with_slashes_merged(), now);
            }),
        }
    }

    /// How a copy fetched at `fetched_at` stands. One compare when nothing was heard of since.
    pub fn standing(&self, attributes: &Attributes, tags: &Tags, fetched_at: Moment) -> Standing {
        if fetched_at >= self.newest {
            return Standing::Good;
        }
        let known = [&self.young, &self.old].map(|heard| heard.get(&attributes.distribution));
        let covered = |effect: usize| {
            let mut known = known.iter().flatten();
            known.any(|purged| purged[effect].covers(attributes, tags, fetched_at))
        };
        if covered(0) {
            Standing::Old
        } else if covered(1) {
            Standing::Softened
        } else {
            Standing::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Host, Path, Scope};

    use super::*;

    fn second(seconds: u64) -> Moment {
        Moment::START.plus(Duration::from_secs(seconds))
    }

    fn purge(scope: &str, effect: Effect) -> Invalidation {
        let scopes = vec![Scope::parse(scope).unwrap()];
        Invalidation { distribution: "shop".parse().unwrap(), scopes, effect }
    }

    fn standing(heard: &Tentative, path: &str, fetched: u64) -> Standing {
        let attributes = Attributes {
            distribution: "shop".parse().unwrap(),
            host: Host::parse("x").unwrap(),
            path: Path::parse(path).unwrap(),
        };
        heard.standing(&attributes, &Tags::NONE, second(fetched))
    }

    #[test]
    fn what_was_fetched_before_a_purge_was_heard_of_is_covered() {
        let mut heard = Tentative::default();
        heard.note(&purge("/a", Effect::Hard), second(100));
        heard.note(&purge("/b", Effect::Soft), second(101));
        assert_eq!(standing(&heard, "/a", 99), Standing::Old);
        assert_eq!(standing(&heard, "/a", 100), Standing::Good);
        assert_eq!(standing(&heard, "/b", 100), Standing::Softened);
        assert_eq!(standing(&heard, "/c", 99), Standing::Good);
    }

    #[test]
    fn a_purge_is_remembered_for_a_while_and_then_forgotten() {
        let mut heard = Tentative::default();
        heard.note(&purge("/a", Effect::Hard), second(100));
        heard.note(&purge("/b", Effect::Hard), second(116));
        assert_eq!(standing(&heard, "/a", 99), Standing::Old);
        heard.note(&purge("/c", Effect::Hard), second(140));
        assert_eq!(standing(&heard, "/a", 99), Standing::Good);
        assert_eq!(standing(&heard, "/b", 99), Standing::Old);
    }
}
