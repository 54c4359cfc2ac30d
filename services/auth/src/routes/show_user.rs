//! `GET /api/users/{id}`: a user, as administrators see them.

use axum::Json;
use axum::extract::State;
use common::ids::{Id as _, UserId};
use common::permissions::Action;
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};

use super::account_of;
use crate::state::App;
use crate::view::AccountView;

pub async fn handle(
    State(app): State<App>,
    admin: CurrentUser,
    PathId(id): PathId<UserId>,
) -> Result<Json<AccountView>> {
    admin.require(Action::ViewUsers, account_of(id))?;
    let user = app.store.user(id).await?;
    Ok(Json(user.ok_or_else(|| Error::not_found(UserId::NAMES))?.into()))
}

pub fn call() -> Call {
    Call::get("show", "/api/users/{id}", "Show an account")
        .text("For administrators.")
        .signed_in()
        .ok::<AccountView>("The account.")
        .refused(&[&problem::NOT_ALLOWED])
}
