//! `POST /api/users/refresh`: exchanges a refresh token for the next pair of tokens.

use axum::Json;
use axum::extract::State;
use common::Time;
use httpkit::{Error, Result};
use tower_cookies::Cookies;

use crate::domain::{RefreshDecision, Session};
use crate::sessions;
use crate::state::App;
use crate::tokens::RefreshToken;
use crate::view::UserView;

/// How often a rotation is decided again because another request was faster.
const MAX_ATTEMPTS: usize = 5;

pub async fn handle(State(app): State<App>, cookies: Cookies) -> Result<Json<UserView>> {
    let now = app.clock.now();
    let refreshed = match app.cookies.refresh_token(&cookies) {
        Some(presented) => refresh(&app, &presented, now).await?,
        None => None,
    };
    if let Some((session, token)) = refreshed
        && let Some(user) = app.store.user(session.user_id).await?
    {
        sessions::set_cookies(&app, &user, &session, &token, now, &cookies)?;
        return Ok(Json(user.into()));
    }
    app.cookies.clear(&cookies);
    Err(Error::not_signed_in())
}

/// The continued session, with the successor of the presented token; none if the session has ended.
async fn refresh(
    app: &App,
    presented: &RefreshToken,
    now: Time,
) -> Result<Option<(Session, RefreshToken)>> {
    for _ in 0..MAX_ATTEMPTS {
        let Some(session) = app.store.session(presented.session()).await? else {
            return Ok(None);
        };
        let successor = presented.successor(&session.rotation_secret)?;
        let belongs = presented.belongs_to(&session)?;
        match session.decide_refresh(&presented.hash(), || belongs, now) {
            RefreshDecision::Rotate => {
                let rotated = session.rotated(successor.hash(), now);
                if app.store.rotate(&session, &rotated).await? {
                    return Ok(Some((rotated, successor)));
                }
            }
            RefreshDecision::Repeat => return Ok(Some((session, successor))),
            RefreshDecision::Revoke => {
                tracing::warn!(session = %session.id, "refresh token reused, session revoked");
                app.store.revoke(session.id, now).await?;
                return Ok(None);
            }
            RefreshDecision::Refuse => return Ok(None),
        }
    }
    Err(Error::conflict())
}
