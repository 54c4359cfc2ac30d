//! `payment.created`: a charge has succeeded. The order completes, also if it has expired meanwhile and the ticket is still
//! available; otherwise the payment must be refunded.

use bus::Failure;
use common::events::{Payment, PaymentCreated};
use store::ConflictError;

use crate::domain::{Order, Retake};
use crate::recovery;
use crate::state::App;
use crate::store::{InsertOutcome, MAX_ATTEMPTS};

pub async fn handle(app: App, PaymentCreated(payment): PaymentCreated) -> Result<(), Failure> {
    let mut taken = false;
    for _ in 0..MAX_ATTEMPTS {
        let Some(order) = app.store.order(payment.order_id).await? else {
            match recovery::refund_orphaned_charge(&app, &payment).await? {
                InsertOutcome::Inserted => return Ok(()),
                InsertOutcome::Taken | InsertOutcome::Conflict => continue,
            }
        };
        let retake = if taken { Retake::Gone } else { retake(&app, &order, &payment).await? };
        let Some(change) = order.paid(&payment, retake) else {
            // Reminded of an answer that was lost on its way.
            if payment.reminder && order.has_answered(&payment) {
                app.store.documents().answer_again(&order).await?;
            }
            return Ok(());
        };
        match app.store.replace(order.version, &change).await? {
            InsertOutcome::Inserted => return Ok(()),
            InsertOutcome::Taken => taken = true,
            InsertOutcome::Conflict => {}
        }
    }
    Err(ConflictError.into())
}

/// Whether a buyer who paid late gets the ticket again. If another buyer reserves it before the write, the unique index
/// refuses the write.
async fn retake(app: &App, order: &Order, payment: &Payment) -> Result<Retake, Failure> {
    if !order.would_retake() {
        return Ok(Retake::Gone);
    }
    let holder = app.store.live_order(order.ticket_id).await?;
    let ticket = app.store.ticket(order.ticket_id).await?;
    let next_hold = app.store.next_hold(order.ticket_id).await?;
    Ok(order.retake(payment, holder.as_ref(), ticket.as_ref(), next_hold))
}
