//! The problems that clients get for the domain's refusals.

use common::ids::OrderId;
use common::problem::{self, Violation};
use common::{Money, Quantity};
use httpkit::Error;

use crate::domain::{CancelRefusal, HandoverRefusal, ReserveRefusal};

impl From<ReserveRefusal> for Error {
    fn from(refusal: ReserveRefusal) -> Error {
        match refusal {
            ReserveRefusal::EventPast => {
                Error::refused(&problem::TICKET_PAST, "This event has already taken place.")
            }
            ReserveRefusal::PriceChanged { expected, current } => {
                let detail = format!("The price has changed from {expected} to {current}.");
                Error::refused(&problem::PRICE_CHANGED, detail).with("price", current.to_string())
            }
            ReserveRefusal::Closed => Error::refused(
                &problem::TICKET_CLOSED,
                "This ticket is not for sale at the moment.",
            ),
            ReserveRefusal::TooMany { max_per_order } => {
                invalid_quantity(format!("must be at most {max_per_order}"))
            }
            ReserveRefusal::OnlyTogether { all } => {
                invalid_quantity(format!("must be {all}: these tickets are sold together"))
            }
            ReserveRefusal::TooExpensive => {
                invalid_quantity(format!("must not cost more than {} in all", Money::MAX))
            }
            ReserveRefusal::NotEnoughLeft { available } => {
                let detail = match available {
                    Quantity::ONE => "Only one of these tickets is left.".to_owned(),
                    available => format!("Only {available} of these tickets are left."),
                };
                Error::refused(&problem::NOT_ENOUGH_LEFT, detail).with("available", available.get())
            }
            ReserveRefusal::TooManyReservations { limit, until } => {
                let detail = format!(
                    "You have {limit} unpaid orders. Pay or cancel one, or wait until {until}."
                );
                Error::refused(&problem::TOO_MANY_RESERVATIONS, detail)
                    .with("until", until.to_string())
            }
            ReserveRefusal::Reserved { until, own_order } => {
                let detail = format!("This ticket is reserved until {until}.");
                with_own_order(Error::refused(&problem::TICKET_RESERVED, detail), own_order)
            }
            ReserveRefusal::Sold { own_order } => {
                let detail = "This ticket has been sold.";
                with_own_order(Error::refused(&problem::TICKET_SOLD, detail), own_order)
            }
        }
    }
}

fn invalid_quantity(rule: String) -> Error {
    Error::invalid([Violation::of("quantity", rule)])
}

/// Only the buyer of the other order learns its id.
fn with_own_order(error: Error, own_order: Option<OrderId>) -> Error {
    match own_order {
        Some(id) => error.with("orderId", id.to_string()),
        None => error,
    }
}

impl From<CancelRefusal> for Error {
    fn from(refusal: CancelRefusal) -> Error {
        match refusal {
            CancelRefusal::Expired => {
                Error::refused(&problem::ORDER_EXPIRED, "The reservation has expired.")
            }
            CancelRefusal::Cancelled => {
                Error::refused(&problem::ORDER_CANCELLED, "The order has already been cancelled.")
            }
            CancelRefusal::Complete => Error::refused(
                &problem::ORDER_COMPLETE,
                "The order is paid. Only its seller can refund it.",
            ),
        }
    }
}

impl From<HandoverRefusal> for Error {
    fn from(refusal: HandoverRefusal) -> Error {
        match refusal {
            HandoverRefusal::NotComplete => Error::refused(
                &problem::ORDER_NOT_COMPLETE,
                "Only the ticket of a paid order is handed over.",
            ),
            HandoverRefusal::CheckedInHere => Error::refused(
                &problem::NOTHING_TO_HAND_OVER,
                "The buyer has the ticket already: its code is checked at the door.",
            ),
        }
    }
}
