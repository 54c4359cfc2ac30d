//! The sweep: ends expired orders whose timer events are missing. It counts them, because it should find none.

use std::time::Duration;

use bus::Failure;
use tokio_util::sync::CancellationToken;

use crate::domain::{Expiry, Order};
use crate::state::App;

/// How often it runs.
const PERIOD: Duration = Duration::from_secs(2);
/// How late a timer event may be before the sweep ends the order.
const GRACE: Duration = Duration::from_secs(10);

pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
        if let Err(failure) = sweep(&app).await {
            tracing::warn!(?failure, "sweep failed, will retry");
        }
    }
}

/// Ends the orders that expired longer than the grace period ago.
pub async fn sweep(app: &App) -> Result<(), Failure> {
    let now = app.clock.now();
    for id in app.store.expired_before(now - GRACE).await? {
        let mut ended = false;
        let expire = |order: &Order| match order.expire(now) {
            Expiry::Due(change) => {
                ended = true;
                Some(*change)
            }
            Expiry::NotBefore(_) | Expiry::Nothing => {
                ended = false;
                None
            }
        };
        // One that can't be ended doesn't keep the others.
        if let Err(failure) = app.store.update(id, expire).await {
            tracing::warn!(order = %id, ?failure, "could not end an expired order, will retry");
            continue;
        }
        if ended {
            metrics::counter!("orders_swept_total").increment(1);
            tracing::warn!(order = %id, "order expired without a timer event, ended by the sweep");
        }
    }
    Ok(())
}
