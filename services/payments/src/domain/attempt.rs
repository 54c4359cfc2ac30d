//! Attempts: one card each, and never two at once.

use common::Time;
use common::events::{CancelReason, OrderStatus, PaymentFailed};
use store::Change;

use super::{
    Action, Attempt, AttemptNumber, CardToken, IntentNumber, Limits, OrderPayment, Payment,
    PaymentRefusal, RequestOutcome, Status,
};

impl OrderPayment {
    /// The buyer pays: an attempt begins, if the order is live and no other attempt is in progress.
    pub fn begin_attempt(
        &self,
        token: &CardToken,
        limits: Limits,
        now: Time,
    ) -> Result<Change<OrderPayment>, PaymentRefusal> {
        self.check_payable(limits, now)?;
        let mut next = self.next();
        let mut payment = next.payment.take().unwrap_or_else(|| Payment::new(self.order_id, now));
        payment.last_attempt = payment.last_attempt + 1;
        payment.status = Status::Processing;
        payment.attempt = Some(Attempt {
            number: payment.last_attempt,
            token: token.clone(),
            method: token.payment_method().map(str::to_owned),
            sent: false,
            outcome_unknown: false,
            action: None,
        });
        next.payment = Some(payment);
        Ok(Change::without_event(next.without_failures().lease(now)))
    }

    /// Whether an attempt may begin, and if not, why.
    pub fn check_payable(&self, limits: Limits, now: Time) -> Result<(), PaymentRefusal> {
        if let Some(payment) = &self.payment {
            match payment.status {
                Status::Processing
                | Status::ActionRequired
                | Status::Authorised
                | Status::Unknown => return Err(PaymentRefusal::InProgress),
                Status::Captured => return Err(PaymentRefusal::AlreadyPaid),
                Status::Released => return Err(PaymentRefusal::NotHonoured),
                // It was authorised, and the capture was impossible.
                Status::Failed if self.is_complete() => return Err(PaymentRefusal::NotHonoured),
                Status::Refunding | Status::Refunded | Status::ChargedBack => {
                    return Err(PaymentRefusal::Refunded);
                }
                Status::Created | Status::Failed if limits.is_reached_by(payment.declines) => {
                    return Err(PaymentRefusal::TooManyDeclines);
                }
                // The payment of an order that has ended fails as well; the order's end is the reason.
                Status::Created | Status::Failed => {}
            }
        }
        match self.order.status {
            OrderStatus::Complete => Err(PaymentRefusal::AlreadyPaid),
            OrderStatus::Unknown => Err(PaymentRefusal::InProgress),
            OrderStatus::Cancelled => Err(match self.order.cancel_reason {
                Some(CancelReason::Expired) => PaymentRefusal::OrderExpired,
                Some(CancelReason::PaymentFailed) => PaymentRefusal::TooManyDeclines,
                Some(
                    CancelReason::User
                    | CancelReason::TicketDeleted
                    | CancelReason::Refunded
                    | CancelReason::Banned
                    | CancelReason::Disputed
                    | CancelReason::Unknown,
                )
                | None => PaymentRefusal::OrderCancelled,
            }),
            OrderStatus::Created | OrderStatus::AwaitingPayment if self.accepts_payment(now) => {
                // The PaymentIntent is cancelled, and orders is about to end the order.
                let has_failed = self
                    .payment
                    .as_ref()
                    .is_some_and(|payment| payment.status == Status::Failed || payment.cancelling);
                if has_failed { Err(PaymentRefusal::TooManyDeclines) } else { Ok(()) }
            }
            OrderStatus::Created | OrderStatus::AwaitingPayment => {
                Err(PaymentRefusal::OrderExpired)
            }
        }
    }

    /// The PaymentIntent exists; its id is stored before anything is charged to it.
    pub fn record_intent(&self, intent: &str, now: Time) -> Option<Change<OrderPayment>> {
        self.edit_payment(now, |payment| {
            payment.intent.is_none().then(|| payment.intent = Some(intent.to_owned()))
        })
    }

    /// Stripe failed to create the PaymentIntent: the next one gets a new number. The failed one, should it exist, is
    /// never confirmed.
    pub fn advance_intent_number(
        &self,
        number: IntentNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_payment(now, |payment| {
            (payment.intent_number == number).then(|| payment.intent_number = number + 1)
        })
    }

    /// The PaymentMethod exists.
    pub fn record_payment_method(
        &self,
        number: AttemptNumber,
        method: &str,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_attempt(number, now, |payment| {
            let attempt = payment.attempt.as_mut()?;
            attempt.method = Some(method.to_owned());
            Some(())
        })
    }

