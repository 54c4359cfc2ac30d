//! One event per file. Each carries the whole order and its version, so all of them do the same: store the newest state,
//! then update the timer from it.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;

use anyhow::anyhow;
use bus::Failure;
use common::events::{self, Order};

use crate::state::App;

/// Several orders at once: their records by two writes, then the timers. Those that aren't as expected are up to each listener.
pub async fn follow_all(app: App, orders: Vec<Order>) -> Result<(), Failure> {
    let Some(schedules) = app.store.follow_all(events::newest(orders)).await? else {
        return Err(Failure::Transient(anyhow!("some schedules exist, or don't")));
    };
    app.timers.update(&schedules).await;
    Ok(())
}

/// First the record, then the timer. The timer is updated for a known event too: the process may have crashed between the
/// two.
async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    let schedule = app.store.follow(order).await?;
    app.timers.update(&[schedule]).await;
    Ok(())
}
