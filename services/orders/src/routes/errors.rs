//! The problems that clients get for the domain's refusals.

use common::ids::OrderId;
use common::problem;
use httpkit::Error;

use crate::domain::{CancelRefusal, ReserveRefusal};

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
