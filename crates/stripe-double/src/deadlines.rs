//! What happens without a request, because its time has come: an authorisation expires, a refund succeeds or fails.

use crate::{
    model::{Capture, Charge, IntentStatus, Refund},
    transaction::Transaction,
};

/// How long an authorisation can be captured: <https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>.
pub const AUTHORISED_FOR_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Changes the object, if it is still due.
pub fn settle(id: &str, transaction: &mut Transaction<'_>) {
    let now_ms = transaction.now_ms;
    let charge = transaction.charge(id).cloned();
    if let Some(charge) = charge
        && charge.capture_before_ms().is_some_and(|until_ms| until_ms <= now_ms)
    {
        expire(charge, transaction);
    }
    let refund = transaction.refund(id).cloned();
    if let Some(refund) = refund
        && let Some((ms, course)) = refund.due()
        && ms <= now_ms
    {
        transaction.put_refund(Refund { course, ..refund });
    }
}

/// An authorisation that wasn't captured in time is released, and its intent is canceled.
pub fn expire(mut charge: Charge, transaction: &mut Transaction<'_>) {
    charge.capture = Capture::Released;
    if let Some(mut intent) = transaction.payment_intent(&charge.payment_intent).cloned() {
        intent.status = IntentStatus::Canceled;
        intent.canceled_at = Some(transaction.now_seconds());
        intent.cancellation_reason = Some("expired".to_owned());
        transaction.put_payment_intent(intent);
    }
    transaction.put_charge(charge);
}
