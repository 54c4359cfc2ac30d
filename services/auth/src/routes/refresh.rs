//! `POST /api/users/refresh`: exchanges a refresh token for the next pair of tokens.

use axum::Json;
use axum::extract::State;
use common::Time;
use httpkit::openapi::Call;
use httpkit::{Error, Result};
use tower_cookies::Cookies;

use crate::domain::{Device, RefreshDecision, Session, User};
use crate::sessions;
use crate::state::App;
use crate::tokens::RefreshToken;
use crate::view::UserView;

/// How often a rotation is decided again because another request was faster.
const MAX_ATTEMPTS: usize = 5;

pub async fn handle(
    State(app): State<App>,
    cookies: Cookies,
    device: Device,
) -> Result<Json<UserView>> {
    // Before the user is read: see `sessions::begin`.
    let now = app.clock.now();
    let refreshed = match app.cookies.refresh_token(&cookies) {
        Some(presented) => refresh(&app, &presented, &device, now).await?,
        None => None,
    };
    if let Some((user, session, token)) = refreshed {
        sessions::set_cookies(&app, &user, &session, &token, now, &cookies)?;
        return Ok(Json(user.into()));
    }
    app.cookies.clear(&cookies);
    Err(Error::not_signed_in())
}

pub fn call() -> Call {
    Call::post("refresh", "/api/users/refresh", "Continue a session")
        .text("Both cookies are replaced, and the session lasts 30 days from then.")
        .with("refresh")
        .ok::<UserView>("The user, who stays signed in.")
        .with_headers(&["Set-Cookie"])
}

/// The user and the continued session, with the successor of the presented token; none if the session has ended.
async fn refresh(
    app: &App,
    presented: &RefreshToken,
    device: &Device,
    now: Time,
) -> Result<Option<(User, Session, RefreshToken)>> {
    for _ in 0..MAX_ATTEMPTS {
        let Some(session) = app.store.session(presented.session()).await? else {
            return Ok(None);
        };
        let user = app.store.user(session.user_id).await?;
        let Some(user) = user.filter(|user| user.ban.is_none()) else { return Ok(None) };
        let successor = presented.successor(&session.rotation_secret)?;
        let belongs = presented.belongs_to(&session)?;
        match session.decide_refresh(&presented.hash(), || belongs, user.session_generation, now) {
            RefreshDecision::Rotate => {
                let rotated = session.rotated(successor.hash(), device.clone(), now);
                if app.store.rotate(&session, &rotated).await? {
                    return Ok(Some((user, rotated, successor)));
                }
            }
            RefreshDecision::Repeat => return Ok(Some((user, session, successor))),
            RefreshDecision::Revoke => {
                tracing::warn!(session = %session.id, "refresh token reused, session revoked");
                sessions::end(app, session.id).await?;
                return Ok(None);
            }
            RefreshDecision::Refuse => return Ok(None),
        }
    }
    Err(Error::conflict())
}
