//! One event per file. Each listener has the same outcome when its event is delivered twice, late, or out of order.

pub mod expiration_complete;
pub mod payment_captured;
pub mod payment_created;
pub mod payment_disputed;
pub mod payment_failed;
pub mod payment_refunded;
pub mod payment_released;
pub mod ticket_created;
pub mod ticket_deleted;
pub mod ticket_reserved;
pub mod ticket_updated;
pub mod user_created;
pub mod user_updated;

use std::collections::BTreeSet;

use anyhow::anyhow;
use bus::Failure;
use common::events::{Reserved, Ticket};
use common::ids::OrderId;
use store::Change;

use crate::domain::{Order, TicketReplica};
use crate::state::App;

pub use payment_created::answer_all;

/// Several tickets at once.
pub async fn follow_tickets(app: App, tickets: Vec<Ticket>) -> Result<(), Failure> {
    let replicas = tickets.iter().map(|ticket| TicketReplica::of(ticket, false));
    app.store.apply_tickets(&replicas.collect::<Vec<_>>()).await?;
    Ok(())
}

/// Several confirmations at once. Those of orders that aren't waiting for one are up to each listener.
pub async fn confirm_all_reserved(app: App, reserved: Vec<Reserved>) -> Result<(), Failure> {
    let orders: BTreeSet<OrderId> =
        reserved.into_iter().map(|reserved| reserved.order_id).collect();
    let orders: Vec<OrderId> = orders.into_iter().collect();
    if app.store.confirm_all_reserved(&orders).await? < orders.len() as u64 {
        return Err(Failure::Transient(anyhow!("some orders aren't waiting for a confirmation")));
    }
    Ok(())
}

/// Records how an order's payment has ended. A reminder of what was seen before publishes the order's state again: that it
/// was seen was lost on its way.
async fn end_by_payment(
    app: &App,
    id: OrderId,
    is_reminder: bool,
    end: impl Fn(&Order) -> Option<Change<Order>>,
) -> Result<(), Failure> {
    let mut is_known = false;
    let record = |order: &Order| {
        let change = end(order);
        is_known = change.is_none();
        change
    };
    let order = app.store.update(id, record).await?;
    if let Some(order) = order.filter(|_| is_known && is_reminder) {
        app.store.documents().answer_again(&order).await?;
    }
    Ok(())
}
