//! `DELETE /api/users/sessions/{id}`: ends one of the user's sessions. Its tokens are refused by every service as soon as
//! they receive the event.

use axum::extract::State;
use common::ids::{Id as _, SessionId};
use http::StatusCode;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use tower_cookies::Cookies;

use crate::sessions;
use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    signed_in: CurrentUser,
    cookies: Cookies,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode> {
    let session = app.store.session(id).await?;
    // Somebody else's is no different from none.
    if session.is_none_or(|session| session.user_id != signed_in.id) {
        return Err(Error::not_found(SessionId::NAMES));
    }
    sessions::end(&app, id).await?;
    if id == signed_in.session {
        app.cookies.clear(&cookies);
    }
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::delete("endSession", "/api/users/sessions/{id}", "End a session")
        .signed_in()
        .no_content("It has ended.")
        .with_headers(&["Set-Cookie"])
}
