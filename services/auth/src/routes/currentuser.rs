//! GET /api/users/currentuser: who is signed in, if anyone is.

use axum::Json;
use axum::extract::State;
use httpkit::{CurrentUser, Result};
use serde::Serialize;

use super::UserBody;
use crate::state::App;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentUserBody {
    current_user: Option<UserBody>,
}

pub async fn handle(
    State(app): State<App>,
    signed_in: Option<CurrentUser>,
) -> Result<Json<CurrentUserBody>> {
    let user = match signed_in {
        Some(signed_in) => app.store.user(signed_in.id).await?,
        None => None,
    };
    Ok(Json(CurrentUserBody { current_user: user.map(UserBody::from) }))
}
