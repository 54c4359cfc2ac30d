//! Recovery after a restore: other services refer to orders that this database doesn't contain.

use anyhow::anyhow;
use bus::Failure;
use common::events;
use store::ConflictError;

use crate::domain::Order;
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

/// Publishes the end of a missing order for which places are reserved.
pub async fn release_orphaned_reservation(
    app: &App,
    reserved: &events::Reserved,
) -> Result<(), Failure> {
    let (id, ticket) = (reserved.order_id, reserved.ticket_id);
    let replica = app.store.ticket(ticket).await?;
    // Its own event may be on the way.
    let replica = replica.ok_or_else(|| {
        Failure::Transient(anyhow!("order {id} is of an unknown ticket, {ticket}"))
    })?;
    for _ in 0..MAX_ATTEMPTS {
        let outcome = match app.store.order(id).await? {
            None => {
                let now = app.clock.now();
                app.store.insert(&Order::orphaned_reservation(id, &replica, now)).await?
            }
            Some(order) => match order.release_orphaned_reservation(&replica) {
                Some(change) => app.store.replace(order.version, &change).await?,
                None => return Ok(()),
            },
        };
        match outcome {
            InsertOutcome::Inserted => {
                tracing::warn!(order = %id, %ticket, "orphaned reservation released");
                return Ok(());
            }
            InsertOutcome::PlaceTaken | InsertOutcome::SlotTaken | InsertOutcome::Conflict => {}
        }
    }
    Err(ConflictError.into())
}
