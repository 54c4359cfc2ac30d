//! `POST /api/users/signout`: ends the session. Anyone may call it, signed in or not.

use axum::Json;
use axum::extract::State;
use httpkit::openapi::Call;
use httpkit::openapi::EmptyObject;
use httpkit::{CurrentUser, Result};
use serde_json::{Value, json};
use tower_cookies::Cookies;

use crate::sessions;
use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    signed_in: Option<CurrentUser>,
    cookies: Cookies,
) -> Result<Json<Value>> {
    let refresh = app.cookies.refresh_token(&cookies);
    // First, so that the browser drops them even if MongoDB is down.
    app.cookies.clear(&cookies);
    if let Some(signed_in) = signed_in {
        sessions::end(&app, signed_in.session).await?;
    }
    // A browser that was idle for a quarter of an hour sends only this one. Whether it is current doesn't matter: a used
    // token ends its session, too. But it has to be one of its tokens: the session's id alone is no secret.
    if let Some(refresh) = refresh
        && let Some(session) = app.store.session(refresh.session()).await?
        && refresh.belongs_to(&session)?
    {
        sessions::end(&app, session.id).await?;
    }
    Ok(Json(json!({})))
}

pub fn call() -> Call {
    Call::post("signOut", "/api/users/signout", "Sign out")
        .text("The session ends. Anyone may call it, signed in or not.")
        .for_viewers()
        .ok::<EmptyObject>("Nobody is signed in.")
        .with_headers(&["Set-Cookie"])
}
