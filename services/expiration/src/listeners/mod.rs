//! One event a file. Each carries the whole order and its version, so all of them do the same: the
//! newest is written down, and the timer follows what is written.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;

use bus::Failure;
use common::events::Order;

use crate::state::App;

/// First the record, then the timer. An event that is known is told to Redis again: the process may have
/// died between the two.
async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    let schedule = app.store.follow(order).await?;
    app.timers.follow(&schedule).await;
    Ok(())
}
