//! The problems that the domain's refusals become.

use common::problem;
use httpkit::Error;

use crate::domain::ChangeRefusal;

impl From<ChangeRefusal> for Error {
    fn from(refusal: ChangeRefusal) -> Error {
        match refusal {
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
