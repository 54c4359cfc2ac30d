//! `GET /api/orders/{id}/admissions`: the codes that open the door for the places of a paid order, for its buyer alone.

use admissions::{Admission, AdmissionKeys};
use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use common::ids::OrderId;
use common::listing::Delivery;
use common::permissions::Action;
use common::{Place, Time, problem};
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{CheckIn, ReservationStatus};
use crate::state::App;

#[derive(Serialize, ToSchema)]
#[schema(as = Admissions)]
pub struct List {
    admissions: Vec<View>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Admission)]
pub struct View {
    place: Place,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in: Option<CheckedIn>,
}

#[derive(Serialize, ToSchema)]
pub struct CheckedIn {
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
}

pub async fn handle(
    State(app): State<App>,
    Extension(keys): Extension<AdmissionKeys>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let (reservation, ticket) = super::sale_for(&app, &user, Action::ViewAdmissions, id).await?;
    if ticket.listing.delivery != Delivery::CheckedInHere {
        return Err(super::errors::not_checked_in_here());
    }
    if reservation.status != ReservationStatus::Sold {
        let detail = "Only a paid order opens the door.";
        return Err(Error::refused(&problem::ORDER_NOT_COMPLETE, detail));
    }
    let view = |place: &Place| {
        let admission = Admission { ticket: ticket.id, order: id, place: *place };
        let seen = |CheckIn { at, gate, .. }: &CheckIn| CheckedIn { at: *at, gate: gate.clone() };
        View {
            place: *place,
            code: keys.code(&admission).reveal().to_owned(),
            checked_in: reservation.check_in_of(*place).map(seen),
        }
    };
    let mut places = reservation.places.clone();
    places.sort_unstable();
    Ok(personal(None, Json(List { admissions: places.iter().map(view).collect() })))
}

pub fn call() -> Call {
    Call::get(
        "admissions",
        "/api/orders/{id}/admissions",
        "Show the codes that open the door for an order",
    )
    .text("For its buyer and administrators.")
    .signed_in()
    .ok::<List>("A code for each place.")
    .refused(&[
        &problem::NOT_ALLOWED,
        &problem::ORDER_NOT_COMPLETE,
        &problem::NOT_CHECKED_IN_HERE,
    ])
}
