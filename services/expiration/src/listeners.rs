//! One event per file. Each carries the whole order and its version, so all of them do the same: store the newest state,
//! then update the timer from it.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;

use bus::Failure;
use common::events::Order;

use crate::state::App;

/// First the record, then the timer. The timer is updated for a known event too: the process may have crashed between the
/// two.
async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    let schedule = app.store.follow(order).await?;
    app.timers.update(&schedule).await;
    Ok(())
}
