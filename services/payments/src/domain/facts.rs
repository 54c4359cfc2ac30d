//! What Stripe says is a fact, whoever has learned it and when: the request, a worker, one that was suspended for hours, the
//! return from the bank, a webhook. It is applied to whatever the document has become. The table is in
//! `docs/protocol.md`.

use common::Time;
use common::events::{PaymentFailed, PaymentReleased};
use store::Change;

use super::{
    Action, AttemptNumber, IntentState, Limits, OrderPayment, Payment, Refunds, RequestOutcome,
    Status,
};

impl OrderPayment {
    /// What the PaymentIntent is, or was a while ago. None: that says nothing new.
    pub fn record_intent_state(
        &self,
        state: &IntentState,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        match state {
            IntentState::RequiresPaymentMethod { .. }
            | IntentState::RequiresAction(_)
            | IntentState::Processing => None,
            IntentState::RequiresCapture => self.record_authorisation(limits, now),
            IntentState::Succeeded(refunds) => self.record_success(refunds, limits, now),
            IntentState::Canceled => self.record_cancellation(limits, now),
        }
    }

    /// The same of what was read during this attempt: its card may have been declined, or its bank asks the buyer.
    pub fn record_attempt_state(
        &self,
        number: AttemptNumber,
        state: &IntentState,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        match state {
            IntentState::RequiresPaymentMethod { last_charge, decline_code: Some(code) } => {
                let charge = last_charge.as_deref();
                let is_new = self.is_new_decline(code, charge) && self.is_sent(number);
                is_new.then(|| self.record_decline(number, code, charge, limits, now)).flatten()
            }
            IntentState::RequiresAction(action) => self.require_action(number, action, limits, now),
            IntentState::RequiresPaymentMethod { decline_code: None, .. }
            | IntentState::Processing
            | IntentState::RequiresCapture
            | IntentState::Succeeded(_)
            | IntentState::Canceled => self.record_intent_state(state, limits, now),
        }
    }

    /// A further charge was declined; or the buyer has failed to authenticate, before anything was charged.
    fn is_new_decline(&self, code: &str, charge: Option<&str>) -> bool {
        const AUTHENTICATION_FAILED: &str = "payment_intent_authentication_failure";
        let Some(payment) = &self.payment else { return false };
        let is_another = charge.is_some() && charge != payment.last_charge.as_deref();
        is_another || (payment.status == Status::ActionRequired && code == AUTHENTICATION_FAILED)
    }

    fn require_action(
        &self,
        number: AttemptNumber,
        action: &Action,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_attempt(number, now, |payment| {
            let attempt = payment.attempt.as_mut().filter(|attempt| attempt.sent)?;
            (payment.status == Status::Processing).then(|| {
                attempt.action = Some(action.clone());
                payment.status = Status::ActionRequired;
            })
        })?;
        Some(Change::without_event(change.thing.schedule(limits, now)))
    }

    /// The money is reserved on the card. Also after the last decline: an earlier attempt, of a process that was suspended,
    /// has succeeded. What is being cancelled never becomes authorised.
    fn record_authorisation(&self, limits: Limits, now: Time) -> Option<Change<OrderPayment>> {
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Created | Status::Processing | Status::ActionRequired | Status::Failed
                if !payment.cancelling && !payment.cancelled =>
            {
                payment.become_status(Status::Authorised)
            }
            Status::Created
            | Status::Processing
            | Status::ActionRequired
            | Status::Failed
            | Status::Authorised
            | Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::ChargedBack
            | Status::Unknown => None,
        })?;
        let next = change.thing.published().schedule(limits, now);
        let event = next.created_event(next.payment.as_ref()?)?;
        Some(Change::with_event(next, &event))
    }

    /// The card was charged: by us, for a complete order, or by somebody else; and somebody else may have refunded it.
    fn record_success(
        &self,
        refunds: &Refunds,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let whole = self.order.amount;
        if let (Some(newest), true) = (&refunds.newest, refunds.succeeded >= whole) {
            return self.record_refund(newest, limits, now);
        }
        let known = self.payment.as_ref()?.amount_refunded;
        let change = self.edit_payment(now, |payment| {
            payment.amount_refunded = refunds.succeeded.max(known);
            match payment.status {
                // A capture that was in flight was faster than the cancellation, or than the decision: the money goes back.
                Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Authorised
                | Status::Failed
                    if payment.cancelling || payment.is_returning() =>
                {
                    let relist = payment.relists();
                    payment.refund(whole, relist, false);
                    Some(())
                }
                Status::Created
                | Status::Processing
                | Status::ActionRequired
                | Status::Authorised
                | Status::Failed => payment.become_status(Status::Captured),
                Status::Captured | Status::Refunding if payment.amount_refunded > known => Some(()),
                Status::Captured
                | Status::Refunding
                | Status::Refunded
                | Status::Released
                | Status::ChargedBack
                | Status::Unknown => None,
            }
        })?;
        let before = self.payment.as_ref()?.status;
        let next = change.thing;
        let status = next.payment.as_ref()?.status;
        if status == before {
            // A part was refunded. The process that executes steps continues.
            return Some(Change::without_event(OrderPayment {
                next_run_at: self.next_run_at,
                ..next
            }));
        }
        if status == Status::Captured {
            let next = next.published().schedule(limits, now);
            let event = next.captured_event(next.payment.as_ref()?)?;
            let outcome = RequestOutcome::Paid { version: next.version };
            return Some(Change::with_event(next.finish_request(Some(outcome)), &event));
        }
        Some(Change::without_event(next.schedule(limits, now).finish_request(None)))
    }

    /// The PaymentIntent is cancelled and can't succeed any more.
    pub(super) fn record_cancellation(
        &self,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_payment(now, |payment| match payment.status {
            Status::Authorised if payment.cancelling => {
                payment.cancelled = true;
                payment.become_status(Status::Released)
            }
            // Not by us: a capture is impossible.
            Status::Authorised | Status::Created | Status::Processing | Status::ActionRequired => {
                payment.cancelled = true;
                payment.become_status(Status::Failed)
            }
            Status::Failed => (!payment.cancelled).then(|| payment.cancelled = true),
            Status::Captured
            | Status::Refunding
            | Status::Refunded
            | Status::Released
            | Status::ChargedBack
            | Status::Unknown => None,
        })?;
        let next = change.thing.schedule(limits, now);
        if self.payment.as_ref()?.status == Status::Failed {
            return Some(Change::without_event(next));
        }
        let next = next.published().finish_request(None);
        if next.payment.as_ref()?.status == Status::Released {
            let event = PaymentReleased(next.released_event()?);
            return Some(Change::with_event(next, &event));
        }
        let event = PaymentFailed(next.failed_event(true)?);
        Some(Change::with_event(next, &event))
    }
}

impl Payment {
    /// The attempt has ended.
    fn become_status(&mut self, status: Status) -> Option<()> {
        self.status = status;
        self.attempt = None;
        Some(())
    }
}
