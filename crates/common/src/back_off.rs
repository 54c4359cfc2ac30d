//! The one back-off: exponential, bounded, with jitter.

use std::time::Duration;

/// The pause before the next try after `failures` failures in a row: `first`, doubled with each failure, at most
/// `longest`. Of that, a random half to the whole, so that those who failed together don't retry together
/// (*equal jitter*, <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
pub fn back_off(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    whole.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit_and_is_at_least_half_of_that() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(30));
        for (failures, whole) in
            [(0, 100), (1, 100), (2, 200), (5, 1600), (10, 30_000), (99, 30_000)]
        {
            let whole = Duration::from_millis(whole);
            for _ in 0..100 {
                let pause = back_off(failures, first, longest);
                assert!(whole / 2 <= pause && pause <= whole, "{failures} failures: {pause:?}");
            }
        }
    }
}
