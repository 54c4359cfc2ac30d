//! Background task: gives documents of the previous version the fields that searches look at, and takes the terms of tickets
//! that are no longer on sale out of the index. An interrupted pass is continued by the next one.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::App;

/// How often it looks for such tickets.
const PERIOD: Duration = Duration::from_secs(5);
/// After how many periods it compares every ticket's edit with the one that it was indexed at.
const PERIODS_PER_COMPARISON: u32 = 720;

pub async fn run(app: App, stop: CancellationToken) {
    let mut period = 0;
    loop {
        if let Err(error) = pass(&app, period, &stop).await {
            tracing::warn!(%error, "could not update the search index, will retry");
        }
        period = (period + 1) % PERIODS_PER_COMPARISON;
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn pass(app: &App, period: u32, stop: &CancellationToken) -> store::Result<()> {
    app.store.complete_search_index(|| stop.is_cancelled()).await?;
    if period == 0 {
        app.store.repair_search_index().await?;
    }
    app.store.retire(app.clock.now()).await
}
