//! `POST /api/users/verification`: has the signed-in user mailed another link that confirms their address.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use httpkit::{CurrentUser, Error, Result};

use crate::domain::User;
use crate::nonces::nonces;
use crate::state::App;
use crate::view::UserView;

pub async fn handle(
    State(app): State<App>,
    signed_in: CurrentUser,
) -> Result<(StatusCode, Json<UserView>)> {
    let now = app.clock.now();
    let request = |user: &User| Ok::<_, Error>(Some(user.request_verification(nonces(), now)?));
    let user = app.store.change_user(signed_in.id, request).await?;
    let user = user.ok_or_else(Error::not_signed_in)?;
    Ok((StatusCode::ACCEPTED, Json(user.into())))
}
