//! One event per file. Those of orders carry the whole order and its version, so all of them do the same: apply the order's state to
//! its reservation, if it is newer than what was applied before, and summarise the listing's reservations.

pub mod order_cancelled;
pub mod order_completed;
pub mod order_created;
pub mod user_updated;

use anyhow::anyhow;
use bus::Failure;
use common::events::{self, Order};

use crate::state::App;

/// Several orders at once. Those that aren't as expected are up to each listener.
pub async fn follow_all(app: App, orders: Vec<Order>) -> Result<(), Failure> {
    if app.store.follow_all(events::newest(orders)).await? {
        return Ok(());
    }
    Err(Failure::Transient(anyhow!("not all of these orders can be applied together")))
}

async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    if app.store.follow_all(vec![order.clone()]).await? {
        return Ok(());
    }
    match app.store.follow(order).await? {
        Some(()) => Ok(()),
        // Orders knows a ticket only from this service, so its document must have been lost. It may be restored meanwhile;
        // if not, the event is stored as a dead letter.
        None => {
            let (order, ticket) = (order.id, order.ticket.id);
            Err(Failure::Transient(anyhow!("order {order} names an unknown ticket, {ticket}")))
        }
    }
}
