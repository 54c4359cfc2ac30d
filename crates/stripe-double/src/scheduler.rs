//! Settles deadlines at their time.

use std::sync::Arc;

use crate::app::App;

/// Until the server stops. Requests don't depend on it, since they settle what is due first.
pub async fn run(app: Arc<App>) {
    loop {
        // Subscribed before the ledger is read, so that a commit in between isn't missed.
        let mut commits = app.commits();
        if let Err(error) = app.settle_due().await {
            tracing::error!(?error, "can't settle a deadline");
            return;
        }
        let next = app.ledger().next_deadline_ms();
        let reached = async {
            match next {
                Some(ms) => app.time.sleep_until(ms).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = reached => {}
            _ = commits.changed() => {}
            () = app.stopped() => return,
        }
    }
}
