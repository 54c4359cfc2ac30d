//! The next Stripe step: a pure function of the document.

use common::{Money, Time};

use super::{
    AttemptNumber, CaptureNumber, CardToken, IntentNumber, Limits, OrderPayment, Payment,
    RefundNumber, Status,
};

/// One step. Each is safe to repeat, by its idempotency key or because it only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create what the attempt in progress lacks, concurrently.
    Prepare {
        attempt: AttemptNumber,
        /// The PaymentIntent, if there is none.
        intent: Option<IntentNumber>,
        /// The PaymentMethod of this token, if the attempt needs one.
        token: Option<CardToken>,
    },
    Confirm {
        number: AttemptNumber,
        intent: String,
        /// A PaymentMethod, or a ConfirmationToken.
        method: CardToken,
    },
    /// Resolve an attempt whose outcome is unknown.
    RetrieveIntent {
        number: AttemptNumber,
        intent: String,
    },
    /// The order can't be paid any more, and nothing was sent.
    AbandonAttempt {
        number: AttemptNumber,
    },
    /// Write that the PaymentIntent is to be cancelled.
    BeginCancelling,
    CancelIntent {
        intent: String,
    },
    Capture {
        number: CaptureNumber,
        intent: String,
    },
    /// Resolve a capture whose outcome is unknown.
    RetrieveCapture {
        number: CaptureNumber,
        intent: String,
    },
    CreateRefund {
        number: RefundNumber,
        intent: String,
        amount: Option<Money>,
    },
    /// Resolve a refund whose outcome is unknown.
    RetrieveRefunds {
        number: RefundNumber,
        intent: String,
    },
}

impl OrderPayment {
    /// The next step; none if there is nothing to do at Stripe.
    pub fn next_step(&self, limits: Limits, now: Time) -> Option<Step> {
        let payment = self.payment.as_ref()?;
        if payment.is_to_be_cancelled() {
            return Some(Step::CancelIntent { intent: payment.intent.clone()? });
        }
        if self.must_begin_cancelling(limits) {
            return Some(Step::BeginCancelling);
        }
        match payment.status {
            Status::Processing => self.attempt_step(payment, now),
            Status::Authorised if self.is_complete() && !payment.is_returning() => {
                let (number, intent) = (payment.capture.number, payment.intent.clone()?);
                Some(if payment.capture.outcome_unknown {
                    Step::RetrieveCapture { number, intent }
                } else {
                    Step::Capture { number, intent }
                })
            }
            Status::Refunding => {
                let refund = payment.refund.as_ref()?;
                let (number, intent) = (refund.number, payment.intent.clone()?);
                Some(if refund.outcome_unknown {
                    Step::RetrieveRefunds { number, intent }
                } else {
                    Step::CreateRefund { number, intent, amount: refund.amount }
                })
            }
            Status::Created
            | Status::ActionRequired
            | Status::Authorised
            | Status::Captured
            | Status::Refunded
            | Status::Released
            | Status::Failed
            | Status::ChargedBack
            | Status::Unknown => None,
        }
    }

    fn attempt_step(&self, payment: &Payment, now: Time) -> Option<Step> {
        let attempt = payment.attempt.as_ref()?;
        let number = attempt.number;
        let in_time = self.accepts_payment(now);
        let (intent, method) = match (&payment.intent, &attempt.method) {
            // The same confirmation under the same number would get the saved response.
            (Some(intent), _) if attempt.sent && (attempt.outcome_unknown || !in_time) => {
                return Some(Step::RetrieveIntent { number, intent: intent.clone() });
            }
            _ if !in_time => return Some(Step::AbandonAttempt { number }),
            (Some(intent), Some(method)) => (intent.clone(), CardToken::of_method(method)),
            (Some(intent), None) if attempt.token.is_confirmation_token() => {
                (intent.clone(), attempt.token.clone())
            }
            (intent, method) => {
                let needs_method = method.is_none() && !attempt.token.is_confirmation_token();
                return Some(Step::Prepare {
                    attempt: number,
                    intent: intent.is_none().then_some(payment.intent_number),
                    token: needs_method.then(|| attempt.token.clone()),
                });
            }
        };
        Some(Step::Confirm { number, intent, method })
    }
}
