//! `GET /api/users/{id}`: a user, as administrators see them.

use axum::Json;
use axum::extract::State;
use common::ids::{Id as _, UserId};
use common::permissions::Action;
use httpkit::extract::PathId;
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
