//! The effect of a Stripe call's result on a payment: a pure function of the document, the step that was executed, and
//! the result.

use common::{Money, Time};
use store::Change;

use super::{
    AttemptNumber, CaptureNumber, GatewayError, IntentNumber, IntentState, Limits, OrderPayment,
    RefundNumber, RefundState, Refunds, Step, StripeResult,
};

/// The effect of a result.
#[derive(Clone, Debug)]
pub struct Transition {
    /// None: the document contains the fact already, or has moved on since.
    pub change: Option<Change<OrderPayment>>,
    pub next: Next,
}

/// How the execution continues.
#[derive(Clone, Debug)]
pub enum Next {
    /// With the next step.
    Continue,
    /// Stripe doesn't know the card token.
    InvalidToken(String),
    /// Stripe could not be reached before anything was charged, and no confirmation was sent.
    NothingSent(GatewayError),
    /// The same, but another process has sent the attempt's confirmation concurrently, and awaits its outcome.
    SentConcurrently,
    /// The outcome is unknown: retry after a pause.
    Retry(String),
    /// The refund failed: retry after a pause.
    RetryRefund,
}

impl Transition {
    fn fact(change: Option<Change<OrderPayment>>) -> Transition {
        Transition { change, next: Next::Continue }
    }

    /// What follows from the next result, if the execution continues.
    fn then(
        self,
        payment: &OrderPayment,
        result: impl FnOnce(&OrderPayment) -> Transition,
    ) -> Transition {
        let Next::Continue = self.next else { return self };
        let payment = self.change.as_ref().map_or(payment, |change| &change.thing);
        let Transition { change, next } = result(payment);
        Transition { change: change.or(self.change), next }
    }

    fn retry(change: Option<Change<OrderPayment>>, why: impl Into<String>) -> Transition {
        Transition { change, next: Next::Retry(why.into()) }
    }

    /// After an error of a capture or a refund, which `mark` marks as one whose outcome is unknown: it is retrieved at
    /// once, or, if Stripe didn't respond or nothing of its response can be trusted, tried again later.
    fn unresolved(
        error: &GatewayError,
        mark: impl FnOnce() -> Option<Change<OrderPayment>>,
    ) -> Transition {
        match error {
            GatewayError::Refused { .. }
            | GatewayError::Declined { .. }
            | GatewayError::Failed(_) => Transition::fact(mark()),
            GatewayError::Unknown(why) => Transition::retry(None, why),
            GatewayError::Mismatch(why) => Transition::retry(mark(), why),
        }
    }
}

impl OrderPayment {
    /// Creating what this attempt lacks. If it lacks nothing now, its confirmation is about to be sent, which is recorded by
    /// the same write.
    pub fn on_prepared(
        &self,
        attempt: AttemptNumber,
        intent: Option<(IntentNumber, &StripeResult<String>)>,
        method: Option<&StripeResult<String>>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        let mut all = Transition::fact(None);
        if let Some((number, result)) = intent {
            all = all.then(self, |payment| {
                payment.on_intent_created(number, attempt, result, limits, now)
            });
        }
        if let Some(result) = method {
            all = all.then(self, |payment| {
                payment.on_payment_method_created(attempt, result, limits, now)
            });
        }
        all.then(self, |payment| {
            let is_prepared = matches!(payment.next_step(limits, now), Some(Step::Confirm { .. }));
            let sent = if is_prepared { payment.mark_sent(attempt, now) } else { None };
            Transition::fact(sent)
        })
    }

    /// Creating the PaymentIntent with this number, for this attempt.
    fn on_intent_created(
        &self,
        number: IntentNumber,
        attempt: AttemptNumber,
        result: &StripeResult<String>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        let error = match result {
            Ok(intent) => return Transition::fact(self.record_intent(intent, now)),
            Err(error) => error.clone(),
        };
        let advanced = match error {
            GatewayError::Failed(_) | GatewayError::Refused { .. } => {
                self.advance_intent_number(number, now)
            }
            GatewayError::Declined { .. }
            | GatewayError::Unknown(_)
            | GatewayError::Mismatch(_) => None,
        };
        let payment = advanced.as_ref().map_or(self, |change| &change.thing);
        let Transition { change, next } = payment.nothing_sent(attempt, error, limits, now);
        Transition { change: change.or(advanced), next }
    }

