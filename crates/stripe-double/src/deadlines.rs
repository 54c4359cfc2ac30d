//! What happens without a request, because its time has come: an authorisation expires, a refund succeeds or fails, a charge
//! is disputed.

use crate::{
    cards::Behaviour,
    disputes,
    model::{Capture, Charge, IntentStatus, PaymentMethod, Refund},
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
    let charge = transaction.charge(id).cloned();
    if let Some(charge) = charge
        && charge.disputed_at_ms.is_some_and(|ms| ms <= now_ms)
    {
        dispute(charge, transaction);
    }
    let refund = transaction.refund(id).cloned();
    if let Some(refund) = refund
        && let Some((ms, course)) = refund.due()
        && ms <= now_ms
    {
        transaction.put_refund(Refund { course, ..refund });
    }
}

/// The card is one whose charges are disputed. Nothing is left to dispute of a charge that was refunded in full.
fn dispute(mut charge: Charge, transaction: &mut Transaction<'_>) {
    charge.disputed_at_ms = None;
    let amount = transaction.refundable(&charge);
    let method = transaction.payment_method(&charge.payment_method);
    match method.map(PaymentMethod::behaviour) {
        Some(Behaviour::Disputes { reason, is_inquiry }) if amount > 0 => {
            disputes::open(&charge, amount, reason, is_inquiry, transaction);
        }
        Some(
            Behaviour::Disputes { .. }
            | Behaviour::Pays
            | Behaviour::Declines(_)
            | Behaviour::Authenticates(_)
            | Behaviour::RefundsLate
            | Behaviour::FailsRefunds,
        )
        | None => transaction.put_charge(charge),
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
