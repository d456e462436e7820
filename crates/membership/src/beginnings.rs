//! Beginnings: which of the exchanges that chitchat would begin are begun.
//!
//! Every exchange begins with a digest that names all nodes, and is answered by another: what a
//! round takes grows with the mesh. Beyond some eighty nodes digests have a budget, and most
//! beginnings are left out: one of so many in a row, by lot, so that the pauses between them are
//! even and nobody who is greeted seldom is left out for ever. News then takes longer to reach
//! everybody.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Bytes of digests with which one node begins exchanges in a round.
const ROUND_BYTES: usize = 13 * 1024;
/// Exchanges that chitchat begins in a round.
const ROUND: usize = 3;
/// Nodes whose digests just fit in the budget.
const CROWD: usize = 80;

/// How long the last heartbeat of a node that died may still be news to somebody in a mesh of so
/// many: five rounds at the usual pace, and as many times longer as beginnings are left out.
pub(crate) fn echo(nodes: usize, round: Duration) -> Duration {
    let times = nodes.div_ceil(CROWD).max(1);
    round * 5 * u32::try_from(times).unwrap_or(u32::MAX)
}

/// Counts what one life would begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beginnings {
    lots: RandomState,
    drawn: u64,
    /// The shares of all that would have been begun.
    shares: f64,
    /// The next is begun when they come to more than this: somewhere, by lot, in each whole one.
    mark: f64,
}

impl Beginnings {
    /// Whether an exchange is begun with a digest of `bytes`.
    pub(crate) fn begin(&mut self, bytes: usize) -> bool {
        let share = ROUND_BYTES as f64 / (ROUND * bytes.max(1)) as f64;
        self.shares += share.min(1.0);
        let begins = self.shares > self.mark;
        if begins {
            self.mark = self.mark.floor() + 1.0 + self.draw();
        }
        begins
    }

    /// A number from 0 to 1.
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        (self.lots.hash_one(self.drawn) >> 12) as f64 / (1_u64 << 52) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of so many beginnings in a row are begun.
    fn begun(bytes: usize, count: usize) -> Vec<usize> {
        let mut beginnings = Beginnings::default();
        (0..count).filter(|_| beginnings.begin(bytes)).collect()
    }

    #[test]
    fn small_meshes_begin_every_exchange() {
        for bytes in [0, 100, ROUND_BYTES / ROUND] {
            assert_eq!(begun(bytes, 100).len(), 100, "{bytes}");
        }
    }

    #[test]
    fn large_meshes_keep_to_the_budget_with_even_pauses_and_leave_nobody_out() {
        // One in four, and four to a round: always the same one, if it were not drawn by lot.
        let begun = begun(ROUND_BYTES * 4 / ROUND, 4_000);
        assert!(begun.len().abs_diff(1_000) <= 1, "{}", begun.len());
        assert!(begun.windows(2).all(|pair| pair[1] - pair[0] <= 8));
        for place in 0..4 {
            let times = begun.iter().filter(|number| *number % 4 == place).count();
            assert!(times > 150, "{place}: {times}");
        }
    }

    #[test]
    fn an_echo_lasts_longer_where_fewer_exchanges_are_begun() {
        let round = Duration::from_millis(200);
        let seconds = |nodes| echo(nodes, round).as_secs();
        assert_eq!([0, 1, 80, 81, 160, 450].map(seconds), [1, 1, 1, 2, 2, 6]);
    }
}
