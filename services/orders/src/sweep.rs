//! The sweep: ends what the timers missed. It counts, because it should find nothing.

use std::time::Duration;

use bus::Failure;
use tokio_util::sync::CancellationToken;

use crate::domain::Expiry;
use crate::state::App;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(2);
/// How long the timers have before it steps in.
const GRACE: Duration = Duration::from_secs(10);

pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
        if let Err(failure) = sweep(&app).await {
            tracing::warn!(?failure, "could not sweep; trying again");
        }
    }
}

/// Ends the orders that are past their time by more than the grace.
pub async fn sweep(app: &App) -> Result<(), Failure> {
    let now = app.clock.now();
    for id in app.store.overdue(now - GRACE).await? {
        let mut ended = false;
        app.store
            .orders
            .change(id, |order| match order.expire(now) {
                Expiry::Due(change) => {
                    ended = true;
                    Ok::<_, Failure>(Some(*change))
                }
                Expiry::NotBefore(_) | Expiry::Nothing => {
                    ended = false;
                    Ok(None)
                }
            })
            .await?;
        if ended {
            metrics::counter!("orders_swept_total").increment(1);
            tracing::warn!(order = %id, "the timers missed this order's end");
        }
    }
    Ok(())
}
