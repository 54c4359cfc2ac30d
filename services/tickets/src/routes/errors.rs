//! The problems that the domain's refusals become.

use common::problem::{self, Violation};
use httpkit::Error;

use crate::domain::ChangeRefusal;

impl From<ChangeRefusal> for Error {
    fn from(refusal: ChangeRefusal) -> Error {
        match refusal {
            ChangeRefusal::DetailsFixed(fields) => {
                let names = fields.join(", ");
                let detail = format!("Buyers rely on what you want to change: {names}.");
                Error::refused(&problem::DETAILS_FIXED, detail).with("fields", fields)
            }
            ChangeRefusal::FewerPlaces { now } => {
                let rule = format!("must be at least {now}: close the listing to stop the sale");
                Error::invalid([Violation::of("quantity", rule)])
            }
            ChangeRefusal::Reserved => Error::refused(
                &problem::TICKET_RESERVED,
                "A buyer is at checkout, so you can't change this ticket right now.",
            ),
            ChangeRefusal::Sold => {
                Error::refused(&problem::TICKET_SOLD, "You can't change a ticket that is sold.")
            }
        }
    }
}

/// 404, also for a deleted ticket.
pub(super) fn not_found() -> Error {
    Error::not_found("ticket")
}
