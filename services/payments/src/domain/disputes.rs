//! What is undone from outside after a card was charged: the cardholder's bank disputes the charge, or a refund fails days
//! after it had succeeded.

use common::Time;
use common::events::{DisputeStatus, PaymentDisputed};
use store::Change;

use super::{Dispute, IntentState, Limits, OrderPayment, Status};

impl OrderPayment {
    /// A dispute was opened, or the bank has decided. None: that is known. Lost: the buyer has the money back, the order
    /// ends, and nothing can be refunded any more.
    pub fn record_dispute(
        &self,
        dispute: &Dispute,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Captured | Status::Refunding => {
                let is_decided = payment.dispute.as_ref().is_some_and(|known| {
                    known.stripe_id == dispute.stripe_id && known.status != DisputeStatus::Open
                });
                if is_decided || payment.dispute.as_ref() == Some(dispute) {
                    return None;
                }
                payment.dispute = Some(dispute.clone());
                if dispute.status == DisputeStatus::Lost {
                    payment.status = Status::ChargedBack;
                }
                Some(())
            }
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Authorised
            | Status::Refunded
            | Status::Released
            | Status::Failed
            | Status::ChargedBack
            | Status::Unknown => None,
        })?;
        let next = change.thing.published().schedule(limits, now);
        let event = PaymentDisputed(next.disputed_event()?);
        Some(Change::with_event(next, &event))
    }

    /// A refund that had succeeded has failed since. Of a whole one the rest is refunded again, after the refunds were
    /// retrieved; a part that somebody else had refunded isn't counted any more.
    pub fn reopen_refund(
        &self,
        state: &IntentState,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let IntentState::Succeeded(refunds) = state else { return None };
        let is_less = refunds.succeeded < self.order.amount && !refunds.is_pending;
        let change = self.edit_payment(now, |payment| {
            if payment.status == Status::Captured {
                let has_failed = refunds.succeeded < payment.amount_refunded && is_less;
                return has_failed.then(|| payment.amount_refunded = refunds.succeeded);
            }
            if payment.status != Status::Refunded || payment.settled.is_some() || !is_less {
                return None;
            }
            let refund = payment.refund.as_mut()?;
            (refund.number, refund.outcome_unknown) = (refund.number + 1, true);
            refund.stripe_id = None;
            payment.status = Status::Refunding;
            payment.amount_refunded = refunds.succeeded;
            Some(())
        })?;
        Some(Change::without_event(change.thing.schedule(limits, now)))
    }

    /// Whether the cardholder's bank keeps the charge from being refunded.
    pub fn is_under_dispute(&self) -> bool {
        let dispute = self.payment.as_ref().and_then(|payment| payment.dispute.as_ref());
        dispute.is_some_and(|dispute| match dispute.status {
            DisputeStatus::Open => !dispute.is_refundable,
            DisputeStatus::Lost | DisputeStatus::Unknown => true,
            DisputeStatus::Won => false,
        })
    }
}
