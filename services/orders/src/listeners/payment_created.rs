//! `payment.created`: the money is authorised. The order completes, also if it has expired meanwhile and as many places are
//! still available; otherwise the payment must be released.

use std::collections::HashMap;

use bus::Failure;
use common::events::{self, Payment, PaymentCreated};
use common::ids::OrderId;
use futures::future::join_all;
use store::ConflictError;

use crate::domain::{Order, Retake};
use crate::recovery;
use crate::reserve::{Free, free_places};
use crate::state::App;
use crate::store::{InsertOutcome, MAX_ATTEMPTS};

pub async fn handle(app: App, PaymentCreated(payment): PaymentCreated) -> Result<(), Failure> {
    answer(&app, &payment).await
}

/// Answers several payments at once: their orders are read by one command.
pub async fn answer_all(app: App, payments: Vec<Payment>) -> Result<(), Failure> {
    let payments = events::newest(payments);
    let orders = payments.iter().map(|payment| payment.order_id);
    let orders = app.store.documents().get_all(orders).await?;
    let mut orders: HashMap<OrderId, Order> =
        orders.into_iter().map(|order| (order.id, order)).collect();
    let answers = payments.iter().map(|payment| {
        let order = orders.remove(&payment.order_id);
        answer_for(&app, payment, order)
    });
    let answers: Vec<_> = answers.collect();
    // Each to its end: a write that was begun is not dropped.
    join_all(answers).await.into_iter().collect()
}

/// Answers a payment that is authorised, or captured: once.
pub(super) async fn answer(app: &App, payment: &Payment) -> Result<(), Failure> {
    answer_for(app, payment, None).await
}

/// The same, beginning with the order as it was last read, if it was.
async fn answer_for(app: &App, payment: &Payment, mut known: Option<Order>) -> Result<(), Failure> {
    for _ in 0..MAX_ATTEMPTS {
        let order = match known.take() {
            Some(order) => Some(order),
            None => app.store.order(payment.order_id).await?,
        };
        let Some(order) = order else {
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
        Free::Enough { taken } => order.retake(&ticket, &taken, &mut rand::rng()),
        Free::TooFew(_) => Retake::Gone,
    })
}
