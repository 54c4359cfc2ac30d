//! `payment.created`: a charge has succeeded. The order completes, also if its time ran out meanwhile
//! and the ticket is still to be had; else what was paid is to be given back.

use bus::Failure;
use common::events::{Payment, PaymentCreated};
use store::ConflictError;

use crate::domain::{Order, Retake};
use crate::state::App;
use crate::store::Placed;

/// How often we look again when buyers are at the same ticket.
const TRIES: usize = 32;

pub async fn listen(app: App, PaymentCreated(payment): PaymentCreated) -> Result<(), Failure> {
    let mut taken = false;
    for _ in 0..TRIES {
        let Some(order) = app.store.orders.get(payment.order_id).await? else {
            // This database has lost the order; who paid for it gets their money back.
            match app.store.reserve(&Order::lost(&payment, app.clock.now())).await? {
                Placed::Yes => return Ok(()),
                Placed::Taken | Placed::TryAgain => continue,
            }
        };
        let retake = if taken { Retake::Gone } else { retake(&app, &order, &payment).await? };
        let Some(change) = order.paid(&payment, retake) else { return Ok(()) };
        match app.store.replace(order.version, &change).await? {
            Placed::Yes => return Ok(()),
            Placed::Taken => taken = true,
            Placed::TryAgain => {}
        }
    }
    Err(ConflictError.into())
}

/// What becomes of the ticket of one who paid late. A buyer who comes between this and the write is found
/// by the unique index.
async fn retake(app: &App, order: &Order, payment: &Payment) -> Result<Retake, Failure> {
    if !order.would_retake() {
        return Ok(Retake::Gone);
    }
    let holder = app.store.live_order(order.ticket_id).await?;
    let ticket = app.store.ticket(order.ticket_id).await?;
    let next_hold = app.store.next_hold(order.ticket_id).await?;
    Ok(order.retake(payment, holder.as_ref(), ticket.as_ref(), next_hold))
}
