//! POST /api/users/refresh: the next pair of tokens for the refresh token that is presented.

use axum::Json;
use axum::extract::State;
use common::Time;
use httpkit::{Error, Result};
use tower_cookies::Cookies;

use super::UserBody;
use crate::domain::{Renewal, Session};
use crate::state::App;
use crate::tokens::RefreshToken;

/// How often someone else may be faster before we give up.
const TRIES: usize = 5;

pub async fn handle(State(app): State<App>, cookies: Cookies) -> Result<Json<UserBody>> {
    let now = app.clock.now();
    let renewed = match app.cookies.refresh_token(&cookies) {
        Some(presented) => renew(&app, &presented, now).await?,
        None => None,
    };
    if let Some((session, token)) = renewed
        && let Some(user) = app.store.user(session.user_id).await?
    {
        app.give_cookies(&user, &session, &token, now, &cookies)?;
        return Ok(Json(user.into()));
    }
    app.cookies.clear(&cookies);
    Err(Error::not_signed_in())
}

/// The session as it goes on, with the token that follows the presented one; none if it is over.
async fn renew(
    app: &App,
    presented: &RefreshToken,
    now: Time,
) -> Result<Option<(Session, RefreshToken)>> {
    for _ in 0..TRIES {
        let Some(session) = app.store.session(presented.session()).await? else {
            return Ok(None);
        };
        let successor = presented.successor(&session.rotation_secret)?;
        match session.renewal(&presented.hash(), now) {
            Renewal::Rotate => {
                let rotated = session.rotated(successor.hash(), now);
                if app.store.rotate(&session, &rotated).await? {
                    return Ok(Some((rotated, successor)));
                }
            }
            Renewal::Repeat => return Ok(Some((session, successor))),
            Renewal::Revoke => {
                tracing::warn!(session = %session.id, "a refresh token was used again: its session ends");
                app.store.revoke(session.id, now).await?;
                return Ok(None);
            }
            Renewal::Refuse => return Ok(None),
        }
    }
    Err(Error::conflict())
}
