//! Dice: all the chance there is in a run, drawn from its seed (splitmix64 fills a xoshiro256++).
//!
//! Whoever draws lots gets dice of their own by [`Dice::fork`], so that one more draw in one place
//! does not change what happens in another. Never seeded by anything but a number.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A generator of pseudo-random numbers. The same seed rolls the same numbers, always.
#[derive(Clone, Debug)]
pub(crate) struct Dice([u64; 4]);

impl Dice {
    /// The dice of `seed`.
    pub(crate) fn new(seed: u64) -> Dice {
        let mut state = seed;
        Dice(std::array::from_fn(|_| splitmix(&mut state)))
    }

    /// Dice of its own for somebody else.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice::new(self.roll())
    }

    /// Any number.
    pub(crate) fn roll(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let rolled = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        rolled
    }

    /// A number below `end`; the bias is at most `end` in 2^64.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.roll()) * end as u128;
        usize::try_from(wide >> 64).expect("a product with a usize, shifted back below it")
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `from`.
    ///
    /// # Panics
    /// If there is nothing to pick from.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A number of the range, both ends included.
    pub(crate) fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A time between two numbers of milliseconds, to the microsecond.
    pub(crate) fn millis(&mut self, range: RangeInclusive<usize>) -> Duration {
        let micros = self.within(range.start() * 1_000..=range.end() * 1_000);
        Duration::from_micros(micros as u64)
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_numbers_and_another_does_not() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            let mut other = dice.fork();
            (0..8).map(|_| dice.roll() ^ other.roll()).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn every_number_of_a_range_comes_up_and_no_other() {
        let mut dice = Dice::new(1);
        let mut seen = [0; 5];
        (0..1_000).for_each(|_| seen[dice.within(3..=7) - 3] += 1);
        assert!(seen.iter().all(|times| *times > 140), "{seen:?}");
        assert!((0..100).all(|_| !dice.chance(0) && dice.chance(100)));
    }
}
