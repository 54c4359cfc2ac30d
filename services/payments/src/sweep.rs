//! What lost webhooks would have reported is found: by comparing the payments that wait for the buyer's bank with Stripe, and
//! by reading Stripe's own list of events. What is found is counted, because it should be nothing.

mod events;

use std::time::Duration;

use bus::Failure;
use tokio_util::sync::CancellationToken;

use crate::reconcile::reconcile;
use crate::state::App;

pub use events::sweep_events;

/// How often it runs.
const PERIOD: Duration = Duration::from_secs(30);

pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
        if let Err(failure) = sweep(&app).await {
            tracing::warn!(?failure, "sweep failed, will retry");
        }
        if let Err(failure) = sweep_events(&app).await {
            tracing::warn!(?failure, "sweep of Stripe's events failed, will retry");
        }
    }
}

/// Compares each that waits for the buyer's bank. One that can't be compared doesn't keep the others.
pub async fn sweep(app: &App) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = app.store.awaiting_action(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        for order in page {
            match reconcile(app, order).await {
                Ok(false) => {}
                Ok(true) => {
                    metrics::counter!("payments_reconciled_total").increment(1);
                    tracing::warn!(%order, "what Stripe knows was not reported, and is taken over");
                }
                Err(failure) => {
                    tracing::warn!(%order, ?failure, "could not compare with Stripe, will retry");
                }
            }
        }
    }
}
