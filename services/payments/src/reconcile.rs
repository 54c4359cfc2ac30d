//! What Stripe knows of a payment is compared with what we know, and taken over.

mod since;

use anyhow::anyhow;
use bus::Failure;
use common::ids::OrderId;

use crate::domain::{
    AttemptNumber, Dispute, GatewayError, IntentState, OrderPayment, StripeResult, Total,
};
use crate::state::App;

pub use since::{Reconciliation, reconcile_since};

/// A PaymentIntent as it was retrieved, and the disputes of its charge.
struct Observed {
    intent: String,
    state: IntentState,
    disputes: Vec<Dispute>,
}

/// Retrieves an order's PaymentIntent, its refunds and its disputes, and records what is new. Returns whether anything was.
pub async fn reconcile(app: &App, order: OrderId) -> Result<bool, Failure> {
    reconcile_read(app, &app.store.load(order).await?).await
}

/// The same of a payment that was just read.
pub async fn reconcile_read(app: &App, payment: &OrderPayment) -> Result<bool, Failure> {
    let Some(intent) = payment.intent() else { return Ok(false) };
    let failed = |error: GatewayError| Failure::Transient(anyhow!("{intent}: {error}"));
    let observed = observe(app, intent, &payment.order.total()).await.map_err(failed)?;
    record(app, payment, &observed).await
}

async fn observe(app: &App, intent: &str, total: &Total) -> StripeResult<Observed> {
    let state = app.gateway.retrieve_intent(intent, total).await?;
    let disputes = match &state {
        IntentState::Succeeded(_) => app.gateway.retrieve_disputes(intent, total).await?,
        IntentState::Canceled
        | IntentState::RequiresCapture
        | IntentState::RequiresAction(_)
        | IntentState::RequiresPaymentMethod { .. }
        | IntentState::Processing => Vec::new(),
    };
    Ok(Observed { intent: intent.to_owned(), state, disputes })
}

/// Records what was observed after this document was read. Returns whether anything was new.
async fn record(app: &App, read: &OrderPayment, observed: &Observed) -> Result<bool, Failure> {
    let Observed { intent, state, disputes } = observed;
    let number = read.attempt_number().unwrap_or(AttemptNumber::NONE);
    let (order, limits, now) = (read.order_id, app.limits, app.clock.now());
    let (mut is_new, mut is_stale) = (false, false);
    let mut decide = |payment: &OrderPayment| {
        let change = payment.record_attempt_state(number, state, limits, now);
        // That a refund has failed is no fact that only grows: what was read must be newer than what is written.
        let reopened = || payment.reopen_refund(state, limits, now);
        let reopened = if change.is_none() { reopened() } else { None };
        is_stale = reopened.is_some() && payment.version != read.version;
        let change = change.or(reopened).filter(|_| !is_stale);
        is_new = change.is_some();
        change
    };
    // What was known before Stripe was asked is known still.
    let mut after = match decide(read) {
        Some(_) => app.store.record_on(read, decide).await?,
        None => read.clone(),
    };
    if is_stale {
        return Err(Failure::Transient(anyhow!("{intent} has changed meanwhile")));
    }
    // Those before the known one are known, too.
    let known = after.payment.as_ref().and_then(|payment| payment.dispute.as_ref());
    let is_known = |it: &Dispute| known.is_some_and(|known| known.stripe_id == it.stripe_id);
    let from = disputes.iter().position(is_known).unwrap_or(0);
    for dispute in disputes.iter().skip(from) {
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
