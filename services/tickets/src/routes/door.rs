//! `GET /api/tickets/{id}/door`: how many have come in, for the seller and the door staff; who that is, for the seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::Time;
use common::ids::{TicketId, UserId};
use common::listing::Delivery;
use common::permissions::{Action, Owners, may};
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::errors::{not_checked_in_here, not_found};
use crate::domain::{Attendance, Door, Staff, Ticket};
use crate::state::App;

/// The door of a listing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Door)]
pub(super) struct DoorView {
    #[serde(flatten)]
    attendance: Attendance,
    /// With it, one can join the door staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staff: Option<Vec<StaffView>>,
}

/// One of the door staff.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DoorStaff)]
pub(super) struct StaffView {
    user_id: UserId,
    name: String,
    since: Time,
}

impl DoorView {
    pub(super) fn of(attendance: Attendance, door: Option<Door>) -> Self {
        let (invitation, staff) = match door {
            Some(Door { invitation, staff, .. }) => (invitation, Some(staff)),
            None => (None, None),
        };
        let view = |Staff { user_id, name, since }| StaffView { user_id, name, since };
        let staff = staff.map(|staff| staff.into_iter().map(view).collect());
        DoorView { attendance, invitation, staff }
    }
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
) -> Result<impl IntoResponse> {
    let (ticket, door) = require_staff(&app, &user, id).await?;
    let attendance = app.store.attendance(id).await?;
    let principal = user.principal();
    let owners = Owners { seller: ticket.user_id, buyer: None };
    let manages = may(principal, Action::ManageDoor, owners);
    let view = DoorView::of(attendance, Some(door).filter(|_| manages));
    Ok(personal(None, Json(view)))
}

pub fn call() -> Call {
    Call::get("door", "/api/tickets/{id}/door", "Show the door of a listing")
        .text("For its seller, who also gets the invitation and the door staff; for the door staff, and for administrators.")
        .signed_in()
        .ok::<DoorView>("How many have come in.")
        .refused(&[&problem::NOT_ALLOWED, &problem::NOT_CHECKED_IN_HERE])
}

/// The ticket and its door, for those who stand at it: its seller, whoever they have invited, and admins.
pub(super) async fn require_staff(
    app: &App,
    user: &CurrentUser,
    id: TicketId,
) -> Result<(Ticket, Door)> {
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    let door = app.store.door(id).await?;
    if !door.has_staff(user.id) {
        user.require(Action::CheckIn, Owners { seller: ticket.user_id, buyer: None })?;
    }
    check_has_door(&ticket)?;
    Ok((ticket, door))
}

/// The ticket, for whoever may say who stands at its door.
pub(super) async fn require_manager(app: &App, user: &CurrentUser, id: TicketId) -> Result<Ticket> {
    let ticket = app.store.ticket(id).await?.ok_or_else(not_found)?;
    user.require(Action::ManageDoor, Owners { seller: ticket.user_id, buyer: None })?;
    check_has_door(&ticket)?;
    Ok(ticket)
}

pub(super) fn check_has_door(ticket: &Ticket) -> Result<()> {
    match ticket.listing.delivery {
        Delivery::CheckedInHere => Ok(()),
        Delivery::SellerDelivers | Delivery::Unknown => Err(not_checked_in_here()),
    }
}
