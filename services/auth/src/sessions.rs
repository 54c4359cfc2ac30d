//! Beginning, continuing and ending a session: the stored session, its two tokens, and the cookies that carry them.

use common::Time;
use common::ids::SessionId;
use httpkit::revocations::TOKEN_LIFE;
use httpkit::{Result, Revocation};
use tower_cookies::Cookies;

use crate::domain::{Device, Session, User};
use crate::state::App;
use crate::tokens::{RefreshToken, rotation_secret};

/// Begins a session of an authenticated user, and sets its cookies. `now` is a time before the user was read: if all of
/// their sessions are ended meanwhile, the token expires no later than the other tokens of that generation.
pub async fn begin(
    app: &App,
    user: &User,
    device: Device,
    now: Time,
    cookies: &Cookies,
) -> Result<()> {
    let token = RefreshToken::random(SessionId::new(now));
    let (id, secret) = (token.session(), rotation_secret());
    let session = Session::begin(id, user, token.hash(), secret, device, now);
    app.store.insert_session(&session).await?;
    app.known_devices.remember(cookies, user.id, now)?;
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
    let token = app.token_issuer.issue(user, session, now)?;
    app.cookies.set(cookies, token, refresh, now, session.expires_at);
    Ok(())
}

/// Ends a session with all its tokens: they are refused here at once, and everywhere as soon as the event arrives.
pub async fn end(app: &App, session: SessionId) -> Result<()> {
    let now = app.clock.now();
    app.store.end_session(session, now).await?;
    refuse(app, Revocation::Session(session), now);
    Ok(())
}

/// The same of an API token, whose access tokens name it as their session.
pub async fn revoke_api_token(app: &App, token: SessionId) -> Result<()> {
    let now = app.clock.now();
    app.store.revoke_api_token(token, now).await?;
    refuse(app, Revocation::Session(token), now);
    Ok(())
}

/// The same of all sessions of a user who has been changed so.
pub fn ended_all(app: &App, user: &User) {
    let first_valid = user.session_generation;
    refuse(app, Revocation::Generations { user: user.id, first_valid }, app.clock.now());
}

/// (Until a little earlier than the event will say, so that it still says something new, and is stored.)
fn refuse(app: &App, revocation: Revocation, now: Time) {
    app.verifier.revocations().add(revocation, now + TOKEN_LIFE, now);
}
