//! How popular objects are.

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The exponent that is usual for the web.
const ZIPF: f64 = 0.9;

/// Which objects are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// A few are asked for all the time, most hardly ever: Zipf's law, exponent 0.9.
    Zipf,
    /// All the same.
    Uniform,
    /// Each once, so nothing is a hit.
    Scan,
    /// One.
    Hot,
}

/// Draws objects.
pub(crate) struct Popularity {
    profile: Profile,
    dice: StdRng,
    /// Of Zipf: the sum of all weights up to each object.
    weights: Vec<f64>,
    objects: usize,
    turn: usize,
}

impl Profile {
    pub(crate) fn begin(self, objects: usize, seed: u64) -> Popularity {
        let mut sum = 0.0;
        let weigh = |rank: usize| {
            sum += 1.0 / (rank as f64).powf(ZIPF);
            sum
        };
        let weights = match self {
            Profile::Zipf => (1..=objects).map(weigh).collect(),
            Profile::Uniform | Profile::Scan | Profile::Hot => Vec::new(),
        };
        let dice = StdRng::seed_from_u64(seed);
        Popularity { profile: self, dice, weights, objects, turn: 0 }
    }
}

impl Popularity {
    /// The next object that is asked for.
    pub(crate) fn next(&mut self) -> usize {
        match self.profile {
            Profile::Hot => 0,
            Profile::Uniform => self.dice.random_range(0..self.objects),
            Profile::Scan => {
                self.turn += 1;
                self.turn
            }
            Profile::Zipf => {
                let all = self.weights.last().copied().unwrap_or(1.0);
                let drawn = self.dice.random_range(0.0..all);
                self.weights.partition_point(|sum| *sum <= drawn)
            }
        }
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.dice.random_range(0..limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_objects_have_most_of_the_requests_and_a_seed_gives_the_same_ones() {
        let draw = || {
            let mut popularity = Profile::Zipf.begin(1_000, 7);
            (0..10_000).map(|_| popularity.next()).collect::<Vec<usize>>()
        };
        let drawn = draw();
        let top = drawn.iter().filter(|object| **object < 100).count();
        assert!((5_000..8_000).contains(&top), "{top}");
        assert!(drawn.iter().all(|object| *object < 1_000));
        assert_eq!(drawn, draw());
    }
}
