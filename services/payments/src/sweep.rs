//! Payments that wait for the buyer's bank are compared with Stripe: the buyer may not have come back, and the webhook may
//! be lost. What is mended is counted, because it should be nothing.

use std::time::Duration;

use bus::Failure;
use tokio_util::sync::CancellationToken;

use crate::reconcile::reconcile;
use crate::state::App;

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
    }
}

/// Compares each of them. One that can't be compared doesn't keep the others.
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
