//! The problems that the domain's refusals become.

use common::problem::{self, Problem, Violation};
use httpkit::Error;

use crate::domain::{ChangeRefusal, CheckInRefusal, JoinRefusal};

/// What a [`ChangeRefusal`] becomes, apart from an invalid body.
pub(super) const CHANGE_REFUSALS: [&Problem; 3] =
    [&problem::DETAILS_FIXED, &problem::TICKET_RESERVED, &problem::TICKET_SOLD];

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

/// Why a code opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Nobody of ours has signed it.
    UnknownCode,
    /// It is good at another door.
    OtherListing,
    /// Its order was refunded, or isn't paid.
    NotSold,
}

/// 409 with the `reason`. It doesn't repeat the code.
pub(super) fn not_admitted(rejection: Rejection) -> Error {
    let (reason, detail) = match rejection {
        Rejection::UnknownCode => {
            ("unknown_code", "This is not a code of ours, or it was changed.")
        }
        Rejection::OtherListing => ("other_listing", "This code is for another listing."),
        Rejection::NotSold => ("not_sold", "The order of this code was refunded, or isn't paid."),
    };
    Error::refused(&problem::NOT_ADMITTED, detail).with("reason", reason)
}

pub(super) fn not_checked_in_here() -> Error {
    let detail = "The seller of these tickets sends them; no code of ours opens a door.";
    Error::refused(&problem::NOT_CHECKED_IN_HERE, detail)
}

impl From<CheckInRefusal> for Error {
    fn from(refusal: CheckInRefusal) -> Error {
        match refusal {
            CheckInRefusal::NotSold => not_admitted(Rejection::NotSold),
            CheckInRefusal::AlreadyIn(known) => {
                let at = known.at.to_string();
                let detail = match &known.gate {
                    Some(gate) => format!("This code came in at {at}, {gate}."),
                    None => format!("This code came in at {at}."),
                };
                let error = Error::refused(&problem::ALREADY_CHECKED_IN, detail);
                let error = error.with("at", at).with("place", known.place.number());
                match known.gate {
                    Some(gate) => error.with("gate", gate),
                    None => error,
                }
            }
        }
    }
}

impl From<JoinRefusal> for Error {
    fn from(refusal: JoinRefusal) -> Error {
        match refusal {
            JoinRefusal::WrongInvitation => {
                Error::not_allowed("This link is no longer valid. Ask the seller for a new one.")
            }
            JoinRefusal::Full => Error::not_allowed("The door has as much staff as it may have."),
        }
    }
}