    /// The confirmation is about to be sent. None: it was sent before, or it may not be sent any more.
    pub fn mark_sent(&self, number: AttemptNumber, now: Time) -> Option<Change<OrderPayment>> {
        let in_time = self.accepts_payment(now);
        self.edit_attempt(number, now, |payment| {
            let attempt = payment.attempt.as_mut()?;
            (!attempt.sent && in_time).then(|| attempt.sent = true)
        })
    }

    /// Whether this attempt is in progress and marked as sent: only then is its confirmation sent.
    pub fn is_sent(&self, number: AttemptNumber) -> bool {
        self.attempt().is_some_and(|attempt| attempt.number == number && attempt.sent)
    }

    /// Stripe's response doesn't say what happened to the card: the PaymentIntent is retrieved before anything is sent
    /// again.
    pub fn mark_outcome_unknown(
        &self,
        number: AttemptNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_attempt(number, now, |payment| {
            let attempt = payment.attempt.as_mut()?;
            (!attempt.outcome_unknown).then(|| attempt.outcome_unknown = true)
        })?;
        Some(Change::without_event(OrderPayment { failures: self.failures + 1, ..change.thing }))
    }

    /// The retrieved PaymentIntent shows that nothing happened under this number: the same card is tried under a new
    /// one.
    pub fn advance_attempt_number(
        &self,
        number: AttemptNumber,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        self.edit_attempt(number, now, |payment| {
            payment.last_attempt = payment.last_attempt + 1;
            let attempt = payment.attempt.as_mut()?;
            attempt.number = payment.last_attempt;
            (attempt.sent, attempt.outcome_unknown) = (false, false);
            attempt.action = None;
            Some(())
        })
    }

    /// The attempt ends with nothing charged and nothing declined.
    pub fn abandon_attempt(
        &self,
        number: AttemptNumber,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_attempt(number, now, |payment| {
            payment.status = Status::Created;
            payment.attempt = None;
            Some(())
        })?;
        Some(Change::without_event(change.thing.schedule(limits, now).finish_request(None)))
    }

    /// The attempt ends before its confirmation was sent. None: another process has sent it.
    pub fn abandon_unsent_attempt(
        &self,
        number: AttemptNumber,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        if self.is_sent(number) { None } else { self.abandon_attempt(number, limits, now) }
    }

    /// Stripe's result: the card was declined. `charge` is Stripe's charge that was declined. The last decline ends the
    /// payment.
    pub fn record_decline(
        &self,
        number: AttemptNumber,
        code: &str,
        charge: Option<&str>,
        limits: Limits,
        now: Time,
    ) -> Option<Change<OrderPayment>> {
        let change = self.edit_attempt(number, now, |payment| {
            payment.attempt = None;
            payment.declines += 1;
            let is_last = limits.is_reached_by(payment.declines);
            payment.status = if is_last { Status::Failed } else { Status::Created };
            payment.last_decline = Some(code.to_owned());
            payment.declined_at.push(now);
            payment.last_charge = charge.map(str::to_owned).or(payment.last_charge.take());
            Some(())
        })?;
        let next = change.thing.published().schedule(limits, now);
        let is_last = next.payment.as_ref()?.status == Status::Failed;
        let event = PaymentFailed(next.failed_event(is_last)?);
        let attempts_left = limits.attempts_left(event.0.attempt);
        let outcome = RequestOutcome::Declined { code: code.to_owned(), attempts_left };
        Some(Change::with_event(next.finish_request(Some(outcome)), &event))
    }

    /// The PaymentIntent that waits for the buyer's bank, and the attempt that it belongs to.
    pub fn awaited_intent(&self) -> Option<(AttemptNumber, &str)> {
        let payment = self.payment.as_ref()?;
        let attempt = payment.attempt.as_ref().filter(|_| payment.status == Status::ActionRequired);
        Some((attempt?.number, payment.intent.as_deref()?))
    }

    /// What the buyer's bank asks for.
    pub fn action(&self) -> Option<&Action> {
        let payment = self.payment.as_ref()?;
        let attempt = payment.attempt.as_ref().filter(|_| payment.status == Status::ActionRequired);
        attempt?.action.as_ref()
    }

    /// The number of the attempt in progress.
    pub fn attempt_number(&self) -> Option<AttemptNumber> {
        self.attempt().map(|attempt| attempt.number)
    }

    pub(super) fn attempt(&self) -> Option<&Attempt> {
        self.payment.as_ref()?.attempt.as_ref()
    }

    /// One edit of the attempt with this number, if it is the one in progress.
    pub(super) fn edit_attempt(
        &self,
        number: AttemptNumber,
        now: Time,
        edit: impl FnOnce(&mut Payment) -> Option<()>,
    ) -> Option<Change<OrderPayment>> {
        self.edit_payment(now, |payment| {
            let is_current =
                payment.attempt.as_ref().is_some_and(|attempt| attempt.number == number);
            if is_current { edit(payment) } else { None }
        })
    }
}
