//! How many cards a buyer may try, over all of their orders: stolen numbers are tested in shops, one small order after the other.

use std::time::Duration;

use common::Time;

/// The time in which a buyer's declined cards are counted.
pub const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the buyer has to wait before they try another card; none if they may at once. `declined_at`: their declines within
/// the period, in any order.
pub fn wait(mut declined_at: Vec<Time>, max_declines: usize, now: Time) -> Option<Duration> {
    declined_at.sort_unstable();
    // One may be tried when so many of the oldest are no longer counted that one is free.
    let last = declined_at.len().checked_sub(max_declines)?;
    declined_at.get(last).map(|counted| now.until(*counted + PERIOD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_card_may_be_tried_when_the_oldest_decline_that_counts_is_a_day_old() {
        let at = |seconds: i64| Time::from_millis(seconds * 1000);
        let hours = |hours: u64| Some(Duration::from_secs(hours * 60 * 60));
        let now = at(20 * 3600);
        let declines = |times: &[i64]| times.iter().map(|hour| at(hour * 3600)).collect();
        for (times, expected) in [
            (&[][..], None),
            (&[1, 2], None),
            (&[3, 1, 2], hours(5)),
            (&[4, 3, 2, 1], hours(6)),
            (&[1, 1, 1, 1], hours(5)),
        ] {
            assert_eq!(wait(declines(times), 3, now), expected, "{times:?}");
        }
    }
}
