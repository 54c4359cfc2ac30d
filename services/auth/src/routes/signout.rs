//! POST /api/users/signout: the session's end. Anyone may ask for it, signed in or not.

use axum::Json;
use axum::extract::State;
use httpkit::{CurrentUser, Result};
use serde_json::{Value, json};
use tower_cookies::Cookies;

use crate::state::App;

pub async fn handle(
    State(app): State<App>,
    signed_in: Option<CurrentUser>,
    cookies: Cookies,
) -> Result<Json<Value>> {
    let refresh = app.cookies.refresh_token(&cookies);
    // First of all, so that the browser forgets them also when the database can't be had.
    app.cookies.clear(&cookies);
    let now = app.clock.now();
    if let Some(signed_in) = signed_in {
        app.store.revoke(signed_in.session, now).await?;
    }
    // A browser that was away for a quarter of an hour brings this one alone. Whether it is the current
    // one doesn't matter: a token that was used up ends its session as well.
    if let Some(refresh) = refresh {
        app.store.revoke(refresh.session(), now).await?;
    }
    Ok(Json(json!({})))
}
