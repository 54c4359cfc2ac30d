//! Random numbers that follow from the seed of a run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// From a second to so many more: mostly short, occasionally very long.
pub fn mostly_short(range: f64, rng: &mut StdRng) -> Duration {
    Duration::from_secs_f64(1.0 + range * rng.random::<f64>().powi(3))
}

/// A random number generator for one client, seeded by that of the run.
pub fn rng_of(seed: u64, number: usize) -> StdRng {
    let mut run = StdRng::seed_from_u64(seed);
    let mut own = StdRng::seed_from_u64(run.random::<u64>().wrapping_add(number as u64));
    StdRng::from_rng(&mut own)
}