    /// Creating this attempt's PaymentMethod.
    fn on_payment_method_created(
        &self,
        number: AttemptNumber,
        result: &StripeResult<String>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        match result {
            Ok(method) => Transition::fact(self.record_payment_method(number, method, now)),
            Err(GatewayError::Declined { code, charge }) => {
                Transition::fact(self.record_decline(number, code, charge.as_deref(), limits, now))
            }
            Err(GatewayError::Refused { message, .. }) => Transition {
                change: self.abandon_unsent_attempt(number, limits, now),
                next: Next::InvalidToken(message.clone()),
            },
            Err(
                error @ (GatewayError::Failed(_)
                | GatewayError::Unknown(_)
                | GatewayError::Mismatch(_)),
            ) => self.nothing_sent(number, error.clone(), limits, now),
        }
    }

    /// Confirming this attempt.
    pub fn on_confirmation(
        &self,
        number: AttemptNumber,
        result: &StripeResult<IntentState>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        match result {
            Ok(
                state @ (IntentState::RequiresCapture
                | IntentState::RequiresAction(_)
                | IntentState::Succeeded(_)
                | IntentState::Canceled),
            ) => Transition::fact(self.record_attempt_state(number, state, limits, now)),
            Err(GatewayError::Declined { code, charge }) => {
                Transition::fact(self.record_decline(number, code, charge.as_deref(), limits, now))
            }
            Err(GatewayError::Refused { invalid_payment_method: true, message, .. }) => {
                Transition {
                    change: self.abandon_attempt(number, limits, now),
                    next: Next::InvalidToken(message.clone()),
                }
            }
            Ok(IntentState::Processing | IntentState::RequiresPaymentMethod { .. })
            | Err(GatewayError::Refused { .. } | GatewayError::Failed(_)) => {
                Transition::fact(self.mark_outcome_unknown(number, now))
            }
            Err(GatewayError::Unknown(why)) => Transition::retry(None, why),
            Err(GatewayError::Mismatch(why)) => {
                Transition::retry(self.mark_outcome_unknown(number, now), why)
            }
        }
    }

    /// Retrieving the PaymentIntent of an attempt whose outcome was unknown.
    pub fn on_attempt_retrieved(
        &self,
        number: AttemptNumber,
        result: &StripeResult<IntentState>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        let state = match result {
            Ok(IntentState::Processing) => {
                return Transition::retry(None, "the payment is processing");
            }
            Ok(state) => state,
            Err(error) => return Transition::retry(None, error.to_string()),
        };
        let change = self.record_attempt_state(number, state, limits, now);
        match state {
            IntentState::RequiresPaymentMethod { .. } if change.is_none() => {}
            IntentState::RequiresPaymentMethod { .. }
            | IntentState::Processing
            | IntentState::RequiresCapture
            | IntentState::RequiresAction(_)
            | IntentState::Succeeded(_)
            | IntentState::Canceled => return Transition::fact(change),
        }
        // Nothing has happened: one more try, if there is time.
        if self.failures <= 1 && self.accepts_payment(now) {
            return Transition::fact(self.advance_attempt_number(number, now));
        }
        let change = self.abandon_attempt(number, limits, now);
        if self.accepts_payment(now) {
            let error = GatewayError::Failed("repeated failures".to_owned());
            return Transition { change, next: Next::NothingSent(error) };
        }
        // The order has ended, and that is what the buyer's response says.
        Transition::fact(change)
    }

    /// Cancelling the PaymentIntent, or retrieving it after that was refused.
    pub fn on_cancellation(
        &self,
        result: &StripeResult<IntentState>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        match result {
            Ok(state @ (IntentState::Succeeded(_) | IntentState::Canceled)) => {
                Transition::fact(self.record_intent_state(state, limits, now))
            }
            Ok(
                IntentState::Processing
                | IntentState::RequiresPaymentMethod { .. }
                | IntentState::RequiresAction(_)
                | IntentState::RequiresCapture,
            ) => Transition::retry(None, "the PaymentIntent is not cancelled yet"),
            Err(error) => Transition::retry(None, error.to_string()),
        }
    }

