//! `DELETE /api/users/tokens/{id}`: ends an API token. Its access tokens are refused by every service as soon as they receive the event.

use axum::extract::State;
use common::ids::SessionId;
use http::StatusCode;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};

use crate::sessions;
use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode> {
    let token = app.store.api_token(id).await?;
    // Somebody else's is no different from none.
    if token.is_none_or(|token| token.user_id != user.id) {
        return Err(Error::not_found("token"));
    }
    sessions::revoke_api_token(&app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::delete("revokeToken", "/api/users/tokens/{id}", "Revoke an API token")
        .signed_in()
        .no_content("It is revoked, and so are its access tokens.")
}
