//! Events as batches of a consumer: each twice, in any order.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// How many at most.
const LONGEST: usize = 6;

/// All of these, each twice, in an order and in batches that the seed draws.
pub fn batches<T: Clone>(seed: u64, all: &[T]) -> Vec<Vec<T>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut twice: Vec<T> = all.iter().chain(all).cloned().collect();
    twice.shuffle(&mut random);
    let mut batches = Vec::new();
    while !twice.is_empty() {
        let length = rand::Rng::random_range(&mut random, 1..=LONGEST.min(twice.len()));
        batches.push(twice.drain(..length).collect());
    }
    batches
}
