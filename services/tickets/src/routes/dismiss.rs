//! `DELETE /api/tickets/{id}/door/staff/{user}`: the seller dismisses one of the door staff, and the link with them.

use axum::extract::{Path, State};
use common::ids::{TicketId, UserId};
use common::problem;
use http::StatusCode;
use httpkit::extract::parse_id;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};

use super::door::require_manager;
use crate::domain::Door;
use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Path((id, staff)): Path<(String, String)>,
) -> Result<StatusCode> {
    let (id, staff): (TicketId, UserId) = (parse_id(&id)?, parse_id(&staff)?);
    require_manager(&app, &user, id).await?;
    app.store.change_door(id, |door: &Door| Ok::<_, Error>(door.dismiss(staff))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::delete("dismiss", "/api/tickets/{id}/door/staff/{user}", "Dismiss one of the door staff")
        .text("For its seller and administrators. The invitation ends, too.")
        .signed_in()
        .no_content("They don't belong to the door staff any more.")
        .refused(&[&problem::NOT_ALLOWED, &problem::NOT_CHECKED_IN_HERE])
}
