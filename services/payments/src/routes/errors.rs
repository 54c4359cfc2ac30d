//! The domain's refusals as problems.

use common::problem;
use httpkit::Error;

use crate::domain::{PaymentRefusal, RefundRefusal};

impl From<PaymentRefusal> for Error {
    fn from(refusal: PaymentRefusal) -> Error {
        let (problem, detail) = match refusal {
            PaymentRefusal::KeyReused(error) => return error.into(),
            PaymentRefusal::TooManyCards(wait) => {
                let detail = "Too many of your cards were declined today. Try again later.";
                return Error::too_many_requests(detail, wait);
            }
            PaymentRefusal::InProgress => {
                (&problem::PAYMENT_IN_PROGRESS, "A payment is in progress. Don't pay again.")
            }
            PaymentRefusal::AlreadyPaid => (&problem::ALREADY_PAID, "This order is already paid."),
            PaymentRefusal::Refunded => (
                &problem::ORDER_CANCELLED,
                "This order was cancelled, and the payment is refunded in full.",
            ),
            PaymentRefusal::TooManyDeclines => (
                &problem::PAYMENT_FAILED,
                "Too many cards were declined, so the order was cancelled.",
            ),
            PaymentRefusal::OrderExpired => {
                (&problem::ORDER_EXPIRED, "The reservation has expired.")
            }
            PaymentRefusal::OrderCancelled => {
                (&problem::ORDER_CANCELLED, "This order was cancelled.")
            }
            PaymentRefusal::NotHonoured => (
                &problem::ORDER_CANCELLED,
                "This order could not be completed. Your card was not charged.",
            ),
        };
        Error::refused(problem, detail)
    }
}

impl From<RefundRefusal> for Error {
    fn from(refusal: RefundRefusal) -> Error {
        match refusal {
            RefundRefusal::KeyReused(error) => error.into(),
            RefundRefusal::Disputed => Error::refused(
                &problem::NOT_REFUNDABLE,
                "The buyer's bank disputes this payment, so it can't be refunded.",
            ),
            RefundRefusal::NotRefundable => Error::refused(
                &problem::NOT_REFUNDABLE,
                "Only a payment that has succeeded can be refunded, and only once.",
            ),
        }
    }
}
