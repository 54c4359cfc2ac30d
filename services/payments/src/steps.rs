//! What is to be done at Stripe next: a pure function of the document.

use common::Time;
use common::events::OrderStatus;

use crate::domain::{Charge, Payment, Status};

/// One thing to do. Each is safe to do twice, by its idempotency key or because it only asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// For the attempt under way.
    MakeIntent {
        key: i64,
        attempt: i64,
    },
    MakeMethod {
        key: i64,
        token: String,
    },
    Confirm {
        key: i64,
        intent: String,
        method: String,
    },
    /// Ask what became of an attempt whose outcome is unknown.
    Ask {
        key: i64,
        intent: String,
    },
    /// The order lives no more, and nothing was sent: the attempt ends.
    GiveUp {
        key: i64,
    },
    CancelIntent {
        intent: String,
    },
    Refund {
        key: i64,
        intent: String,
    },
    AskRefund {
        key: i64,
        intent: String,
    },
}

impl Payment {
    /// `attempts` is how many declines end an order.
    pub fn next_step(&self, attempts: i64, now: Time) -> Option<Step> {
        let charge = self.charge.as_ref()?;
        match charge.status {
            Status::Processing => self.attempt_step(charge, now),
            Status::Created if self.is_over() || charge.declines >= attempts => {
                charge.intent.clone().map(|intent| Step::CancelIntent { intent })
            }
            Status::Refunding => {
                let refund = charge.refund.as_ref()?;
                let (key, intent) = (refund.key, charge.intent.clone()?);
                Some(if refund.ask {
                    Step::AskRefund { key, intent }
                } else {
                    Step::Refund { key, intent }
                })
            }
            Status::Created | Status::Completed | Status::Refunded | Status::Failed => None,
        }
    }

    fn attempt_step(&self, charge: &Charge, now: Time) -> Option<Step> {
        let attempt = charge.attempt.as_ref()?;
        let key = attempt.key;
        let in_time = self.takes_payment(now);
        let (intent, method) = match (&charge.intent, &attempt.method) {
            // The same confirmation again, under the same key, gets the answer that the first one got.
            (Some(intent), _) if attempt.sent && (attempt.ask || !in_time) => {
                return Some(Step::Ask { key, intent: intent.clone() });
            }
            _ if !in_time => return Some(Step::GiveUp { key }),
            (None, _) => return Some(Step::MakeIntent { key: charge.intent_key, attempt: key }),
            (Some(_), None) => return Some(Step::MakeMethod { key, token: attempt.token.clone() }),
            (Some(intent), Some(method)) => (intent.clone(), method.clone()),
        };
        Some(Step::Confirm { key, intent, method })
    }

    fn is_over(&self) -> bool {
        match self.order.status {
            OrderStatus::Cancelled => true,
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete => false,
        }
    }
}
