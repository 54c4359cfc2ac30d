//! `payment.created`: the money is authorised. The order completes, also if it has expired meanwhile and as many places are
//! still available; otherwise the payment must be released.

use bus::Failure;
use common::events::{Payment, PaymentCreated};
use store::ConflictError;

use crate::domain::{Order, Retake};
use crate::recovery;
use crate::reserve::{Free, free_places};
use crate::state::App;
use crate::store::{InsertOutcome, MAX_ATTEMPTS};

pub async fn handle(app: App, PaymentCreated(payment): PaymentCreated) -> Result<(), Failure> {
    answer(&app, &payment).await
}

/// Answers a payment that is authorised, or captured: once.
pub(super) async fn answer(app: &App, payment: &Payment) -> Result<(), Failure> {
    for _ in 0..MAX_ATTEMPTS {
        let Some(order) = app.store.order(payment.order_id).await? else {
            match recovery::refund_orphaned_charge(app, payment).await? {
                InsertOutcome::Inserted => return Ok(()),
                InsertOutcome::PlaceTaken | InsertOutcome::SlotTaken | InsertOutcome::Conflict => {
                    continue;
                }
            }
        };
        let retake = retake(app, &order, payment).await?;
        let Some(change) = order.paid(payment, retake, app.clock.now()) else {
            // Reminded of an answer that was lost on its way.
            if payment.reminder && order.has_seen(payment.id, payment.version) {
                app.store.documents().answer_again(&order).await?;
            }
            return Ok(());
        };
        match app.store.replace(order.version, &change).await? {
            InsertOutcome::Inserted => return Ok(()),
            // Another buyer was faster; other places may be free.
            InsertOutcome::PlaceTaken | InsertOutcome::SlotTaken | InsertOutcome::Conflict => {}
        }
    }
    Err(ConflictError.into())
}

/// Whether a buyer who paid late gets places again. If another buyer reserves one of them before the write, the unique
/// index refuses the write.
async fn retake(app: &App, order: &Order, payment: &Payment) -> Result<Retake, Failure> {
    if !order.would_retake(payment) {
        return Ok(Retake::Gone);
    }
    let ticket = app.store.ticket(order.ticket_id).await?;
    let Some(ticket) = ticket.filter(|ticket| order.is_still_offered(payment, ticket)) else {
        return Ok(Retake::Gone);
    };
    let now = app.clock.now();
    Ok(match free_places(app, &ticket, order.quantity, now).await? {
        Free::Enough { taken } => order.retake(&ticket, &taken, now, &mut rand::rng()),
        Free::TooFew(_) => Retake::Gone,
    })
}
