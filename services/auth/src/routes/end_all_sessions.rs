//! `DELETE /api/users/sessions`: signs the user out everywhere, here too. One write ends all of their sessions, also one
//! that is being begun.

use axum::extract::State;
use http::StatusCode;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Error, Result};
use tower_cookies::Cookies;

use crate::domain::User;
use crate::sessions;
use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    signed_in: CurrentUser,
    cookies: Cookies,
) -> Result<StatusCode> {
    let ended = |user: &User| Ok::<_, Error>(Some(user.end_sessions()));
    let user = app.store.change_user(signed_in.id, ended).await?;
    sessions::ended_all(&app, &user.ok_or_else(Error::not_signed_in)?);
    app.cookies.clear(&cookies);
    Ok(StatusCode::NO_CONTENT)
}

pub fn call() -> Call {
    Call::delete("endAllSessions", "/api/users/sessions", "Sign out everywhere")
        .signed_in()
        .no_content("All sessions and API tokens have ended.")
        .with_headers(&["Set-Cookie"])
}
