//! One event a file. All of them follow an order: which event came doesn't matter, only what the
//! order is by it, and whether that is newer than what is known.

mod order_cancelled;
mod order_completed;
mod order_created;

use anyhow::anyhow;
use bus::Failure;
use common::events::Order;

pub use order_cancelled::order_cancelled;
pub use order_completed::order_completed;
pub use order_created::order_created;

use crate::state::App;

async fn follow(app: &App, order: &Order) -> Result<(), Failure> {
    match app.store.follow(order).await? {
        Some(_) => Ok(()),
        // Orders knows a ticket only from us, so ours must have been lost. It may be restored
        // meanwhile; if not, the dead letters keep what was said about it.
        None => {
            let (order, ticket) = (order.id, order.ticket.id);
            Err(Failure::Transient(anyhow!("order {order} is of an unknown ticket, {ticket}")))
        }
    }
}
