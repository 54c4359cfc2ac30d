//! Beginning and continuing a session: the stored session, its two tokens, and the cookies that carry them.

use common::Time;
use common::ids::SessionId;
use httpkit::Result;
use tower_cookies::Cookies;

use crate::domain::{Session, User};
use crate::state::App;
use crate::tokens::{RefreshToken, rotation_secret};

/// Begins a session of an authenticated user, and sets its cookies.
pub async fn begin(app: &App, user: &User, cookies: &Cookies) -> Result<()> {
    let now = app.clock.now();
    let token = RefreshToken::random(SessionId::new(now));
    let session = Session::begin(token.session(), user.id, token.hash(), rotation_secret(), now);
    app.store.insert_session(&session).await?;
    set_cookies(app, user, &session, &token, now, cookies)
}

/// Issues a session token, and sets it and the refresh token as cookies.
pub fn set_cookies(
    app: &App,
    user: &User,
    session: &Session,
    refresh: &RefreshToken,
    now: Time,
    cookies: &Cookies,
) -> Result<()> {
    let token = app.token_issuer.issue(user.id, session.id, &user.groups, now)?;
    app.cookies.set(cookies, token, refresh, now, session.expires_at);
    Ok(())
}
