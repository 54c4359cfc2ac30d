//! `POST /api/tickets/{id}/door/invitation`: a new link by which door staff joins; the one before is worth nothing then.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::TicketId;
use common::problem;
use http::StatusCode;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use rand::Rng;
use rand::distr::Alphanumeric;

use super::door::{DoorView, require_manager};
use crate::state::App;

/// With 62 characters, more than 128 bits.
const LENGTH: usize = 24;

/// A repeated request makes another link, and the response has the one that is valid.
pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
) -> Result<impl IntoResponse> {
    require_manager(&app, &user, id).await?;
    let secret: String =
        rand::rng().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect();
    let invite = |door: &_| Ok::<_, Error>(Some(crate::domain::Door::invite(door, secret.clone())));
    let door = app.store.change_door(id, invite).await?;
    let view = DoorView::of(app.store.attendance(id).await?, Some(door));
    Ok((StatusCode::CREATED, personal(None, Json(view))))
}

pub fn call() -> Call {
    Call::post(
        "invite",
        "/api/tickets/{id}/door/invitation",
        "Make another invitation for door staff",
    )
    .text("For its seller and administrators. The invitation before is worth nothing then.")
    .signed_in()
    .returns::<DoorView>(StatusCode::CREATED, "The door, with the invitation.")
    .refused(&[&problem::NOT_ALLOWED, &problem::NOT_CHECKED_IN_HERE])
}
