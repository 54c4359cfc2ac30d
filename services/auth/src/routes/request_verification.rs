//! `POST /api/users/verification`: has the signed-in user mailed another link that confirms their address.

use axum::Json;
use axum::extract::State;
use common::problem;
use http::StatusCode;
use httpkit::openapi::Call;
use httpkit::{ClientIp, CurrentUser, Error, Result};

use crate::domain::User;
use crate::limits::{Limit, Use};
use crate::nonces::nonces;
use crate::state::App;
use crate::view::UserView;

pub async fn handle(
    State(app): State<App>,
    signed_in: CurrentUser,
    client: ClientIp,
) -> Result<(StatusCode, Json<UserView>)> {
    let limits =
        [Use::of(Limit::Mail, &[&client.network()]), Use::of(Limit::MailTo, &[&signed_in.id])];
    let _ = app.limits.allow(&limits).await?;
    let now = app.clock.now();
    let request = |user: &User| Ok::<_, Error>(Some(user.request_verification(nonces(), now)?));
    let user = app.store.change_user(signed_in.id, request).await?;
    let user = user.ok_or_else(Error::not_signed_in)?;
    Ok((StatusCode::ACCEPTED, Json(user.into())))
}

pub fn call() -> Call {
    Call::post(
        "requestVerification",
        "/api/users/verification",
        "Have another link mailed that confirms the address",
    )
    .signed_in()
    .returns::<UserView>(StatusCode::ACCEPTED, "It will be mailed.")
    .refused(&[&problem::ALREADY_VERIFIED])
}
