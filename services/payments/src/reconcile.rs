//! What Stripe knows of a payment is compared with what we know, and taken over.

use anyhow::anyhow;
use bus::Failure;
use common::ids::OrderId;

use crate::domain::{AttemptNumber, IntentState, OrderPayment};
use crate::state::App;

/// Retrieves an order's PaymentIntent, its refunds and its disputes, and records what is new. Returns whether anything was.
pub async fn reconcile(app: &App, order: OrderId) -> Result<bool, Failure> {
    let payment = app.store.load(order).await?;
    let Some(intent) = payment.payment.as_ref().and_then(|payment| payment.intent.clone()) else {
        return Ok(false);
    };
    let number = payment.attempt_number().unwrap_or(AttemptNumber::NONE);
    let (total, limits) = (payment.order.total(), app.limits);
    let failed = |error| Failure::Transient(anyhow!("{intent}: {error}"));
    let state = app.gateway.retrieve_intent(&intent, &total).await.map_err(failed)?;
    let disputes = match &state {
        IntentState::Succeeded(_) => {
            app.gateway.retrieve_disputes(&intent, &total).await.map_err(failed)?
        }
        IntentState::Canceled
        | IntentState::RequiresCapture
        | IntentState::RequiresAction(_)
        | IntentState::RequiresPaymentMethod { .. }
        | IntentState::Processing => Vec::new(),
    };
    let (mut is_new, mut is_stale) = (false, false);
    let (now, read_at) = (app.clock.now(), payment.version);
    let mut after = app
        .store
        .record(order, |payment: &OrderPayment| {
            let change = payment.record_attempt_state(number, &state, limits, now);
            // That a refund has failed is no fact that only grows: what was read must be newer than what is written.
            let change = change.or_else(|| payment.reopen_refund(&state, limits, now));
            let is_refund = payment.has_refunded();
            is_stale = is_refund && change.is_some() && payment.version != read_at;
            is_new = change.is_some() && !is_stale;
            change.filter(|_| !is_stale)
        })
        .await?;
    if is_stale {
        return Err(Failure::Transient(anyhow!("{intent} has changed meanwhile")));
    }
    for dispute in &disputes {
        let record = |payment: &OrderPayment| {
            let change = payment.record_dispute(dispute, limits, now);
            is_new |= change.is_some();
            change
        };
        after = app.store.record(order, record).await?;
    }
    if after.next_run_at.is_some() {
        app.wake_worker.notify_one();
    }
    Ok(is_new)
}
