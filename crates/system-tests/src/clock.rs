//! The clock that a running marketplace goes by: the machine's.

use std::time::Duration;

use common::{Clock, Time};

pub fn now() -> Time {
    Clock::system().now()
}

/// Waits until the clock says so.
pub async fn until(moment: Time) {
    loop {
        let left = now().until(moment);
        if left == Duration::ZERO {
            return;
        }
        tokio::time::sleep(left).await;
    }
}
