//! The buyer submits the form: the places are reserved, or the page says why not.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::Money;
use common::events::OrderStatus;
use common::ids::TicketId;
use common::problem::{self, Problem};
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;

use super::PurchaseForm;
use crate::api::{Failure, Order, Refusal, Wanted};
use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::{Next, Notice};
use crate::page::Frame;
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

#[derive(Deserialize)]
pub struct Purchase {
    /// The price of one place that the buyer saw, in minor units.
    price: i64,
    /// The version of the listing that the buyer saw. (A page of the version before has none.)
    version: Option<i64>,
    /// How many places, of a listing of many.
    quantity: Option<u16>,
    key: String,
}

/// The buyer reserves places.
pub async fn buy(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(form): Form<Purchase>,
) -> Result<Response> {
    let wanted = Wanted {
        ticket: id,
        quantity: form.quantity.map(i64::from),
        price: Money::from_minor(form.price),
        version: form.version,
    };
    let placed = visitor.api.place_order(wanted, &form.key).await;
    let page = format!("/tickets/{id}");
    let next: Next = match placed {
        Ok(order) if has_ended(&visitor, &order).await => Notice::ReservationEnded.at(&page),
        Ok(order) => format!("/orders/{}", order.id).into(),
        Err(failure) if failure.refusal(&problem::EMAIL_NOT_VERIFIED).is_some() => {
            Notice::VerifyToBuy.at("/account")
        }
        Err(failure) => match PurchaseRefusal::of(&failure, form.quantity.is_some()) {
            Some(PurchaseRefusal::AlreadyReserved(order)) => format!("/orders/{order}").into(),
            Some(PurchaseRefusal::Notice(notice)) => notice.at(&page),
            Some(PurchaseRefusal::Quantity { left }) => {
                let errors = FieldError::on("quantity", quantity_error(left)).into();
                return ask_again(&app, &visitor, id, form, errors, left).await;
            }
            Some(PurchaseRefusal::TooManyReservations) => {
                let frame = Frame::of(&app, &visitor).await;
                let error = FieldError::of_form(too_many_reservations(&frame));
                let errors = error.linked("/orders", "My tickets").into();
                return ask_again(&app, &visitor, id, form, errors, None).await;
            }
            None => return Err(failure.into()),
        },
    };
    Ok(next.into_response())
}

/// The page again, with what was chosen and what is wrong with it.
async fn ask_again(
    app: &App,
    visitor: &Visitor,
    id: TicketId,
    form: Purchase,
    errors: FormErrors,
    at_most: Option<u16>,
) -> Result<Response> {
    let quantity = form.quantity.unwrap_or(1).min(at_most.unwrap_or(u16::MAX));
    // What was shown before was wrong.
    app.parts.forget_ticket(id);
    let form = PurchaseForm { errors, quantity, at_most, ..PurchaseForm::default() };
    super::respond(app, visitor, id, StatusCode::UNPROCESSABLE_ENTITY, form).await
}

fn quantity_error(left: Option<u16>) -> String {
    match left {
        Some(1) => "Only 1 ticket is left.".to_owned(),
        Some(left) => format!("Only {left} tickets are left. Choose {left} or fewer."),
        None => "Choose a quantity from the list".to_owned(),
    }
}

fn too_many_reservations(frame: &Frame) -> String {
    let end = frame.reserved.as_ref().map(|reserved| {
        let end = &reserved.countdown.end;
        format!(" The next one ends at {} {}.", end.time, end.zone)
    });
    format!(
        "You have too many unpaid reservations. Pay for one or cancel it before you reserve more.{}",
        end.unwrap_or_default()
    )
}

/// Whether the form was submitted before, and the order that it placed then has been cancelled since. The response to a
/// repeated request shows the order as it was placed.
async fn has_ended(visitor: &Visitor, placed: &Order) -> bool {
    let is_repeated = placed.created_at < visitor.now;
    is_repeated
        && visitor.api.order(placed.id).await.is_ok_and(|now| now.status == OrderStatus::Cancelled)
}

/// Why nothing could be reserved.
enum PurchaseRefusal {
    /// The visitor has already reserved or bought it, with this order.
    AlreadyReserved(String),
    /// Fewer are left, or another rule about the number of places is broken.
    Quantity {
        left: Option<u16>,
    },
    TooManyReservations,
    Notice(Notice),
}

impl PurchaseRefusal {
    /// `of_many`: the listing has several places.
    fn of(failure: &Failure, of_many: bool) -> Option<PurchaseRefusal> {
        match failure {
            Failure::Down(_) => Some(PurchaseRefusal::Notice(Notice::OrdersDown)),
            Failure::Refused(refusal) => match refusal.member("orderId") {
                Some(order) => Some(PurchaseRefusal::AlreadyReserved(order.to_owned())),
                None => PurchaseRefusal::of_problem(refusal, of_many),
            },
        }
    }

    fn of_problem(refusal: &Refusal, of_many: bool) -> Option<PurchaseRefusal> {
        let (reserved, sold) = if of_many {
            (Notice::AllReserved, Notice::SoldOut)
        } else {
            (Notice::Reserved, Notice::Sold)
        };
        let notices: [(Problem, Notice); 6] = [
            (problem::TICKET_RESERVED, reserved),
            (problem::TICKET_SOLD, sold),
            (problem::TICKET_CLOSED, Notice::Closed),
            (problem::TICKET_PAST, Notice::Past),
            (problem::PRICE_CHANGED, Notice::PriceChanged),
            (problem::OWN_TICKET, Notice::OwnTicket),
        ];
        if refusal.is(&problem::NOT_ENOUGH_LEFT) {
            return Some(PurchaseRefusal::Quantity { left: refusal.number("available") });
        }
        if refusal.is(&problem::INVALID) && refusal.is_about("quantity") {
            return Some(PurchaseRefusal::Quantity { left: None });
        }
        if refusal.is(&problem::TOO_MANY_RESERVATIONS) {
            return Some(PurchaseRefusal::TooManyReservations);
        }
        let known = notices.iter().find(|(problem, _)| refusal.is(problem));
        let known = known.map(|(_, notice)| *notice);
        let conflict = (refusal.status == 409).then_some(Notice::ListingChanged);
        known.or(conflict).map(PurchaseRefusal::Notice)
    }
}
