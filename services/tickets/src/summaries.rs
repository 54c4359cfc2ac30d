//! Background task: computes the summaries of listings whose reservations have changed. Events of a listing that is much
//! in demand are summarised together, a few times per second, and what a process has left behind when it died, too.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::App;

/// How often it looks for such listings.
const PERIOD: Duration = Duration::from_millis(250);

pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = app.store.summarise_dirty().await {
            tracing::warn!(%error, "could not summarise reservations, will retry");
        }
    }
}
