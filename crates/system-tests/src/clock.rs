//! The clock of a running stack: the system's.

use std::time::Duration;

use common::{Clock, Time};

pub fn now() -> Time {
    Clock::system().now()
}

/// Sleeps until this time.
pub async fn until(time: Time) {
    loop {
        let left = now().until(time);
        if left == Duration::ZERO {
            return;
        }
        tokio::time::sleep(left).await;
    }
}
