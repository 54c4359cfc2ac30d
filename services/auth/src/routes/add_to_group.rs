//! `PUT /api/users/{id}/groups/{group}`: makes a user a member of a group.

use axum::Json;
use axum::extract::{Path, State};
use common::problem;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};

use super::{membership, moderate};
use crate::state::App;
use crate::view::AccountView;

pub async fn handle(
    State(app): State<App>,
    admin: CurrentUser,
    Path((id, group)): Path<(String, String)>,
) -> Result<Json<AccountView>> {
    let (id, group) = membership(&admin, &id, &group)?;
    let now = app.clock.now();
    moderate(&app, id, |user| user.add_to_group(group, Some(admin.id), now)).await
}

pub fn call() -> Call {
    Call::put("addToGroup", "/api/users/{id}/groups/{group}", "Make a user an administrator")
        .text("For another administrator. The group is `admin`.")
        .signed_in()
        .ok::<AccountView>("The account.")
        .refused(&[&problem::NOT_ALLOWED])
}