    /// Capturing what is authorised.
    pub fn on_capture(
        &self,
        number: CaptureNumber,
        result: &StripeResult<IntentState>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        match result {
            Ok(state @ (IntentState::Succeeded(_) | IntentState::Canceled)) => {
                Transition::fact(self.record_intent_state(state, limits, now))
            }
            // One of the refusals is *already captured*, which is success: the PaymentIntent is retrieved.
            Ok(
                IntentState::Processing
                | IntentState::RequiresPaymentMethod { .. }
                | IntentState::RequiresAction(_)
                | IntentState::RequiresCapture,
            ) => Transition::fact(self.mark_capture_outcome_unknown(number, now)),
            Err(error) => {
                Transition::unresolved(error, || self.mark_capture_outcome_unknown(number, now))
            }
        }
    }

    /// Retrieving the PaymentIntent after a capture whose outcome was unknown.
    pub fn on_capture_retrieved(
        &self,
        number: CaptureNumber,
        result: &StripeResult<IntentState>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        match result {
            Ok(state @ (IntentState::Succeeded(_) | IntentState::Canceled)) => {
                Transition::fact(self.record_intent_state(state, limits, now))
            }
            // Nothing has happened under this number. The next one is sent at once, the first time.
            Ok(IntentState::RequiresCapture) => {
                let change = self.advance_capture_number(number, now);
                if self.failures <= 1 {
                    Transition::fact(change)
                } else {
                    Transition::retry(change, "the capture failed")
                }
            }
            Ok(
                IntentState::Processing
                | IntentState::RequiresPaymentMethod { .. }
                | IntentState::RequiresAction(_),
            ) => Transition::retry(None, "the PaymentIntent is not captured yet"),
            Err(error) => Transition::retry(None, error.to_string()),
        }
    }

    /// Creating the refund with this number.
    pub fn on_refund(
        &self,
        number: RefundNumber,
        result: &StripeResult<RefundState>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        match result {
            Ok(RefundState::Succeeded { id, amount }) if *amount == self.order.amount => {
                Transition::fact(self.record_refund(id, limits, now))
            }
            // A part: whether all of the payment is refunded is the sum of its refunds.
            Ok(RefundState::Succeeded { .. }) => {
                Transition::fact(self.mark_refund_outcome_unknown(number, now))
            }
            Ok(RefundState::Failed) => Transition {
                change: self.advance_refund_number(number, self.refund_amount(number), now),
                next: Next::RetryRefund,
            },
            Ok(RefundState::Pending) => Transition::retry(
                self.mark_refund_outcome_unknown(number, now),
                "the refund is pending",
            ),
            // One of the refusals is *already refunded*, which is success: the refunds are retrieved.
            Err(error) => {
                Transition::unresolved(error, || self.mark_refund_outcome_unknown(number, now))
            }
        }
    }

    /// Retrieving the refunds of the PaymentIntent: the payment is refunded when their sum is what was charged.
    pub fn on_refunds_retrieved(
        &self,
        number: RefundNumber,
        result: &StripeResult<Refunds>,
        limits: Limits,
        now: Time,
    ) -> Transition {
        let refunds = match result {
            Ok(refunds) => refunds,
            Err(error) => return Transition::retry(None, error.to_string()),
        };
        let remainder = self.order.amount.minor() - refunds.succeeded.minor();
        match &refunds.newest {
            Some(id) if remainder == 0 => Transition::fact(self.record_refund(id, limits, now)),
            Some(_) if remainder < 0 => Transition::retry(None, "more is refunded than was paid"),
            Some(_) | None if refunds.is_pending => Transition::retry(None, "a refund is pending"),
            // The next number refunds the rest. At once if the rest is less than before; otherwise, the refund under
            // this number has failed.
            Some(_) | None => {
                let remainder = Money::from_minor(remainder);
                let is_less = self.refund_amount(number).is_some_and(|amount| remainder < amount);
                let next = if is_less { Next::Continue } else { Next::RetryRefund };
                Transition {
                    change: self.advance_refund_number(number, Some(remainder), now),
                    next,
                }
            }
        }
    }

    /// The attempt ends before a confirmation was sent, unless another process has sent one.
    fn nothing_sent(
        &self,
        number: AttemptNumber,
        error: GatewayError,
        limits: Limits,
        now: Time,
    ) -> Transition {
        let sent = self.is_sent(number);
        let next = if sent { Next::SentConcurrently } else { Next::NothingSent(error) };
        Transition { change: self.abandon_unsent_attempt(number, limits, now), next }
    }
}
