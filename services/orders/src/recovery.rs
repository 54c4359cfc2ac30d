//! Recovery after a restore: other services refer to orders that this database doesn't contain.

use bus::Failure;
use common::events;
use common::ids::OrderId;
use store::ConflictError;

use crate::domain::{Order, TicketReplica};
use crate::state::App;
use crate::store::{InsertOutcome, MAX_ATTEMPTS};

/// Stores an order for a charge without one, so that the charge is refunded. A conflict means that the order exists by now.
pub async fn refund_orphaned_charge(
    app: &App,
    payment: &events::Payment,
) -> Result<InsertOutcome, Failure> {
    let change = Order::orphaned_charge(payment, app.clock.now());
    Ok(app.store.insert(&change).await?)
}

/// Publishes the end of a missing order that a ticket is locked for, unless another order has the ticket by now.
pub async fn release_orphaned_reservation(
    app: &App,
    id: OrderId,
    ticket: &events::Ticket,
) -> Result<(), Failure> {
    let (published, ticket) = (ticket.hold, TicketReplica::of(ticket, false));
    for _ in 0..MAX_ATTEMPTS {
        // The fencing number first: every order that reserves the ticket from here on gets a greater one.
        let hold = app.store.next_hold(ticket.id).await?.max(published + 1);
        if app.store.live_order(ticket.id).await?.is_some() {
            // That order's own events carry a newer fencing number.
            return Ok(());
        }
        let outcome = match app.store.order(id).await? {
            None => {
                let now = app.clock.now();
                app.store.insert(&Order::orphaned_reservation(id, &ticket, hold, now)).await?
            }
            Some(order) => match order.release_orphaned_reservation(&ticket, hold) {
                Some(change) => app.store.replace(order.version, &change).await?,
                None => return Ok(()),
            },
        };
        match outcome {
            InsertOutcome::Inserted => {
                tracing::warn!(order = %id, ticket = %ticket.id, "orphaned reservation released");
                return Ok(());
            }
            InsertOutcome::Taken | InsertOutcome::Conflict => {}
        }
    }
    Err(ConflictError.into())
}
